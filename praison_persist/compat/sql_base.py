"""The documented way to write a conversation store for a SQL dialect that is not built in."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.sql import ClauseElement

from praison_persist._adapt import background_loop
from praison_persist._flow import run
from praison_persist._retry import RetryPolicy
from praison_persist.compat.checks import validate_identifier
from praison_persist.compat.dialect_driver import DialectDriver, HookError
from praison_persist.compat.dialect_sql import DialectTables, Parameter, ddl, insertion, statement
from praison_persist.conversation.base import BaseConversationStore
from praison_persist.conversation.driver import done
from praison_persist.errors import PersistError, SchemaError

__all__ = ["_SQLConversationStoreBase"]

T = TypeVar("T")


class _SQLConversationStoreBase(BaseConversationStore):
    """A conversation store over the hooks of a SQL dialect, with the whole contract.

    A subclass says how its columns are typed and how statements are run. A connection that has
    `commit` and `rollback`, as those of DB-API 2.0 do, is used for one transaction at a time;
    with another each statement stands alone, and what several processes write at once may
    conflict. Hooks may be coroutines: they run on the background loop of this process.

    An id is compared as its type compares: give `_id_type` a binary collation where the dialect's
    own ignores case or orders by language. A `_json_type` such as JSONB changes the order of keys.

    Attributes:
        _id_type: type of ids, of up to 255 characters.
        _json_type: type of JSON, which is sent as text and may be read as text or as objects.
        _text_type: type of texts, which may be long.
        _float_type: type of times, of double precision.
        _param: how a parameter is written, "%s" or "?", or a method: number, from 1 -> text.
        _serverless_hosts: how the host names end of services whose databases sleep.
        _transient_errors: exceptions that may not meet the next try; those are repeated.

    Args:
        table_prefix: begins the names of the two tables.
        auto_create_tables: create them, unless there are tables of these names.
        max_retries: further tries of an operation that failed transiently.
        retry_delay: seconds, bound of the wait before the first; it doubles with each.
        options: of the subclass. `url` tells whether the service is serverless.

    Raises:
        SchemaError: there are tables of these names that are not of here.
    """

    SCHEMA_VERSION: ClassVar[str] = "1.0.0"
    _id_type: str = "VARCHAR(255)"
    _json_type: str = "JSONB"
    _text_type: str = "TEXT"
    _float_type: str = "DOUBLE PRECISION"
    _param: Parameter = "%s"
    _serverless_hosts: tuple[str, ...] = ()

    def __init__(
        self,
        table_prefix: str = "praison_",
        auto_create_tables: bool = True,
        max_retries: int = 3,
        retry_delay: float = 0.5,
        **options: Any,
    ) -> None:
        self.table_prefix = validate_identifier(table_prefix, "table_prefix")
        self._max_retries, self._retry_delay = max_retries, retry_delay
        self._serverless = self._detect_serverless(**options)
        self._tables = DialectTables.named(
            self.sessions_table,
            self.messages_table,
            identifier=self._id_type,
            text=self._text_type,
            json=self._json_type,
            number=self._float_type,
        )
        hooks = (self._execute, self._fetchone, self._fetchall)
        self._spread = {
            hook.__name__ for hook in hooks if _has(hook, inspect.Parameter.VAR_POSITIONAL)
        }
        self._release: Callable[[], Any] = _nothing
        self._releasing = False
        self._may_close = "close" in inspect.signature(self._put_conn).parameters
        driver = DialectDriver(
            self._tables,
            self._run_statements,
            lambda: self._transient_errors,
            RetryPolicy(max_retries, retry_delay),
            lambda: _called(self._release),
            type(self).__name__,
        )
        super().__init__(driver)
        takes = _has(self._connect, inspect.Parameter.VAR_KEYWORD)
        _called(self._connect, **(options if takes else {}))
        if auto_create_tables:
            self._create_tables()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        own = vars(cls).get("close")
        if own is not None:
            setattr(cls, "close", _ending(own))  # noqa: B010 - to types it is final

    @abstractmethod
    def _connect(self) -> Any:
        """Connect, or make a pool. Called once; given the constructor's options if it takes any."""

    @abstractmethod
    def _get_conn(self) -> Any:
        """Return a connection that nobody else uses before `_put_conn`."""

    @abstractmethod
    def _put_conn(self, conn: Any, close: bool = False) -> Any:
        """Take a connection back; `close`: it is broken."""

    @abstractmethod
    def _execute(self, conn: Any, sql: str, params: tuple[Any, ...] = ()) -> Any:
        """Run a statement. One that is declared with `*args` gets the parameters one by one."""

    @abstractmethod
    def _fetchone(self, conn: Any, sql: str, params: tuple[Any, ...] = ()) -> Any:
        """Run a statement and return its first row as a dict, or None."""

    @abstractmethod
    def _fetchall(self, conn: Any, sql: str, params: tuple[Any, ...] = ()) -> Any:
        """Run a statement and return its rows as dicts."""

    @property
    def _transient_errors(self) -> tuple[type[BaseException], ...]:
        return ()

    @property
    def sessions_table(self) -> str:
        """The name of the sessions' table."""
        return f"{self.table_prefix}sessions"

    @property
    def messages_table(self) -> str:
        """The name of the messages' table."""
        return f"{self.table_prefix}messages"

    @property
    def _sessions_ddl(self) -> str:
        return ddl(self._tables.sessions)

    @property
    def _messages_ddl(self) -> str:
        return ddl(self._tables.messages)

    @property
    def _session_indexes(self) -> list[str]:
        return [ddl(self._tables.index(f"idx_{self.table_prefix}sessions_updated"))]

    @property
    def _message_indexes(self) -> list[str]:
        return []  # the table's keys are all it is read by

    def _create_tables(self) -> None:
        """Create the tables and indexes that there are not, and check that all are of here."""
        texts = (self._sessions_ddl, self._messages_ddl)
        for text in (*texts, *self._session_indexes, *self._message_indexes):
            self._try("create its tables", partial(self._sql, self._execute, sql=text, values=()))
        for table in (self._tables.sessions, self._tables.messages):
            text, values = statement(sa.select(table).limit(1), self._param)
            read = partial(self._sql, self._fetchall, sql=text, values=values)
            try:
                self._try("read its tables", read)
            except PersistError as error:
                raise SchemaError(
                    f"{type(self).__name__}: there is a table {table.name} with other columns, "
                    "perhaps one of praisonai. Choose another table_prefix, or rename it"
                ) from error

    def _run_with_conn(self, operation: Callable[[Any], T]) -> T:
        """Run a function of a connection in a transaction.

        Raises:
            HookError: whatever a hook raised is its cause.
        """
        conn = self._hook(self._get_conn)
        broken = False
        try:
            result = operation(conn)
            self._end(conn, "commit")
        except BaseException as error:
            broken = not self._rolled_back(conn, error)
            raise
        finally:
            self._hook(self._put_conn, conn, **({"close": broken} if self._may_close else {}))
        return result

    def _rolled_back(self, conn: Any, error: BaseException) -> bool:
        try:
            self._end(conn, "rollback")
        except HookError:  # the first error tells what happened
            return False
        return not isinstance(error.__cause__, self._transient_errors)

    def _run_statements(self, operation: Callable[[Any], T]) -> T:
        def run_on(conn: Any) -> T:
            execute, fetchone, fetchall = (
                partial(self._sql, hook, conn)
                for hook in (self._execute, self._fetchone, self._fetchall)
            )
            return operation(_Transaction(execute, fetchone, fetchall, self._param))

        return self._run_with_conn(run_on)

    def _try(self, action: str, operation: Callable[[Any], Any]) -> None:
        """Run a function of a connection as the driver's hooks are run."""
        run(self._flows.call(action, lambda: done(self._run_with_conn(operation))))

    def _sql(self, hook: Callable[..., Any], conn: Any, sql: str, values: Sequence[Any]) -> Any:
        spread = hook.__name__ in self._spread
        return self._hook(hook, conn, sql, *(values if spread else (tuple(values),)))

    def _end(self, conn: Any, how: str) -> None:
        if hasattr(conn, how):
            self._hook(getattr(conn, how))

    def _hook(self, hook: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return _called(hook, *arguments, **options)
        except Exception as error:  # what a dialect raises is not known here
            raise HookError(type(error).__name__) from error

    def _detect_serverless(self, **options: Any) -> bool:
        """Whether the host of `url` is one of `_serverless_hosts`."""
        host = urlsplit(str(options.get("url") or "")).hostname or ""
        return bool(self._serverless_hosts) and host.endswith(self._serverless_hosts)


@dataclass(frozen=True, slots=True)
class _Transaction:
    """See `dialect_driver.Statements`. Its functions are hooks of the dialect on one connection."""

    run: Callable[..., Any]
    fetchone: Callable[..., Any]
    fetchall: Callable[..., Any]
    parameter: Parameter

    def execute(self, element: ClauseElement) -> None:
        """See Statements.execute."""
        self.run(*statement(element, self.parameter))

    def insert(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """See Statements.insert."""
        self.run(*insertion(table, rows, self.parameter))

    def rows(self, element: ClauseElement) -> list[Mapping[str, Any]]:
        """See Statements.rows."""
        return list(self.fetchall(*statement(element, self.parameter)) or ())

    def row(self, element: ClauseElement) -> Mapping[str, Any] | None:
        """See Statements.row."""
        row: Mapping[str, Any] | None = self.fetchone(*statement(element, self.parameter))
        return row


def _ending(own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a `close` that also ends the store's use, around one that releases connections."""

    @wraps(own)
    def close(self: Any) -> Any:
        if self._releasing:  # by the `close` of a subclass, which calls that of its base
            return own(self)
        self._releasing, self._release = True, partial(own, self)
        try:
            return BaseConversationStore.close(self)
        finally:
            self._releasing = False

    return close


def _nothing() -> None:
    """Release nothing: the subclass has no `close`."""


def _called(hook: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a hook of either colour."""
    result = hook(*arguments, **options)
    # Of a foreign connection's methods it is not known before they are called.
    return background_loop().call(result) if inspect.iscoroutine(result) else result


def _has(hook: Callable[..., Any], kind: Any) -> bool:
    return any(each.kind is kind for each in inspect.signature(hook).parameters.values())
