"""`praison-persist import-legacy`: sessions in JSON files, and runs in a state store."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from praison_persist.cli.beside import open_all
from praison_persist.cli.options import URL, AsJSON, Schema, TablePrefix
from praison_persist.cli.output import print_json, print_line
from praison_persist.cli.stores import conversation_url, open_conversations
from praison_persist.cli.times import counted
from praison_persist.connect import connect_store, state_pair
from praison_persist.errors import NotFoundError, UnsupportedError
from praison_persist.protocols import StateStore
from praison_persist.transfer import import_runs
from praison_persist.transfer.legacy import Keys

__all__ = ["import_legacy"]

_SHOWN = 20


def import_legacy(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR|URL",
            help="A folder of JSON sessions, such as ~/.praisonai/sessions; or the URL of a state "
            "store with runs and traces, such as redis://localhost:6379/0.",
        ),
    ],
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the runs and traces of a URL.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Take over what praisonai kept: sessions of a folder, or runs and traces of a state store.

    The source is only read. Doing it again changes nothing, and goes on where it was interrupted.
    Status 1 if something could not be taken over.
    """
    if "://" in source:
        _import_runs(source, url, table_prefix, schema, dry_run=dry_run, as_json=as_json)
    elif dry_run:
        raise UnsupportedError("--dry-run is for a URL; sessions of a folder are counted by ls")
    else:
        _import_sessions(Path(source).expanduser(), url, table_prefix, schema, as_json=as_json)


def _import_sessions(
    folder: Path, url: str | None, table_prefix: str | None, schema: str | None, *, as_json: bool
) -> None:
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}; check the path")
    with open_conversations(url, table_prefix, schema, create=True) as connected:
        if not connected.is_sql:
            raise UnsupportedError(
                f"{connected.address} is no SQL database, and JSON sessions can be taken to no "
                "other place. Import them into sqlite:///sessions.db, and praison-persist copy that"
            )
        from praison_persist.sessions.sql import (  # noqa: PLC0415 - SQLAlchemy only where it is used
            SQLSessionStore,
        )

        named = {"table_prefix": table_prefix, "schema": schema}
        options: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
        with SQLSessionStore(conversation_url(url), **options) as store:
            report = store.import_json(folder)
    if as_json:
        print_json(report)
    else:
        print_line(f"{counted(report.imported, 'session')} stored, {len(report.skipped)} not")
        for each in report.skipped[:_SHOWN]:
            print_line(f"  {each['session_id']}: {each['reason']}")
        if len(report.skipped) > _SHOWN:
            print_line(f"  and {len(report.skipped) - _SHOWN} more; --json names all")


def _keys(source: str, state: StateStore) -> AbstractContextManager[Keys]:
    """Return what reads the keys of praisonai, which has other ones in Redis than this package."""
    if not source.startswith(("redis://", "rediss://")):
        return nullcontext(cast("Keys", state))  # whose methods a type checker takes for attributes
    from praison_persist.transfer.legacy_redis import (  # noqa: PLC0415 - its client
        LegacyRedis,
    )

    return LegacyRedis(source, state)


def _import_runs(
    source: str,
    url: str | None,
    table_prefix: str | None,
    schema: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    state = state_pair(connect_store("state", source, None, None))[0]
    with (
        state,
        _keys(source, state) as keys,
        open_all(url, table_prefix, schema, create=not dry_run) as connected,
    ):
        report = import_runs(keys, connected, dry_run=dry_run)
    if as_json:
        print_json(report.to_dict())
    else:
        found, written = dict(report.found), dict(report.written)
        for kind in ("runs", "traces"):
            print_line(f"{found.get(kind, 0)} {kind} found, {written.get(kind, 0)} stored")
        for what, count in report.left_out.items():
            print_line(f"{count} {what} left out: import or copy the sessions first")
    if report.left_out:
        raise typer.Exit(1)
