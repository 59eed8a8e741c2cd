"""What the functions in a Supabase project are called, and the fields of what they return."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from praison_persist.errors import ConfigurationError

__all__ = [
    "DEFAULT_PREFIX",
    "DEFAULT_SCHEMA",
    "DOCUMENTS",
    "FUNCTIONS",
    "MESSAGE_FIELDS",
    "SESSION_FIELDS",
    "Names",
]

DEFAULT_PREFIX, DEFAULT_SCHEMA = "praison_", "public"

# Stands for what they take and return: a package that knows another finds none, and says so,
# instead of misunderstanding those it finds.
_PROTOCOL = "rest1"

FUNCTIONS = (
    *("refuse_view", "refuse_shown"),
    *("insert_session", "find_session", "replace_session", "remove_session", "list_sessions"),
    *("append_messages", "list_messages", "remove_messages", "count_messages", "find_whole"),
)
SESSION_FIELDS = (
    *("session_id", "user_id", "agent_id", "name", "state", "metadata"),
    *("created_at", "updated_at", "version", "last_seq"),
)
MESSAGE_FIELDS = (
    *("id", "session_id", "role", "content", "tool_calls", "tool_call_id", "metadata"),
    *("created_at", "run_id", "seq"),
)
# Fields that are JSON, and travel as its text.
DOCUMENTS = ("state", "metadata", "tool_calls")

# As of the SQL store (praison_persist.sql.schema), which is not loaded: it needs SQLAlchemy.
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Names:
    """The functions under one prefix, in one schema.

    Raises:
        ConfigurationError: one is no identifier.
    """

    table_prefix: str = DEFAULT_PREFIX
    schema: str = DEFAULT_SCHEMA

    def __post_init__(self) -> None:
        """Check them."""
        for name, value in (("table_prefix", self.table_prefix), ("schema", self.schema)):
            no_prefix = name == "table_prefix" and not value
            if not no_prefix and not (isinstance(value, str) and _IDENTIFIER.fullmatch(value)):
                raise ConfigurationError(
                    f"{name} {value!r}: write up to 40 ASCII letters, digits and underscores, not "
                    "beginning with a digit"
                )

    def function(self, name: str) -> str:
        """Return what one of FUNCTIONS is called in the database."""
        return f"{self.table_prefix}{_PROTOCOL}_{name}"

    @property
    def command(self) -> str:
        """What prints the SQL that makes them."""
        words = ["praison-persist", "db", "sql", "--supabase"]
        if self.table_prefix != DEFAULT_PREFIX:
            words += ["--table-prefix", self.table_prefix]
        if self.schema != DEFAULT_SCHEMA:
            words += ["--schema", self.schema]
        return shlex.join(words)
