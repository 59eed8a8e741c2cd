"""Statements whose form differs between databases, in one place."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import sqlalchemy as sa

from praison_persist.sql.dialects import DIALECTS

__all__ = ["Unchanged", "advance", "insert_new", "insert_or_replace"]


class Unchanged(Exception):  # noqa: N818 - it ends a transaction, and is no error
    """Raised by an operation that found nothing new to write.

    What it did so far is rolled back; its caller gets `value`.
    """

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def _insert(dialect: str, table: sa.Table) -> Any:
    """Return a dialect's own INSERT. It is imported when it is used: each takes a while."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def insert_new(connection: sa.Connection, table: sa.Table) -> sa.Insert:
    """Return an INSERT that leaves rows alone whose key exists; rowcount tells how many are new."""
    # SQLAlchemy reads the rowcount of an INSERT only when asked to; psycopg forgets it afterwards.
    return _INSERT_NEW[connection.dialect.name](table).execution_options(preserve_rowcount=True)


def _ignore(table: sa.Table) -> sa.Insert:
    # IGNORE would also cut values that are too long: their lengths were checked before.
    statement: sa.Insert = _insert("mysql", table).prefix_with("IGNORE")
    return statement


_INSERT_NEW: dict[str, Callable[[sa.Table], sa.Insert]] = {
    "postgresql": lambda table: _insert("postgresql", table).on_conflict_do_nothing(),
    "cockroachdb": lambda table: _insert("postgresql", table).on_conflict_do_nothing(),
    "sqlite": lambda table: _insert("sqlite", table).on_conflict_do_nothing(),
    "mysql": _ignore,
    "singlestoredb": _ignore,
}


def insert_or_replace(connection: sa.Connection, table: sa.Table) -> sa.Insert:
    """Return an INSERT that overwrites the other columns of a row whose primary key exists."""
    return _INSERT_OR_REPLACE[connection.dialect.name](table)


def _replace_by_conflict(insert: Any, table: sa.Table) -> sa.Insert:
    key = list(table.primary_key.columns)
    others = {
        c.name: insert.excluded[c.name]
        for c in table.columns
        if c not in set(key) and c.computed is None
    }
    statement: sa.Insert = insert.on_conflict_do_update(index_elements=key, set_=others)
    return statement


def _replace_by_duplicate(table: sa.Table) -> sa.Insert:
    insert = _insert("mysql", table)
    key = set(table.primary_key.columns)
    others = {c.name: insert.inserted[c.name] for c in table.columns if c not in key}
    statement: sa.Insert = insert.on_duplicate_key_update(others)
    return statement


_INSERT_OR_REPLACE: dict[str, Callable[[sa.Table], sa.Insert]] = {
    "postgresql": lambda table: _replace_by_conflict(_insert("postgresql", table), table),
    "cockroachdb": lambda table: _replace_by_conflict(_insert("postgresql", table), table),
    "sqlite": lambda table: _replace_by_conflict(_insert("sqlite", table), table),
    "mysql": _replace_by_duplicate,
    "singlestoredb": _replace_by_duplicate,
}


def advance(
    connection: sa.Connection,
    table: sa.Table,
    where: sa.ColumnElement[bool],
    counter: sa.Column[Any],
    by: int,
    also: dict[str, Any],
) -> int | None:
    """Add `by` to a counter and return its new value, or None if there is no such row.

    The row stays locked until the transaction ends: what is numbered with the counter is committed
    in the order of its numbers.
    """
    update = sa.update(table).where(where)
    dialect = DIALECTS[connection.dialect.name]
    if dialect.update_returning:
        statement = update.values({counter: counter + by, **also}).returning(counter)
        value: int | None = connection.execute(statement).scalar_one_or_none()
        return value
    if not dialect.last_insert_id:
        if not connection.execute(update.values({counter: counter + by, **also})).rowcount:
            return None
        return int(connection.execute(sa.select(counter).where(where)).scalar_one())
    # LAST_INSERT_ID(expr) hands the value to the client with the update's own answer
    # (MySQL manual, "Information Functions").
    result = connection.execute(
        update.values({counter: sa.func.last_insert_id(counter + by), **also})
    )
    return int(result.lastrowid) if result.rowcount else None
