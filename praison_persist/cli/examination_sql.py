"""A SQL database, examined over one connection that only reads."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from praison_persist.cli.examination import (
    Examination,
    RefusedError,
    Verdict,
    examine_file,
    median_ms,
    with_version,
)
from praison_persist.errors import ConfigurationError, NotFoundError, UnavailableError
from praison_persist.sql import migrate
from praison_persist.sql.dialects import SQLITE
from praison_persist.sql.exclusive import run_reading
from praison_persist.sql.failures import codes
from praison_persist.sql.revision import State, command_line, revisions_of, state_of

__all__ = ["examine_sql"]


@dataclass(frozen=True, slots=True)
class _Questions:
    """What a database is asked, each in its own words; empty: it cannot tell.

    The answer is the last column of the first row.

    Attributes:
        server: its version.
        clock: its time, in seconds since the epoch.
        tls: the version of TLS of this connection; no row, or an empty one, without.
        connections: how many it has now.
        most: how many it takes.
    """

    server: str
    clock: str = ""
    tls: str = ""
    connections: str = ""
    most: str = ""


_SQLITE = _Questions("SELECT 'SQLite ' || sqlite_version()")
_MYSQL = _Questions(
    "SELECT CONCAT(@@version_comment, ' ', VERSION())",
    "SELECT UNIX_TIMESTAMP(SYSDATE(6))",
    "SHOW SESSION STATUS LIKE 'Ssl_version'",
    "SHOW GLOBAL STATUS LIKE 'Threads_connected'",
    "SELECT @@max_connections",
)
_QUESTIONS = {
    "sqlite": _SQLITE,
    "postgresql": _Questions(
        "SELECT version()",
        "SELECT extract(epoch FROM clock_timestamp())",
        "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl",
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'",
        "SELECT current_setting('max_connections')",
    ),
    "cockroachdb": _Questions("SELECT version()", "SELECT extract(epoch FROM clock_timestamp())"),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "singlestoredb": _Questions(
        "SELECT CONCAT('SingleStore ', @@memsql_version)",
        "SELECT UNIX_TIMESTAMP(NOW(6))",
        connections="",
        most="SELECT @@max_connections",
    ),
}


def examine_sql(result: Examination, database: Any, *, versioned: bool) -> None:
    """Note what a database is and what is wrong with it.

    Args:
        result: where it is noted.
        database: of a store; it is not connected to, and its tables are not made.
        versioned: it has to have our tables.

    Raises:
        NotFoundError: there is no such file.
        RefusedError: the server lets these credentials not in.
        UnavailableError: it cannot be reached.
        SchemaError: the tables are not those of this package; says what to type.
    """
    target = database.target
    result.address = str(target)
    if target.memory:
        raise ConfigurationError("An in-memory database ends with its process; there is none here")
    result.facts["driver"] = _driver(database)
    if target.dialect is SQLITE:
        _examine_file(result, Path(target.address))
    else:
        result.facts["pool"] = {
            "size": database.options.pool_size,
            "max_overflow": database.options.max_overflow,
        }
    try:
        state = run_reading(target, lambda c: _ask(c, result, database, versioned=versioned))
    except UnavailableError as error:
        cause = error.__cause__ or error
        # libpq keeps no result of a connection that failed, only the server's words: psycopg's
        # `sqlstate` is None there. "FATAL:" is what it puts before these, and before no other
        # failure. They may also say that the server takes nobody now.
        _, is_answer, answer = str(cause).partition("FATAL:")
        if is_answer:
            told = answer.strip().partition("\n")[0]
            raise RefusedError(
                f"{target} refused: {told}. Check user, password and database name, and whether "
                "the server takes connections"
            ) from error
        if codes(cause) & target.dialect.refused:
            raise RefusedError(str(error)) from error
        raise
    if versioned:
        _examine_tables(result, database, state)


def _examine_file(result: Examination, path: Path) -> None:
    if not path.exists():
        raise NotFoundError(
            f"There is no SQLite file {path}: check the path, or let the first use make it"
        )
    examine_file(result, path)


def _ask(
    connection: sa.Connection, result: Examination, database: Any, *, versioned: bool
) -> State:
    """Note the answers of the server; return the state of our tables."""
    facts, dialect = result.facts, database.target.dialect
    questions = _QUESTIONS.get(dialect.name) or _QUESTIONS[dialect.sql or dialect.name]
    facts["latency_ms"] = median_ms(lambda: connection.scalar(sa.select(1)))
    if told := _answer(connection, questions.server):
        facts["server"] = told[-1]
    before = time.time()
    told = _answer(connection, questions.clock)
    after = time.time()
    if told:
        result.compare_clock(float(told[-1]), before, after)
    told = _answer(connection, questions.tls)
    if told is not None:
        facts["tls"] = (told and told[-1]) or False
    for name, question in (
        ("server_connections", questions.connections),
        ("server_max_connections", questions.most),
    ):
        if told := _answer(connection, question):
            facts["pool"][name] = int(told[-1])
    if not versioned:
        return State.EMPTY
    facts["schema"] = ", ".join(sorted(revisions_of(connection, database.tables))) or None
    facts["schema_of_this_package"] = migrate.HEAD
    return state_of(connection, database.tables)


def _answer(connection: sa.Connection, question: str) -> tuple[Any, ...] | None:
    """Return the first row, empty if there is none; None if the server does not know."""
    if not question:
        return None
    try:
        with connection.begin_nested():
            row = connection.execute(sa.text(question)).first()
    except SQLAlchemyError:
        return None
    return () if row is None else tuple(row)


def _examine_tables(result: Examination, database: Any, state: State) -> None:
    """Note what is to be typed if the tables are not those of this package."""
    target, ours = database.target, database.tables
    if state is State.EMPTY:
        remedy = command_line(target, ours, "db", "upgrade")
        result.found(
            f"{target} has no tables yet: the first use makes them, or run: {remedy}",
            Verdict.ABSENT,
        )
        return
    if state is State.OTHER:
        known = {revision.revision for revision in migrate.history()}
        if not set(str(result.facts["schema"]).split(", ")) <= known:
            result.found(
                f"{target} is of a newer package: pip install --upgrade praison-persist",
                Verdict.SCHEMA_NEW,
            )
            return
    differences = migrate.check_target(target, ours)
    if differences:
        remedy = command_line(target, ours, "db", "check")
        result.found(
            f"The tables differ from those of this package in {len(differences)} places; "
            f"to see them run: {remedy}"
        )


def _driver(database: Any) -> str:
    return with_version(database.driver.module)
