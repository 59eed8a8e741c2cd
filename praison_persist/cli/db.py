"""`praison-persist db`: the tables of a SQL database, created, adopted, upgraded and checked."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from praison_persist._environment import own_variable, variable_names
from praison_persist.conversation import supabase_sql
from praison_persist.conversation.supabase_names import DEFAULT_SCHEMA
from praison_persist.errors import ConfigurationError
from praison_persist.sql import migrate
from praison_persist.sql.schema import DEFAULT_PREFIX

if TYPE_CHECKING:
    from argparse import _SubParsersAction

__all__ = ["add_to"]

URL_VARIABLES = variable_names("CONVERSATION_URL")

Command = Callable[[argparse.Namespace], int]


def add_to(groups: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this group to the command line."""
    summary = "create, adopt, upgrade and check the tables of a SQL database"
    group = groups.add_parser("db", help=summary, description=f"{summary}.".capitalize())
    commands = group.add_subparsers(metavar="COMMAND", required=True)
    _add(commands, "upgrade", _upgrade, "bring the tables to a revision; adopt those of praisonai")
    _add(commands, "downgrade", _downgrade, "take the tables back to a revision")
    _add(commands, "current", _current, "print the revision of the tables")
    _add(commands, "check", _check, "compare the tables with those that this package expects")
    _add(commands, "adopt", _adopt, "show what adopting praisonai's tables would do; --yes does it")
    _add(commands, "sql", _sql, "print the SQL that creates the tables")
    for name, run, text in (
        ("history", _history, "list the revisions of this package"),
        ("ini", _ini, "print the path of alembic.ini, for alembic -c"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)


def _add(
    commands: _SubParsersAction[argparse.ArgumentParser], name: str, run: Command, text: str
) -> None:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    parser.add_argument(
        "--url",
        help=f"the database, such as sqlite:///agents.db (default: ${' or $'.join(URL_VARIABLES)})",
    )
    parser.add_argument("--table-prefix", default=DEFAULT_PREFIX, help="default: %(default)s")
    parser.add_argument("--schema", help="database schema of the tables")
    if name in ("upgrade", "downgrade", "sql"):
        default = None if name == "downgrade" else "head"
        parser.add_argument("--revision", default=default, required=default is None)
    if name == "downgrade":
        parser.add_argument("--force", action="store_true", help="drop tables that hold rows")
    if name == "adopt":
        parser.set_defaults(revision="head", supabase=False)
        parser.add_argument("--yes", action="store_true", help="do it")
    if name in ("upgrade", "sql"):
        parser.add_argument(
            "--supabase",
            action="store_true",
            help="with what Supabase's REST API needs to serve as a conversation store",
        )
    if name == "sql":
        parser.add_argument(
            "--dialect", choices=migrate.OFFLINE_DIALECTS, help="instead of a --url"
        )


def _url(arguments: argparse.Namespace) -> str:
    url: str | None = arguments.url or own_variable("CONVERSATION_URL")
    if not url:
        raise ConfigurationError(
            f"Which database? Write --url URL, or set {' or '.join(URL_VARIABLES)}"
        )
    return url


def _upgrade(arguments: argparse.Namespace) -> int:
    if arguments.supabase:
        return _upgrade_supabase(arguments)
    where = {"table_prefix": arguments.table_prefix, "schema": arguments.schema}
    migrate.upgrade(_url(arguments), revision=arguments.revision, **where)
    return _current(arguments)


def _upgrade_supabase(arguments: argparse.Namespace) -> int:
    if arguments.revision != "head":
        raise ConfigurationError("--supabase is for the tables of the newest revision")
    supabase_sql.install(
        _url(arguments),
        table_prefix=arguments.table_prefix,
        schema=arguments.schema or DEFAULT_SCHEMA,
    )
    return _current(arguments)


def _downgrade(arguments: argparse.Namespace) -> int:
    migrate.downgrade(
        _url(arguments),
        revision=arguments.revision,
        table_prefix=arguments.table_prefix,
        schema=arguments.schema,
        force=arguments.force,
    )
    return _current(arguments)


def _current(arguments: argparse.Namespace) -> int:
    revision = migrate.current(
        _url(arguments), table_prefix=arguments.table_prefix, schema=arguments.schema
    )
    _print(revision or "no revision")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    differences = migrate.check(
        _url(arguments), table_prefix=arguments.table_prefix, schema=arguments.schema
    )
    for difference in differences:
        _print(difference)
    return 1 if differences else 0


def _adopt(arguments: argparse.Namespace) -> int:
    report = migrate.adopt_report(
        _url(arguments), table_prefix=arguments.table_prefix, schema=arguments.schema
    )
    _print(str(report))
    return _upgrade(arguments) if arguments.yes and report.needed else 0


def _sql(arguments: argparse.Namespace) -> int:
    if arguments.supabase:
        script = supabase_sql.setup_sql(
            table_prefix=arguments.table_prefix,
            schema=arguments.schema or DEFAULT_SCHEMA,
            revision=arguments.revision,
        )
        _print(script.rstrip())
        return 0
    script = migrate.offline_sql(
        url=None if arguments.dialect else _url(arguments),
        dialect=arguments.dialect,
        revision=arguments.revision,
        table_prefix=arguments.table_prefix,
        schema=arguments.schema,
    )
    _print(script.rstrip())
    return 0


def _history(_arguments: argparse.Namespace) -> int:
    for revision in migrate.history():
        _print(f"{revision.revision}  {revision.title}")
    return 0


def _ini(_arguments: argparse.Namespace) -> int:
    _print(str(migrate.ini_path()))
    return 0


def _print(line: str) -> None:
    print(line)  # noqa: T201 - a command's output
