"""The only author of DDL from a program: Alembic's commands on our revisions.

Alembic is imported when it is needed; a store whose database is current never pays for it.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchModuleError

from praison_persist.errors import (
    ConfigurationError,
    MissingDependencyError,
    PersistError,
    SchemaError,
)
from praison_persist.sql.adoption import Adoption, adopt_report
from praison_persist.sql.dialects import DIALECTS
from praison_persist.sql.exclusive import run_alone, run_reading
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.revision import (
    HEAD,
    State,
    command_line,
    is_current,
    is_unused,
    other_prefixes,
    revisions_of,
    state_of,
    unadoptable,
)
from praison_persist.sql.schema import DEFAULT_PREFIX, Tables, tables
from praison_persist.sql.search_names import is_search_name
from praison_persist.sql.url import Target, parse_url

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "HEAD",
    "OFFLINE_DIALECTS",
    "Adoption",
    "Revision",
    "adopt_report",
    "as_command_errors",
    "as_seen_by",
    "aupgrade",
    "check",
    "check_target",
    "current",
    "downgrade",
    "downgrade_target",
    "ensure",
    "environment",
    "exclusively",
    "has_schemas",
    "history",
    "ini_path",
    "is_current",
    "offline_dialect",
    "offline_sql",
    "script_location",
    "sqlalchemy_name",
    "upgrade",
    "upgrade_target",
]

_log = logging.getLogger(__name__)

R = TypeVar("R")
URL = str | os.PathLike[str]

OFFLINE_DIALECTS = (
    *("postgresql", "cockroachdb", "sqlite"),
    *("mariadb", "mysql", "singlestoredb"),
)

# Alembic's context is a global of its module.
_alembic_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema's history; `down_revision` is the one before it."""

    revision: str
    down_revision: str | None
    title: str


# Used by a store


def ensure(target: Target, options: SQLOptions, *, engine: sa.Engine | None = None) -> None:
    """Make the tables current if the database is empty; otherwise say what to do about it.

    Args:
        target: the database.
        options: `auto_migrate`, `table_prefix` and `schema` are looked at.
        engine: of an in-memory database, whose single connection has to be used.

    Raises:
        SchemaError: the tables are not current and it is not for a program to change that, or
            not allowed to; the message has the command to type.
        UnavailableError: the database, or its migration lock, could not be had in time.
    """
    ours = tables(options.table_prefix, options.schema)
    if engine is not None:
        with engine.begin() as connection:
            _ensure_on(connection, target, options)
        return
    if target.dialect.lock_is_table and not options.auto_migrate:
        run_reading(target, lambda connection: _refuse_absent(connection, target, ours))
    run_alone(target, ours, lambda connection: _ensure_on(connection, target, options))


def _refuse_absent(connection: sa.Connection, target: Target, ours: Tables) -> None:
    """Refuse an empty database before its lock is made, which would be its first table."""
    state = state_of(connection, ours)
    if state is State.EMPTY:
        raise SchemaError(_off_message(target, ours, state))


def _off_message(target: Target, ours: Tables, state: State) -> str:
    return (
        f"{target} {state.value} and auto_migrate is off. "
        f"Run: {command_line(target, ours, 'db', 'upgrade')}"
    )


def _ensure_on(connection: sa.Connection, target: Target, options: SQLOptions) -> None:
    ours = tables(options.table_prefix, options.schema)
    with _looking(connection):
        state = state_of(connection, ours)
        if state is State.CURRENT:
            return
        if state is State.LEGACY:
            raise SchemaError(_legacy_message(target, ours))
        if state is State.OTHER:
            _refuse_newer(connection, target, ours)
            if not is_unused(connection, ours):
                found = ", ".join(sorted(revisions_of(connection, ours)))
                raise SchemaError(
                    f"{target} is at revision {found}, older than this package's {HEAD}. Back it "
                    f"up, then run: {command_line(target, ours, 'db', 'upgrade')}"
                )
        if not options.auto_migrate:
            raise SchemaError(_off_message(target, ours, state))
        for prefix in other_prefixes(connection, ours):
            _log.warning(
                "%s also holds tables of praisonai, which table_prefix=%r would use", target, prefix
            )
    _run(connection, ours, "upgrade", "head")


def _looking(connection: sa.Connection) -> AbstractContextManager[object]:
    """Read in the transaction that there is, or in one that ends before Alembic begins its own."""
    return nullcontext() if connection.in_transaction() else connection.begin()


def _legacy_message(target: Target, ours: Tables) -> str:
    if not target.dialect.adopts:
        return unadoptable(target, ours)
    report = command_line(target, ours, "db", "adopt")
    adopt = command_line(target, ours, "db", "adopt", "--yes")
    return (
        f"{target} holds {ours.sessions.name} and {ours.messages.name} of the package praisonai. "
        "They can be adopted with all their rows; praisonai cannot write to them afterwards. "
        f"Stop it, back the database up (to see what would change: {report}), then run: {adopt}"
    )


def _refuse_newer(connection: sa.Connection, target: Target, ours: Tables) -> None:
    known = {revision.revision for revision in history()}
    unknown = sorted(revisions_of(connection, ours) - known)
    if unknown:
        raise SchemaError(
            f"{target} is at revision {', '.join(unknown)}, which this package does not know; it "
            f"knows up to {HEAD}. Upgrade it: pip install --upgrade praison-persist"
        )


# Used by people and programs that deploy


def upgrade(
    url: URL,
    *,
    revision: str = "head",
    table_prefix: str = DEFAULT_PREFIX,
    schema: str | None = None,
) -> None:
    """Bring a database to `revision`: create the tables, or adopt those of praisonai.

    Raises:
        SchemaError: the revision does not exist, the database is newer than this package, or its
            tables belong to something else.
        UnavailableError: the database, or its migration lock, could not be had in time.
        BackendError: the database refused a statement. PostgreSQL and SQLite are then unchanged;
            on MariaDB, MySQL and CockroachDB an upgrade is completed by running it again.
    """
    _change("upgrade", _stored(url), revision, tables(table_prefix, schema))


def upgrade_target(target: Target, options: SQLOptions) -> None:
    """Do what `upgrade` does, for the database of a store. Raises as `upgrade`.

    The tables of an in-memory database are made by the store that opens it.
    """
    if not target.memory:
        _change("upgrade", target, "head", tables(options.table_prefix, options.schema))


def downgrade_target(target: Target, options: SQLOptions) -> None:
    """Drop the tables of a store's database, if they are empty. Raises as `downgrade`."""
    _change("downgrade", target, "base", tables(options.table_prefix, options.schema), force=False)


async def aupgrade(
    url: URL,
    *,
    revision: str = "head",
    table_prefix: str = DEFAULT_PREFIX,
    schema: str | None = None,
) -> None:
    """Do what `upgrade` does, in a thread."""
    await asyncio.to_thread(
        upgrade, url, revision=revision, table_prefix=table_prefix, schema=schema
    )


def downgrade(
    url: URL,
    *,
    revision: str,
    table_prefix: str = DEFAULT_PREFIX,
    schema: str | None = None,
    force: bool = False,
) -> None:
    """Take a database back to `revision`; "base" drops the tables.

    Raises:
        SchemaError: rows would be dropped and `force` is not set.
    """
    _change("downgrade", _stored(url), revision, tables(table_prefix, schema), force=force)


def current(
    url: URL, *, table_prefix: str = DEFAULT_PREFIX, schema: str | None = None
) -> str | None:
    """Return the revision that a database is at; None if it has none."""
    ours = tables(table_prefix, schema)
    found = run_reading(_stored(url), lambda connection: revisions_of(connection, ours))
    return ", ".join(sorted(found)) or None


def history() -> list[Revision]:
    """Return the revisions of this package, newest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - Alembic only where it is used

    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [
        Revision(script.revision, _only(script.down_revision), script.doc.strip())
        for script in scripts
    ]


def _only(down_revision: Any) -> str | None:
    return down_revision if isinstance(down_revision, str) else None


def check(url: URL, *, table_prefix: str = DEFAULT_PREFIX, schema: str | None = None) -> list[str]:
    """Return how a database's tables differ from those of this code; nothing when all is well.

    Columns and indexes that others added to the tables are no difference.

    Raises:
        SchemaError: the database is not at the head revision.
    """
    return check_target(_stored(url), tables(table_prefix, schema))


def check_target(target: Target, ours: Tables) -> list[str]:
    """Do what `check` does, for the database of a store."""
    return run_reading(target, lambda connection: _differences(connection, target, ours))


def _differences(connection: sa.Connection, target: Target, ours: Tables) -> list[str]:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - Alembic only where it is used
    from alembic.runtime import migration  # noqa: PLC0415 - Alembic only where it is used

    state = state_of(connection, ours)
    if state is not State.CURRENT:
        if state is State.OTHER:
            _refuse_newer(connection, target, ours)
        remedy = command_line(target, ours, "db", "upgrade")
        raise SchemaError(f"{target} {state.value}. Run: {remedy}")
    options = environment(as_seen_by(connection, ours))
    context = migration.MigrationContext.configure(connection, opts=options)
    found = compare_metadata(context, options["target_metadata"])
    return [_describe(difference) for difference in found if not _is_addition(difference)]


def _is_addition(difference: Any) -> bool:
    return isinstance(difference, tuple) and str(difference[0]).startswith("remove_")


def _describe(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_describe(one) for one in difference)
    kind, *rest = difference
    # Not by ==, which makes a clause of a column.
    told = (part for part in rest if not (part is None or (isinstance(part, dict) and not part)))
    return f"{kind}: {' '.join(map(str, told))}"


def offline_sql(
    *,
    url: URL | None = None,
    dialect: str | None = None,
    revision: str = "head",
    table_prefix: str = DEFAULT_PREFIX,
    schema: str | None = None,
) -> str:
    """Return the SQL that brings an empty database to `revision`. It cannot adopt.

    Args:
        url: says the dialect; it is not connected to.
        dialect: one of OFFLINE_DIALECTS, instead of a URL.
        revision: "a:b" begins at a.
        table_prefix: begins the name of every table.
        schema: database schema of the tables.
    """
    dialect = offline_dialect(url, dialect)
    _check_installed(dialect)
    script = io.StringIO()
    config = _config(tables(table_prefix, schema), script, dialect=dialect)
    _command("upgrade", config, revision, sql=True)
    return script.getvalue()


def script_location() -> Path:
    """Return the directory of the revisions: in the package, or beside it in a checkout."""
    return ini_path().parent / "migrations"


def ini_path() -> Path:
    """Return the path of alembic.ini: in the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "alembic.ini"
    return installed if installed.exists() else package.parent / "alembic.ini"


# Used by migrations/env.py


def environment(ours: Tables) -> dict[str, Any]:
    """Return what Alembic's context has to know about these tables."""
    # Makes itself known to Alembic, which is loaded by now.
    import praison_persist.sql.alembic_impls  # noqa: F401, PLC0415 - see above

    names = {table.name for table in ours.metadata.tables.values()}

    def include_name(name: str | None, type_: str, _parents: Any) -> bool:
        if type_ == "schema":
            return name == ours.schema
        if type_ == "index":
            return not is_search_name(ours, name)
        return type_ != "table" or name in names

    return {
        "target_metadata": ours.metadata,
        "table_prefix": ours.prefix,
        "table_schema": ours.schema,
        "version_table": ours.version_table,
        "version_table_schema": ours.schema,
        "include_schemas": ours.schema is not None,
        "include_name": include_name,
        "compare_type": True,
        "compare_server_default": True,
    }


def as_seen_by(connection: sa.Connection, ours: Tables) -> Tables:
    """Return the tables without a schema if theirs is the connection's own.

    Reflection calls that schema None, so that a comparison would find all tables missing.
    """
    if ours.schema == connection.dialect.default_schema_name:
        return tables(ours.prefix, None)
    return ours


def exclusively(url: URL, ours: Tables, work: Callable[[sa.Connection], R]) -> R:
    """Run `work` on a connection of its own, under the migration lock. See `run_alone`."""
    return run_alone(parse_url(url), ours, work)


def offline_dialect(url: URL | None, dialect: str | None) -> str:
    """Return `dialect` if it is one of OFFLINE_DIALECTS, else the one that `url` means.

    MariaDB and MySQL have no collation in common that tells ids apart byte by byte, so that a
    script is for one of them: mariadb://… or mysql://….
    """
    if dialect is None:
        if url is None:
            raise ConfigurationError(
                "A script is for one database: give a url or a dialect "
                f"(alembic -x dialect=…): {', '.join(OFFLINE_DIALECTS)}"
            )
        found = parse_url(url).dialect
        name = found.sql or found.name
        return "mariadb" if str(url).lower().startswith("mariadb") else name
    if dialect not in OFFLINE_DIALECTS:
        raise ConfigurationError(
            f"Unknown dialect {dialect!r}. Known: {', '.join(OFFLINE_DIALECTS)}"
        )
    return dialect


def has_schemas(dialect: str) -> bool:
    """Whether a database of this dialect, as SQLAlchemy names it, holds schemas."""
    return dialect in DIALECTS and DIALECTS[dialect].schemas


def sqlalchemy_name(dialect: str) -> str:
    """Return what SQLAlchemy finds one of OFFLINE_DIALECTS by."""
    return (dialect in DIALECTS and DIALECTS[dialect].registered) or dialect


def _check_installed(name: str) -> None:
    """Make sure that SQLAlchemy has the dialect; some come with a package of their vendor's."""
    try:
        sa.URL.create(sqlalchemy_name(name)).get_dialect()
    except NoSuchModuleError as error:
        extra = DIALECTS[name].drivers[0].extra
        raise MissingDependencyError(
            f"SQLAlchemy's dialect {name} is not installed. "
            f"Install it: pip install 'praison-persist[{extra}]'"
        ) from error


@contextmanager
def as_command_errors() -> Iterator[None]:
    """Let Alembic's command line print our errors as it prints its own."""
    from alembic.util import CommandError  # noqa: PLC0415 - Alembic only where it is used

    try:
        yield
    except PersistError as error:
        raise CommandError(str(error)) from error


# Alembic


def _stored(url: URL) -> Target:
    """Parse the URL of a database that outlives a connection."""
    target = parse_url(url)
    if target.memory:
        raise ConfigurationError(
            "An in-memory database is migrated by the store that opens it; give a file or a server"
        )
    return target


def _change(command: str, target: Target, revision: str, ours: Tables, **settings: Any) -> None:
    def work(connection: sa.Connection) -> None:
        with _looking(connection):
            if state_of(connection, ours) is State.OTHER:
                _refuse_newer(connection, target, ours)
        _run(connection, ours, command, revision, **settings)

    run_alone(target, ours, work)


def _run(
    connection: sa.Connection, ours: Tables, command: str, revision: str, **settings: Any
) -> None:
    _command(command, _config(ours, connection=connection, **settings), revision)


def _command(name: str, config: Config, revision: str, **options: Any) -> None:
    from alembic import command  # noqa: PLC0415 - Alembic only where it is used
    from alembic.util import CommandError  # noqa: PLC0415 - Alembic only where it is used

    with _alembic_lock:
        try:
            getattr(command, name)(config, revision, **options)
        except CommandError as error:
            raise SchemaError(str(error)) from error


def _config(
    ours: Tables | None = None, output: io.StringIO | None = None, **attributes: Any
) -> Config:
    from alembic.config import Config  # noqa: PLC0415 - Alembic only where it is used

    config = Config(output_buffer=output)
    # A file is not given, so that its logging is not set up either; % is configparser's.
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    config.attributes.update(attributes)
    if ours is not None:
        config.attributes.update(table_prefix=ours.prefix, schema=ours.schema)
    return config
