"""What MySQL would be sent, compared with what MariaDB is: there is no MySQL to be tested."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.dialects import mysql

# MySQL manual, "INSERT ... ON DUPLICATE KEY UPDATE Statement": SQLAlchemy writes an alias of the
# row from 8.0.20 on, where VALUES() is deprecated; MariaDB knows VALUES() only.
_ALIAS = re.compile(r" AS new (?=ON DUPLICATE KEY UPDATE )")
_OF_ALIAS = re.compile(r"\bnew\.(\w+)")
_MARIADB_ONLY = re.compile(r"\bRETURNING\b|nopad|\bVALUE\(|\bNEXT VALUE\b|\bFETCH\b", re.IGNORECASE)

_compared: set[str] = set()


@contextmanager
def same_on_mysql() -> Iterator[None]:
    """Assert that MySQL 8 would be sent what MariaDB is sent meanwhile, the schema's DDL aside."""
    executed: dict[str, Any] = {}

    def note(
        _connection: object, _cursor: object, text: str, _p: object, context: Any, _many: bool
    ) -> None:
        if context.dialect.name == "mysql" and text not in _compared and not context.isddl:
            executed[text] = context.compiled

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    for text, compiled in executed.items():
        if compiled is None:  # written by hand
            server = text
        else:
            server = _sent(compiled, (8, 4), is_mariadb=False)
            # Alembic's own row is read back where that is possible.
            mariadb = _sent(compiled, (10, 11), is_mariadb=True).partition(" RETURNING ")[0]
            assert _OF_ALIAS.sub(r"VALUES(\1)", _ALIAS.sub(" ", server)) == mariadb
        assert not _MARIADB_ONLY.search(server), server
    _compared.update(executed)


def _sent(compiled: Any, version: tuple[int, ...], *, is_mariadb: bool) -> str:
    dialect = mysql.dialect(is_mariadb=is_mariadb)
    dialect.server_version_info = version
    text = str(compiled.statement.compile(dialect=dialect, column_keys=compiled.column_keys))
    return text.replace("`", "")  # the two reserve other words
