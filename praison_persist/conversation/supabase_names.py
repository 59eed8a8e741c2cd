"""The names of the functions that a Supabase project has to have, and of what they return."""

from __future__ import annotations

__all__ = ["FUNCTIONS", "MESSAGE_FIELDS", "SESSION_FIELDS", "DOCUMENTS", "function_name"]

# A number for what they take and return: another package finds none of its own, and says so,
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


def function_name(function: str, table_prefix: str) -> str:
    """Return what one of FUNCTIONS is called in the database."""
    return f"{table_prefix}{_PROTOCOL}_{function}"
