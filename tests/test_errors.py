"""Whatever a driver raises reaches the caller as one of our errors, and tells no secret."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import psycopg
import pymysql
import pytest
import singlestoredb.exceptions
import sqlalchemy as sa
from sqlalchemy import exc

from praison_persist import errors
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    PersistError,
    UnavailableError,
)
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql import hrana
from praison_persist.sql.dialects import DIALECTS
from praison_persist.sql.failures import is_transient, translate
from praison_persist.sql.schema import Tables
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore

from .servers import free_port

SECRET = "5ecret-content"


def told(error: BaseException) -> str:
    """Return everything that a log of the error shows, its causes included."""
    return "".join(traceback.format_exception(error)) + "".join(repr(e) for e in chain(error))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def classes(module: ModuleType, base: type[BaseException]) -> list[type[BaseException]]:
    found = [value for _, value in inspect.getmembers(module, inspect.isclass)]
    return [value for value in found if issubclass(value, base)]


def driver_errors() -> Iterator[tuple[str, type[BaseException], type[BaseException]]]:
    """Yield the dialect, the exception and the base of exceptions, for each that a driver has."""
    for kind in classes(psycopg.errors, psycopg.Error):
        yield "postgresql", kind, psycopg.Error
    for kind in classes(pymysql.err, pymysql.err.Error):
        yield "mysql", kind, pymysql.err.Error
    for kind in classes(singlestoredb.exceptions, singlestoredb.exceptions.Error):
        yield "singlestoredb", kind, singlestoredb.exceptions.Error
    for kind in classes(sqlite3, sqlite3.Error):
        yield "sqlite", kind, sqlite3.Error
    for kind in classes(hrana, hrana.Error):
        yield "libsql", kind, hrana.Error


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "singlestoredb", "sqlite", "libsql"])
def test_every_exception_of_a_driver_is_translated(dialect: str) -> None:
    """A caller has to know the drivers' exceptions to catch a failure."""
    count = 0
    for name, kind, base in driver_errors():
        if name != dialect:
            continue
        count += 1
        origin = kind("what the driver said")
        wrapped = exc.DBAPIError.instance(
            "SELECT 1",
            {"a": SECRET},
            origin,
            base,  # type: ignore[arg-type]  # the driver's Error, whose base is Exception
            hide_parameters=True,
        )
        for error in (origin, wrapped):
            found = translate(error, DIALECTS[dialect], "host/db", attempts=2, elapsed_s=1.5)
            assert isinstance(found, BackendError | ConflictError | InvalidDataError)
            assert "what the driver said" in str(found)
            assert "host/db" in str(found)
    assert count >= 8


def test_every_exception_of_asyncpg_is_translated() -> None:
    """SQLAlchemy wraps asyncpg's, and lets those of its connect through."""
    found = classes(asyncpg.exceptions, asyncpg.PostgresError) + classes(
        asyncpg.exceptions, asyncpg.InterfaceError
    )
    assert len(found) > 200
    for kind in found:
        error = kind("what the driver said")
        translated = translate(error, DIALECTS["postgresql"], "host/db", attempts=1, elapsed_s=0.0)
        assert isinstance(translated, BackendError)


def test_a_connection_that_is_cut_while_it_is_made_is_tried_again() -> None:
    """It reaches the caller as an error of the database, which nobody would try again."""
    cut = asyncpg.InterfaceError("connection is closed")
    assert is_transient(cut, DIALECTS["postgresql"])
    refused = asyncpg.InvalidPasswordError("password authentication failed")
    assert not is_transient(refused, DIALECTS["postgresql"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_exception_of_sqlalchemy_is_translated(dialect: str) -> None:
    """A pool that is exhausted, or a statement that cannot be compiled, is SQLAlchemy's own."""
    error: BaseException
    for kind in classes(exc, exc.SQLAlchemyError):
        if issubclass(kind, exc.DBAPIError):
            error = kind("SELECT 1", {}, ValueError("what it said"))
        elif issubclass(kind, exc.StatementError):
            error = kind("what it said", "SELECT 1", {}, ValueError("what it said"))
        elif getattr(kind, "__init__") is getattr(exc.SQLAlchemyError, "__init__"):  # noqa: B009 - bound methods to mypy
            error = kind("what it said")
        else:
            continue  # of the compiler, with a constructor of its own
        found = translate(error, DIALECTS[dialect], "host/db", attempts=1, elapsed_s=0.0)
        assert isinstance(found, PersistError)
        assert "what it said" in str(found)


class _Coded(Exception):  # noqa: N818 - stands for drivers' exceptions
    def __init__(self, *args: object, **codes: object) -> None:
        super().__init__(*args)
        vars(self).update(codes)


@pytest.mark.parametrize(
    ("dialect", "origin", "transient", "expected"),
    [
        ("postgresql", _Coded("x", sqlstate="40001"), True, UnavailableError),
        ("postgresql", _Coded("x", sqlstate="40P01"), True, UnavailableError),
        ("postgresql", _Coded("x", sqlstate="57P01"), True, UnavailableError),
        ("postgresql", _Coded("x", pgcode="53300"), True, UnavailableError),
        ("postgresql", _Coded("x", sqlstate="28P01"), False, UnavailableError),
        ("postgresql", _Coded("x", sqlstate="53100"), False, UnavailableError),
        ("postgresql", _Coded("x", sqlstate="42P01"), False, BackendError),
        ("mysql", _Coded(1213, "x", sqlstate="40001"), True, UnavailableError),
        ("mysql", _Coded(1205, "x", sqlstate="HY000"), True, UnavailableError),
        ("mysql", _Coded(2013, "x"), True, UnavailableError),
        ("mysql", _Coded(1180, "x", sqlstate="HY000"), True, UnavailableError),
        ("mysql", _Coded(1045, "x", sqlstate="28000"), False, UnavailableError),
        ("mysql", _Coded(1146, "x", sqlstate="42S02"), False, BackendError),
        (
            "singlestoredb",
            singlestoredb.exceptions.OperationalError(1205, "x"),
            True,
            UnavailableError,
        ),
        (
            "singlestoredb",
            singlestoredb.exceptions.OperationalError(1735, "x"),
            True,
            UnavailableError,
        ),
        (
            "singlestoredb",
            singlestoredb.exceptions.OperationalError(1045, "x"),
            False,
            UnavailableError,
        ),
        (
            "singlestoredb",
            singlestoredb.exceptions.OperationalError(1706, "x"),
            False,
            BackendError,
        ),
        ("sqlite", _Coded("x", sqlite_errorcode=5), True, UnavailableError),
        ("sqlite", _Coded("x", sqlite_errorcode=517), True, UnavailableError),
        ("sqlite", _Coded("x", sqlite_errorcode=13), False, UnavailableError),
        ("sqlite", _Coded("x", sqlite_errorcode=1), False, BackendError),
        ("libsql", _Coded("x", hrana_code="SQLITE_BUSY"), True, UnavailableError),
        ("libsql", _Coded("x", hrana_code="STREAM_EXPIRED"), True, UnavailableError),
        ("libsql", _Coded("x", hrana_code="TRANSACTION_TIMEOUT"), True, UnavailableError),
        ("libsql", _Coded("x", hrana_code="HTTP_401"), False, UnavailableError),
        ("libsql", _Coded("x", hrana_code="SQLITE_UNKNOWN"), False, BackendError),
    ],
    ids=lambda value: repr(value) if isinstance(value, _Coded) else None,
)
def test_the_code_decides_what_is_tried_again(
    dialect: str, origin: Exception, transient: bool, expected: type[PersistError]
) -> None:
    """A deadlock reaches the caller, or a wrong password is tried four times."""
    error = exc.OperationalError("SELECT 1", {}, origin)
    assert is_transient(error, DIALECTS[dialect]) is transient
    found = translate(error, DIALECTS[dialect], "host/db", attempts=4, elapsed_s=1.0)
    assert type(found) is expected


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """A class that is added is documented, or is not."""
    for kind in classes(errors, PersistError):
        assert f"{kind.__name__} " in f"{errors.__doc__} ".replace("\n", " ")
        for parent in kind.__bases__:
            assert parent.__name__ in str(errors.__doc__) or parent is Exception


def test_not_found_is_readable() -> None:
    """A KeyError shows its message in quotes."""
    assert str(errors.NotFoundError("no session 's'")) == "no session 's'"


def test_unavailable_says_how_hard_was_tried() -> None:
    """An operator cannot tell a first failure from a long outage."""
    url = f"postgresql://u@127.0.0.1:{free_port()}/db"
    with (
        SQLConversationStore(url, max_retries=2, retry_delay=0.01) as store,
        pytest.raises(UnavailableError, match="3 attempts") as caught,
    ):
        store.get_session("s")
    assert caught.value.attempts == 3
    assert 0 < caught.value.elapsed_s < 30
    assert isinstance(caught.value.__cause__, exc.SQLAlchemyError)


def not_null(connection: sa.Connection, t: Tables) -> None:
    row = {"session_id": "s", "seq": 1, "id": "m", "content": SECRET, "role": None}
    connection.execute(sa.insert(t.messages), row | {"created_at": 1.0})


def no_such_table(connection: sa.Connection, _t: Tables) -> None:
    nonsense = sa.table("nonsense", sa.column("content"))
    connection.execute(sa.insert(nonsense), {"content": SECRET})


def no_such_parent(connection: sa.Connection, t: Tables) -> None:
    row = {"session_id": SECRET, "seq": 1, "id": "m", "content": SECRET, "role": "user"}
    connection.execute(sa.insert(t.messages), row | {"created_at": 1.0})


def too_long(connection: sa.Connection, t: Tables) -> None:
    row = {"session_id": "s", "seq": 1, "id": "m", "content": SECRET, "role": "x" * 100}
    connection.execute(sa.insert(t.messages), row | {"created_at": 1.0})


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    database: str = request.getfixturevalue(f"{request.param}_database")
    return database


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (not_null, (ConflictError, BackendError)),
        (no_such_table, BackendError),
        (no_such_parent, ConflictError),
    ],
)
def test_no_content_is_told(
    url: str, operation: Any, expected: type[PersistError] | tuple[type[PersistError], ...]
) -> None:
    """A failed statement is logged with the conversation in it: its values, or the whole row."""

    async def fail() -> PersistError:
        async with AsyncSQLConversationStore(url) as store:
            await store.ensure_session(ConversationSession(session_id="s"))
            with pytest.raises(expected) as caught:
                await store.database.run(operation)
            return caught.value

    with SQLConversationStore(url) as store:
        store.ensure_session(ConversationSession(session_id="s"))
        with pytest.raises(expected) as caught:
            store.database.run(operation)
    for error in (caught.value, asyncio.run(fail())):
        assert SECRET not in str(error)


def test_what_is_too_long_is_invalid_data(postgres_database: str, mariadb_database: str) -> None:
    """A limit of one database is reported as a failure of the database."""
    for url in (postgres_database, mariadb_database):
        with SQLConversationStore(url) as store:
            store.ensure_session(ConversationSession(session_id="s"))
            with pytest.raises(InvalidDataError) as caught:
                store.database.run(too_long)
            assert SECRET not in told(caught.value)


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    """The wrong file is overwritten, or a riddle is raised."""
    path = tmp_path / "notes.txt"
    path.write_text("no database" * 1000)
    before = path.read_bytes()
    with SQLConversationStore(path) as store, pytest.raises(UnavailableError, match=r"notes\.txt"):
        store.get_session("s")
    with (
        SQLConversationStore(tmp_path) as store,
        pytest.raises(UnavailableError, match="unable to open"),
    ):
        store.get_session("s")
    with (
        SQLConversationStore(tmp_path / "absent" / "x.db") as store,
        pytest.raises(UnavailableError, match="unable to open"),
    ):
        store.get_session("s")
    assert path.read_bytes() == before


def test_an_unknown_option_is_refused_at_once() -> None:
    """It is ignored, or found at the first use."""
    for kind in (SQLConversationStore, AsyncSQLConversationStore):
        with pytest.raises(ConfigurationError, match="did you mean 'pool_size'"):
            kind(":memory:", pool_sise=1)
        wrong: dict[str, Any] = {
            "pool_size": 0,
            "pool_timeout": "1",
            "max_retries": -1,
            "synchronous": "SOMETIMES",
            "table_prefix": "a; DROP TABLE",
            "schema": 'a"b',
        }
        for option, value in wrong.items():
            with pytest.raises(ConfigurationError, match=option):
                kind(":memory:", **{option: value})


def test_an_error_in_the_callers_own_data_is_not_blamed_on_the_database(tmp_path: Path) -> None:
    """A TypeError of ours is retried, or reported as an outage."""
    with SQLConversationStore(tmp_path / "x.db") as store:
        store.create_session(ConversationSession(session_id="s"))
        with pytest.raises(AttributeError):
            store.add_message("s", "text")  # type: ignore[arg-type]  # the point
        assert store.add_message("s", ConversationMessage(role="user")).seq == 1
