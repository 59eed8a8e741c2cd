"""`SQLSessionStore`: sessions on any SQL database, a row for each message.

The tables are those of the conversation stores: what one writes, the other reads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from sqlalchemy.engine import URL

from praison_persist._checks import check_id, check_integer, check_time
from praison_persist._words import terms_of
from praison_persist.errors import InvalidDataError
from praison_persist.sessions import sql_open, sql_whole
from praison_persist.sessions.base import SessionStore
from praison_persist.sessions.checks import check_count
from praison_persist.sessions.messages import (
    CompactionCheckpoint,
    SessionMessage,
    from_a_turn,
    working_history,
)
from praison_persist.sessions.mirror import SessionMirror
from praison_persist.sessions.models import ExtendedSessionData
from praison_persist.sessions.primitives import Change, SessionFilter, SessionView
from praison_persist.sessions.reports import ImportReport
from praison_persist.sessions.retention import DEFAULT_MAX_MESSAGES, KEEP_ALL
from praison_persist.sessions.sql_import import import_folder
from praison_persist.sessions.sql_put import put
from praison_persist.sessions.sql_rows import message_of, row_of
from praison_persist.sql import conversation, history
from praison_persist.sql.database import Database
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.url import parse_url

__all__ = ["SQLSessionStore"]


class SQLSessionStore(SessionStore):
    """Sessions on a SQL database.

    Appending writes one row, however long the session is. Nothing is dropped to make room: all
    messages stay, `max_messages` bounds what a history returns. A fork copies no message, a
    snapshot is a number, and `as_of` tells what a session showed at any time.

    Methods that return a bool return True: an outage raises UnavailableError, and what the database
    refuses BackendError. So does every read.

    Args:
        url: a database URL, a path of an SQLite file, or ":memory:".
        max_messages: how many messages `get_chat_history` and `get_working_history` return, unless
            said otherwise; 0: all.
        mirror: see `praison_persist.sessions.mirror.MirroredStore`.
        clock: tells the time of writes, in seconds since the epoch.
        options: see `praison_persist.sql.options.SQLOptions`.

    Raises:
        ConfigurationError: the URL or an option cannot be right.
        MissingDependencyError: the driver is not installed.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | URL,
        *,
        max_messages: int = DEFAULT_MAX_MESSAGES,
        mirror: SessionMirror | None = None,
        clock: Callable[[], float] = time.time,
        **options: Any,
    ) -> None:
        super().__init__(max_messages, KEEP_ALL, mirror=mirror)
        target = parse_url(url)
        self._db = Database(target, SQLOptions.from_mapping(options, target.option_defaults))
        self._clock = clock

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._db.target})"

    @property
    def database(self) -> Database:
        """The database that operations run on."""
        return self._db

    def connect(self) -> None:
        """Connect and check the schema now, instead of at the first use.

        Raises:
            UnavailableError: the database cannot be reached.
            SchemaError: it has another revision.
        """
        self._db.connect()

    def close(self) -> None:
        """Hand what is queued to the mirror, and leave the pool of connections."""
        self.close_mirror()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # What a session showed, and shows no longer

    def as_of(
        self, session_id: str, *, seq: int | None = None, time: float | None = None
    ) -> list[SessionMessage]:
        """Return the messages that the session showed at a moment, oldest first.

        What was erased since, by `clear_session` or `erase_history`, is not among them.

        Args:
            session_id: of the session; [] if it is not stored.
            seq: the number of a message or change; each takes the session's next one, from 1.
            time: in seconds since the epoch: after the last message with a `timestamp`, or the last
                revert or clear, at or before it.

        Raises:
            InvalidDataError: not exactly one of `seq` and `time` is given.
        """
        check_id(session_id, "session_id")
        if (seq is None) == (time is None):
            raise InvalidDataError("as_of takes either seq or time")
        if time is not None:
            check_time(time, "time")
            seq = self._db.read(history.seq_at_time, session_id, time)
        else:
            check_integer(seq, "seq", 0)
        rows = self._db.read(history.messages_as_of, session_id, seq or 0)
        return [message_of(row) for row in rows]

    def erase_history(self, session_id: str) -> int:
        """Delete what reverts hid, unless a snapshot or a fork shows it. Return how many messages.

        `clear_session` does so by itself.
        """
        check_id(session_id, "session_id")
        return self._db.run(history.erase_history, session_id)

    def import_json(self, folder: str | os.PathLike[str]) -> ImportReport:
        """Store the sessions of a folder of JSON files, those that are not stored yet.

        The files are those of DefaultSessionStore and HierarchicalSessionStore, ours and those of
        praisonaiagents, or of praisonai's `json` conversation store; they are not changed. Each may
        be of any size: its messages are read and stored in batches. Only one that has snapshots is
        read as a whole. An import that was interrupted is continued by the next one; one that
        was complete changes nothing.

        Returns:
            How many sessions were stored, and why others are not. A link to a parent that is
            stored neither before nor now is dropped.

        Raises:
            NotFoundError: there is no such folder.
            UnavailableError: the database is gone. What was stored stays.
        """
        return import_folder(self._db, Path(folder), self._clock())

    # Reads that look at no more than they return

    def get_chat_history(
        self, session_id: str, max_messages: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest messages as models take them, oldest first; [] without a session.

        Args:
            session_id: of the session.
            max_messages: at most so many (None: the store's `max_messages`; 0: all); fewer where
                the first of them would be a tool's result without its call.
        """
        check_id(session_id, "session_id")
        check_count(max_messages, "max_messages")
        limit = self.max_messages if max_messages is None else max_messages
        rows = self._db.read(conversation.get_messages, session_id, limit + 1 if limit else None)
        messages = [message_of(row) for row in rows]
        if limit and len(messages) > limit:
            messages = from_a_turn(messages[1:])
        return [message.to_llm_message() for message in messages]

    def get_working_history(
        self, session_id: str, max_messages: int | None = None
    ) -> list[dict[str, Any]]:
        """Return what a resumed agent is to know, as models take it, oldest first.

        That is the last checkpoint's summary and the messages since; without a checkpoint, the
        newest messages. It costs what it returns, wherever the checkpoint lies.

        Args:
            session_id: of the session.
            max_messages: at most so many, the summary included (0 or None: the store's
                `max_messages`).
        """
        check_id(session_id, "session_id")
        check_count(max_messages, "max_messages")
        limit = max_messages or self.max_messages
        stored, messages = self._db.read(
            sql_whole.checkpoint_and_tail, session_id, limit + 1 if limit else None
        )
        if stored is not None:
            checkpoint = CompactionCheckpoint.from_dict(stored | {"message_index": 0})
            return working_history(checkpoint, messages, limit)
        skipped = max(0, len(messages) - limit) if limit else 0
        return working_history(None, messages[skipped:], limit, skipped=skipped)

    # See SessionPrimitives

    def _read(
        self, session_id: str, *, last: int | None = None, archive: bool = False
    ) -> SessionView | None:
        session = self._db.read(sql_whole.read, session_id, last, archive)
        if session is None:
            return None
        found = len(session.messages)
        known = last is None or found < last
        return SessionView(session, found if known else self._counter(session_id))

    def _counter(self, session_id: str) -> Callable[[], int]:
        return lambda: self._db.read(conversation.count, session_id)

    def _write(self, session_id: str, change: Change, *, what: str, retention: bool = True) -> bool:
        del what, retention  # a failure raises; rows need not make room
        self._db.run(sql_open.change_session, session_id, change, self._clock())
        return True

    def _append(self, session_id: str, message: SessionMessage) -> bool:
        self._db.run(sql_open.append, session_id, [row_of(message)], self._clock())
        return True

    def _put(self, session: ExtendedSessionData, *, overwrite: bool) -> None:
        self._db.run(put, session, overwrite, self._clock())

    def _delete(self, session_id: str) -> bool:
        self._db.run(conversation.delete_session, session_id)
        return True

    def _fork(self, session_id: str, fork: ExtendedSessionData, count: int | None) -> None:
        self._db.run(sql_whole.fork, session_id, fork, count, self._clock())

    def _children(self, session_id: str) -> list[str]:
        return self._db.read(sql_whole.children, session_id)

    def _list(self, only: SessionFilter, limit: int | None) -> list[SessionView]:
        headers = self._db.read(sql_whole.list_headers, only, limit)
        found: dict[str, int] = {}

        def count(session_id: str) -> int:
            # Of all of them, as soon as somebody asks for one.
            if not found:
                ids = [one.session_id for one in headers]
                found.update(dict.fromkeys(ids, 0) | self._db.read(sql_whole.counts, ids))
            return found[session_id]

        return [SessionView(one, partial(count, one.session_id)) for one in headers]

    def _all(self) -> Iterator[ExtendedSessionData]:
        # The ids of all first: of pages in the order of writes, one that is written to between two
        # of them would be in none.
        for session_id in self._db.read(sql_whole.ids):
            session = self._whole(session_id)
            if session is not None:  # deleted meanwhile
                yield session

    def _whole(self, session_id: str) -> ExtendedSessionData | None:
        session = super()._whole(session_id)
        if session is not None and session.snapshots:
            known = self._db.read(sql_whole.transcripts, session_id)
            for snapshot in session.snapshots:
                snapshot.transcript = known.get(snapshot.id)
        return session

    def _matching(self, terms: Sequence[str]) -> Iterator[ExtendedSessionData]:
        if not all(map(terms_of, terms)):
            yield from self._all()  # one has no word that a database could look for
            return
        for session_id in self._db.read(sql_whole.ids_with, terms):
            view = self._read(session_id, archive=True)
            if view is not None:
                yield view.session
