"""`praison-persist sessions`: look at sessions, find, copy, rename and delete them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

import typer

from praison_persist.cli.beside import existing, open_all
from praison_persist.cli.history import draw_messages
from praison_persist.cli.options import URL, AsJSON, Schema, StateURL, TablePrefix
from praison_persist.cli.output import console, print_json, print_line, print_table
from praison_persist.cli.sessions_files import export, import_
from praison_persist.cli.sessions_forks import fork
from praison_persist.cli.sessions_prune import delete, prune
from praison_persist.cli.times import when
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationMessage
from praison_persist.protocols import Capability, ConversationStore

__all__ = ["app"]

app = typer.Typer(help="List, show, search, fork, rename, export, import and delete sessions.")
app.command()(export)
app.command("import")(import_)
app.command()(fork)
app.command()(delete)
app.command()(prune)

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="The id of the session.")]
User = Annotated[str | None, typer.Option("--user", help="Only sessions of this user.")]
Agent = Annotated[str | None, typer.Option("--agent", help="Only sessions of this agent.")]


@app.command("list")
def list_(
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    user: User = None,
    agent: Agent = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Sessions on a page.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Of the next page, as the one before told it.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """List sessions, last written first, a page at a time."""
    with open_all(url, table_prefix, schema) as connected:
        store = connected.sync_conversation
        if Capability.CURSORS in store.capabilities:
            page = store.page_sessions(user, agent, limit=limit, cursor=cursor)
            found, following = page.sessions, page.next_cursor
        elif cursor is not None:
            raise ConfigurationError(f"{connected.address} has no pages; leave out --cursor")
        else:
            found, following = store.list_sessions(user, agent, limit), None
        rows = [(session, store.count(session.session_id)) for session in found]
    if as_json:
        sessions = [session.to_dict() | {"messages": count} for session, count in rows]
        print_json({"sessions": sessions, "next_cursor": following})
        return
    print_table(
        ("SESSION", "NAME", "USER", "AGENT", "MESSAGES", "UPDATED (UTC)"),
        [
            (s.session_id, s.name, s.user_id, s.agent_id, count, when(s.updated_at))
            for s, count in rows
        ],
        right=("MESSAGES",),
    )
    if following is not None:
        print_line(f"More: --cursor '{following}'")


@app.command()
def show(
    session_id: SessionId,
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    state_url: StateURL = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="The newest messages; 0: all.")
    ] = 50,
    as_json: AsJSON = False,
) -> None:
    """Draw the turns of a session, oldest first, with the tools that were called."""
    with open_all(url, table_prefix, schema, state_url) as connected:
        store = connected.sync_conversation
        session = existing(store, session_id)
        count = store.count(session_id)
        messages = store.get_messages(session_id, limit or None)
        runs = None if connected.sync_runs is None else connected.sync_runs.get_runs(session_id, 1)
    if as_json:
        print_json(
            {
                "session": session.to_dict(),
                "count": count,
                "messages": [message.to_dict() for message in messages],
            }
        )
        return
    print_line(f"{session_id}  {session.name or ''}".rstrip())
    who = (("user", session.user_id), ("agent", session.agent_id))
    facts = [f"{name} {value}" for name, value in who if value]
    facts += [f"{count} messages", f"updated {when(session.updated_at)} UTC"]
    if runs:
        facts.append(f"last run {runs[0].status}")
    print_line(", ".join(facts))
    if count > len(messages):
        print_line(f"… {count - len(messages)} earlier messages: --limit 0 shows all")
    print_line()
    draw_messages(console(), messages)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Words that a message has, all of them.")],
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    session: Annotated[str | None, typer.Option(help="Only in this session.")] = None,
    user: User = None,
    agent: Agent = None,
    role: Annotated[str | None, typer.Option(help="Only what this role said.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Messages at most.")] = 20,
    as_json: AsJSON = False,
) -> None:
    """Find messages by their words, best first."""
    with open_all(url, table_prefix, schema) as connected:
        store = connected.sync_conversation
        if session is not None:
            existing(store, session)
        hits = store.search_messages(
            query, session_id=session, user_id=user, agent_id=agent, role=role, limit=limit
        )
    if as_json:
        print_json(hits)
        return
    print_table(
        ("SESSION", "SEQ", "ROLE", "WRITTEN (UTC)", "TEXT"),
        [
            (h.session_id, h.seq, h.message.role, when(h.message.created_at), h.snippet)
            for h in hits
        ],
        right=("SEQ",),
    )


@app.command()
def tail(
    session_id: SessionId,
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many at first.")] = 10,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is said from now on.")
    ] = False,
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between looks.")] = 1.0,
    as_json: AsJSON = False,
) -> None:
    """Print the last messages of a session; with --follow, also those to come.

    With --json, each is an object on a line of its own.
    """
    with open_all(url, table_prefix, schema) as connected:
        store = connected.sync_conversation
        existing(store, session_id)
        names: dict[str, str] = {}
        last = store.get_messages(session_id, max(lines, 1))
        _print_messages(last if lines else [], names, as_json)
        known = last[-1].id if last else None
        while follow:
            time.sleep(interval)
            new = _since(store, session_id, known)
            if not new:
                existing(store, session_id)
                continue
            _print_messages(new, names, as_json)
            known = new[-1].id


def _since(
    store: ConversationStore, session_id: str, known: str | None
) -> list[ConversationMessage]:
    """Return the messages behind one, oldest first, reading few more than these."""
    asked = 16
    while True:
        found = store.get_messages(session_id, asked)
        for index in range(len(found) - 1, -1, -1):
            if found[index].id == known:
                return found[index + 1 :]
        if len(found) < asked:
            return found
        asked *= 4


def _print_messages(
    messages: list[ConversationMessage],
    names: dict[str, str],
    as_json: bool,
) -> None:
    if as_json:
        for message in messages:
            print_json(message.to_dict())
    else:
        draw_messages(console(), messages, names)


@app.command()
def rename(
    session_id: SessionId,
    name: Annotated[str, typer.Argument(help="What it is called from now on.")],
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
) -> None:
    """Give a session another name; its id stays."""
    with open_all(url, table_prefix, schema) as connected:
        store = connected.sync_conversation
        session = replace(existing(store, session_id), name=name)
        if Capability.EXPECTED_VERSION in store.capabilities:
            store.update_session(session, expected_version=session.version)
        else:
            store.update_session(session)
    print_line(f"{session_id} is now called {name!r}")
