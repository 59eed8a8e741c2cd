"""Several operations of the stores in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import exc

from praison_persist.models import ConversationMessage
from praison_persist.sql.conversation import add_messages
from praison_persist.sql.database import Database
from praison_persist.sql.dialects import DIALECTS
from praison_persist.sql.failures import is_transient, translate
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import Unchanged
from praison_persist.sql.stores import SQLConversationStore

__all__ = ["Undo", "store_on"]

P = ParamSpec("P")
R = TypeVar("R")


class Undo(Exception):  # noqa: N818 - it begins the work again, and is no error
    """An operation is to be undone, which takes a savepoint."""


def store_on(
    connection: sa.Connection,
    t: Tables,
    *,
    careful: bool,
    clock: Callable[[], float] = time.time,
) -> SQLConversationStore:
    """Return a store whose operations are all in the transaction of `connection`.

    Args:
        connection: in a transaction that writes.
        t: the tables.
        careful: an operation that finds its work done, or is refused, is undone alone, which takes
            a savepoint around each. Otherwise it raises Undo: nearly always there is nothing to
            undo.
        clock: of the store.
    """
    database = _Careful(connection, t) if careful else _Plain(connection, t)
    return SQLConversationStore.on(cast("Database", database), clock)


class _Plain:
    """Runs operations as `Database` does, in a transaction that is not its own."""

    def __init__(self, connection: sa.Connection, t: Tables) -> None:
        self.connection, self.tables = connection, t

    def run(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """See `Database.run`."""
        try:
            return op(self.connection, self.tables, *args, **kwargs)
        except (Unchanged, exc.IntegrityError) as error:
            raise Undo from error

    def read(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """See `Database.read`."""
        return op(self.connection, self.tables, *args, **kwargs)

    def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage], now: float
    ) -> list[ConversationMessage]:
        """See `Database.add_messages`."""
        return self.run(add_messages, session_id, messages, now)


class _Careful(_Plain):
    def run(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        dialect = DIALECTS[self.connection.dialect.name]
        try:
            with self.connection.begin_nested():
                return op(self.connection, self.tables, *args, **kwargs)
        except Unchanged as unchanged:
            value: Any = unchanged.value
            return value  # type: ignore[no-any-return]  # what the operation returns otherwise
        except exc.SQLAlchemyError as error:
            if is_transient(error, dialect):
                raise  # the transaction is tried again as a whole
            raise translate(error, dialect, "the unit", attempts=1, elapsed_s=0.0) from error
