"""`praison-persist sessions fork`: a session that goes on from a message of another one."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Annotated, Any

import typer

from praison_persist._ids import new_id
from praison_persist.cli.beside import existing, open_all
from praison_persist.cli.options import URL, AsJSON, Schema, TablePrefix
from praison_persist.cli.output import print_json, print_line
from praison_persist.cli.stores import conversation_url
from praison_persist.connect import Connected
from praison_persist.errors import InvalidDataError
from praison_persist.transfer.ends import End

__all__ = ["fork"]

_PAGE = 500  # messages


def fork(
    session_id: Annotated[str, typer.Argument(metavar="SESSION", help="The id of the session.")],
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    messages: Annotated[
        int | None,
        typer.Option("--messages", "-n", min=1, help="Only the first so many; else all."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the new session is called.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Begin a new session with the messages of another one, and print its id."""
    with open_all(url, table_prefix, schema) as connected:
        existing(connected.sync_conversation, session_id)
        if connected.is_sql:
            named = {"table_prefix": table_prefix, "schema": schema}
            forked = _viewed(conversation_url(url), named, session_id, messages, name)
        else:
            forked = _copied(connected, session_id, messages, name)
    if as_json:
        print_json({"session_id": forked, "forked_from": session_id})
    else:
        print_line(forked)


def _viewed(
    url: str, options: dict[str, str | None], session_id: str, count: int | None, name: str | None
) -> str:
    """Fork without copying a message; return the id of the new session."""
    from praison_persist.sessions.sql import (  # noqa: PLC0415 - SQLAlchemy only where it is used
        SQLSessionStore,
    )

    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    with SQLSessionStore(url, **given) as store:
        return store.fork_session(session_id, None if count is None else count - 1, name)


def _copied(connected: Connected, session_id: str, count: int | None, name: str | None) -> str:
    """Fork by copying the messages; return the id of the new session."""
    end, store = End(connected, _PAGE), connected.sync_conversation
    parent = existing(store, session_id)
    there = store.count(session_id)
    if count is not None and count > there:
        raise InvalidDataError(
            f"Session {session_id!r} has {there} messages; --messages {count} is more"
        )
    child = new_id()
    metadata = {**(parent.metadata or {}), "forked_from": session_id}
    named = name or f"Fork of {parent.name or session_id}"
    store.create_session(
        replace(parent, session_id=child, name=named, metadata=metadata, version=None)
    )
    left = there if count is None else count
    for page in end.messages(session_id):
        part = [replace(each, session_id=child, seq=None) for each in islice(page, left)]
        if not part:
            break
        end.append(child, part)
        left -= len(part)
    return child
