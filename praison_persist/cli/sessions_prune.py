"""`praison-persist sessions delete` and `prune`: what deletes, and asks before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from praison_persist.cli.beside import existing, open_all
from praison_persist.cli.options import URL, AsJSON, Schema, StateURL, TablePrefix
from praison_persist.cli.output import print_json, print_line, print_table
from praison_persist.cli.times import counted, moment, when
from praison_persist.connect import Connected
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationSession
from praison_persist.protocols import Capability

__all__ = ["delete", "prune"]

_SHOWN = 20


def delete(
    session_ids: Annotated[
        list[str], typer.Argument(metavar="SESSION...", help="Ids of sessions.")
    ],
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    state_url: StateURL = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete sessions with all that belongs to them; if one is unknown, none."""
    names = list(dict.fromkeys(session_ids))
    with open_all(url, table_prefix, schema, state_url) as connected:
        store = connected.sync_conversation
        for name in names:
            existing(store, name)
        messages = sum(store.count(name) for name in names)
        if not yes and not sys.stdin.isatty():
            raise ConfigurationError("Nobody is there to be asked: add --yes")
        if not yes and not typer.confirm(
            f"Delete {counted(len(names), 'session')} with {counted(messages, 'message')}?",
            err=True,
        ):
            print_line("Nothing was deleted")
            raise typer.Exit(1)
        for name in names:
            _delete(connected, name)
    print_line(f"{counted(len(names), 'session')} deleted")


def prune(
    older_than: Annotated[
        str,
        typer.Option(
            metavar="AGE",
            help="Last written so long ago (90d, 12h), or before a date (2026-01-31).",
        ),
    ],
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    state_url: StateURL = None,
    user: Annotated[str | None, typer.Option("--user", help="Only sessions of this user.")] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", help="Only sessions of this agent.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete them.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Show the sessions that nobody wrote to for long; --yes deletes them."""
    limit = moment(older_than, "--older-than")
    shown: list[ConversationSession] = []
    count = 0
    with open_all(url, table_prefix, schema, state_url) as connected:
        for session in _older(connected, limit, user, agent):
            count += 1
            if len(shown) < _SHOWN:
                shown.append(session)
            if yes:
                _delete(connected, session.session_id)
    if as_json:
        oldest = [session.session_id for session in shown]
        print_json({"sessions": count, "deleted": yes, "before": limit, "first": oldest})
        return
    print_table(
        ("SESSION", "USER", "AGENT", "UPDATED (UTC)"),
        [(each.session_id, each.user_id, each.agent_id, when(each.updated_at)) for each in shown],
    )
    if count > len(shown):
        print_line(f"… and {count - len(shown)} more")
    found = counted(count, "session")
    print_line(f"{found} deleted" if yes or not count else f"{found}; --yes deletes")


def _older(
    connected: Connected, limit: float, user: str | None, agent: str | None
) -> Iterator[ConversationSession]:
    """Yield the sessions last written before `limit`, the newest of them first."""
    store = connected.sync_conversation
    if Capability.CURSORS not in store.capabilities:
        raise ConfigurationError(f"{connected.address} has no pages of sessions to look through")
    cursor = None
    while True:
        page = store.page_sessions(user, agent, cursor=cursor)
        for session in page.sessions:
            if session.updated_at < limit:
                # Read again: an agent may have gone on meanwhile.
                found = store.get_session(session.session_id)
                if found is not None and found.updated_at < limit:
                    yield found
        cursor = page.next_cursor
        if cursor is None:
            return


def _delete(connected: Connected, session_id: str) -> None:
    if connected.apart and connected.sync_runs is not None:
        connected.sync_runs.delete_session(session_id)
    connected.sync_conversation.delete_session(session_id)
