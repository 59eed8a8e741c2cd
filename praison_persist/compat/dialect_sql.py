"""Tables and statements of a SQL dialect that only its author knows, as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.sql import ClauseElement

__all__ = ["DialectTables", "Parameter", "ddl", "insertion", "statement"]

# How a parameter is written, or a function of its number, from 1.
Parameter = str | Callable[[int], str]

# Names of tables are used as they are: how the dialect quotes is not known.
_DIALECT = DefaultDialect(paramstyle="qmark")
_MARK = re.compile(r"\?")


@dataclass(frozen=True, slots=True)
class DialectTables:
    """The two tables.

    Attributes:
        indexes: of the sessions; the messages need no other than their keys.
    """

    sessions: sa.Table
    messages: sa.Table

    @classmethod
    def named(
        cls, sessions: str, messages: str, *, identifier: str, text: str, json: str, number: str
    ) -> DialectTables:
        """Return tables of these names, whose columns have the types that a dialect declares."""
        metadata = sa.MetaData()
        return cls(
            sa.Table(
                sa.quoted_name(sessions, quote=False),
                metadata,
                _column("session_id", identifier, nullable=False),
                _column("user_id", identifier),
                _column("agent_id", identifier),
                _column("name", text),
                _column("state", json),
                _column("metadata", json),
                _column("created_at", number, nullable=False),
                _column("updated_at", number, nullable=False),
                _column("version", "BIGINT", nullable=False),
                _column("last_seq", "BIGINT", nullable=False),
                _column("write_mark", "BIGINT", nullable=False),
                sa.PrimaryKeyConstraint("session_id"),
            ),
            sa.Table(
                sa.quoted_name(messages, quote=False),
                metadata,
                _column("session_id", identifier, nullable=False),
                _column("seq", "BIGINT", nullable=False),
                _column("id", identifier, nullable=False),
                _column("run_id", identifier),
                _column("role", "VARCHAR(50)", nullable=False),
                _column("content", text),
                _column("tool_calls", json),
                _column("tool_call_id", identifier),
                _column("metadata", json),
                _column("created_at", number, nullable=False),
                sa.PrimaryKeyConstraint("session_id", "seq"),
                sa.UniqueConstraint("session_id", "id"),
            ),
        )

    def index(self, name: str) -> CreateIndex:
        """Return an index for the order in which sessions are listed."""
        columns = self.sessions.c
        index = sa.Index(sa.quoted_name(name, quote=False), columns.updated_at, columns.session_id)
        return CreateIndex(index, if_not_exists=True)


class _Declared(sa.types.UserDefinedType[Any]):
    """A type that is written as the dialect's author wrote it."""

    cache_ok = True

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def get_col_spec(self, **_: Any) -> str:
        """Return the words of the column's definition."""
        return self.spec


def _column(name: str, spec: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(
        sa.quoted_name(name, quote=False), _Declared(spec), nullable=nullable, autoincrement=False
    )


def ddl(element: sa.Table | ExecutableDDLElement) -> str:
    """Return the text that creates a table, unless it exists, or that of another element."""
    if isinstance(element, sa.Table):
        element = CreateTable(element, if_not_exists=True)
    return str(element.compile(dialect=_DIALECT)).strip()


def insertion(
    table: sa.Table, rows: Sequence[Mapping[str, Any]], parameter: Parameter
) -> tuple[str, tuple[Any, ...]]:
    """Return the text that inserts rows, each with a value for every column, and the values."""
    begin, word, row = str(table.insert().compile(dialect=_DIALECT)).rpartition(" VALUES ")
    text = f"{begin}{word}{', '.join([row] * len(rows))}"
    values = tuple(row[column.name] for row in rows for column in table.c)
    return _with_parameters(text, parameter), values


def statement(element: ClauseElement, parameter: Parameter) -> tuple[str, tuple[Any, ...]]:
    """Return the text of a statement and the values of its parameters, in order.

    Args:
        element: the statement.
        parameter: how one is written: "?", or a function of its number, from 1.
    """
    compiled: Any = element.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    values = tuple(compiled.params[name] for name in compiled.positiontup)
    return _with_parameters(str(compiled), parameter), values


def _with_parameters(text: str, parameter: Parameter) -> str:
    # Nothing in these statements has a question mark but their parameters: no literal, no name.
    if isinstance(parameter, str):
        return text.replace("?", parameter)
    numbers = count(1)
    return _MARK.sub(lambda _: parameter(next(numbers)), text)
