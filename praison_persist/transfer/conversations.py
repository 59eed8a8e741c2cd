"""Copying conversations: whole sessions where that loses nothing and fits, else page by page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from praison_persist._checks import check_integer
from praison_persist.connect import Connected, connect
from praison_persist.errors import ConfigurationError, ConflictError, UnsupportedError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql.session_rows import Row
from praison_persist.transfer.checkpoint import Checkpoint
from praison_persist.transfer.comparison import compare
from praison_persist.transfer.ends import DUMP_KEYS, End, beside, same
from praison_persist.transfer.report import CopyReport, OnProgress, Progress
from praison_persist.transfer.rows import Rows, begins_with, copy_rows

__all__ = ["copy_conversations"]

_KIND = "conversation"
_PASSES = 5  # over what was written meanwhile; a source that never rests has no end
_FIELDS = ("user_id", "agent_id", "name", "state", "metadata")


def copy_conversations(
    source: Any,
    target: Any,
    *,
    verify: bool = False,
    dry_run: bool = False,
    conversation_only: bool = False,
    checkpoint: Checkpoint | None = None,
    on_progress: OnProgress | None = None,
    page: int = 500,
    whole_up_to: int = 5000,
) -> CopyReport:
    """Copy all sessions, with their messages and, from SQL to SQL, runs, tool calls and traces.

    Order, ids, times and the last writing of a session are kept. A session of more than
    `whole_up_to` messages is copied by pages, from SQL to SQL with all that belongs to it. Where
    the pages are of messages alone its `updated_at` is that of the copy, and its messages are
    numbered without gaps. What is written to the source
    meanwhile is copied, too, if it rests for long enough. Nothing is deleted from the target but a
    session that is a shorter copy of the same one, and is replaced.

    Args:
        source: a URL, a path, a store, sync or async, or what `connect` returned. Only what a URL
            or a path opened is closed.
        target: as `source`; another place. Other sessions there stay as they are.
        verify: compare number and SHA-256 of each session's messages at the end, and of its runs,
            tool calls, traces and all else that it has beside them, unless that was left out.
        dry_run: read only, and report what there is and what would be left out.
        conversation_only: leave out, and count, what a session has beside its messages: runs, tool
            calls, traces, snapshots. A fork or a reverted session is copied as what it shows.
        checkpoint: where to note how far the copy is, and where to go on. It is removed at the end.
        on_progress: is called after each page.
        page: how many messages are read and written at a time, from 1.
        whole_up_to: of how many messages, and rows beside them, a session may be held in memory.
            One that a store other than SQL has with runs or traces is held as a whole.

    Raises:
        ConfigurationError: a URL cannot be right, or both are one place.
        ConflictError: the target has a session of the same id that is no beginning of the source's.
        UnsupportedError: the target cannot hold what a session has beside messages.
    """
    check_integer(page, "page", 1)
    check_integer(whole_up_to, "whole_up_to", 0)
    opened = []
    try:
        ends = []
        for place in (source, target):
            connected = place if isinstance(place, Connected) else connect(place, None, {})
            if isinstance(place, str | os.PathLike):
                opened.append(connected)
            ends.append(End(connected, page))
        if ends[0].address == ends[1].address and len(opened) == len(ends):
            raise ConfigurationError(f"{ends[0].address} is source and target; name two places")
        copy = _Copy(ends[0], ends[1], page, conversation_only, whole_up_to, on_progress)
        if dry_run:
            return copy.look()
        copy.run(checkpoint)
        if verify:
            copy.verify()
        if checkpoint is not None:
            checkpoint.remove()
        return copy.report
    finally:
        for connected in opened:
            connected.close()


class _Copy:
    """One copy of conversations; its report is filled as it goes on."""

    def __init__(
        self,
        source: End,
        target: End,
        page: int,
        conversation_only: bool,
        whole_up_to: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._source, self._target = source, target
        self._rows: tuple[Rows, Rows] | None = None
        if source.database is not None and target.database is not None:
            self._rows = Rows(source.database, page), Rows(target.database, page)
        self._conversation_only, self._whole_up_to = conversation_only, whole_up_to
        self._on_progress = on_progress
        self._total: int | None = None
        self._done = 0
        self.report = CopyReport(_KIND)

    def look(self) -> CopyReport:
        """Read what there is."""
        report = self.report
        report.dry_run = True
        for sessions, _ in self._source.sessions():
            for session in sessions:
                report.found["sessions"] += 1
                report.found["messages"] += self._source.store.count(session.session_id)
                parts = self._source.beside_messages(session.session_id)
                self._check_holds(session.session_id, parts)
                if self._conversation_only:
                    report.left_out.update(parts)
        return report

    def run(self, checkpoint: Checkpoint | None) -> None:
        """Copy what the target lacks, from where the checkpoint says."""
        where = (_KIND, self._source.address, self._target.address)
        at = {} if checkpoint is None else checkpoint.load(*where)
        self.report.found.update(at.get("found", {}))
        self.report.written.update(at.get("written", {}))
        self.report.left_out.update(at.get("left_out", {}))
        self._done = self.report.found["messages"]
        if self._on_progress is not None:
            self._total = self._count_all()
        if not (self._conversation_only or self._target.holds_runs):
            self._check_all()
        newest: float | None = at.get("newest")
        cursor: str | None = at.get("cursor")
        for sessions, next_cursor in () if at.get("copied") else self._source.sessions(cursor):
            if newest is None:
                newest = sessions[0].updated_at if sessions else 0.0
            for session in sessions:
                self._copy(session)
            if checkpoint is not None:
                checkpoint.save(*where, self._position(newest, next_cursor))
        self._copy_newer(newest or 0.0)

    def _position(self, newest: float, cursor: str | None) -> dict[str, Any]:
        return {
            "newest": newest,
            "cursor": cursor,
            "copied": cursor is None,
            "found": dict(self.report.found),
            "written": dict(self.report.written),
            "left_out": dict(self.report.left_out),
        }

    def _copy_newer(self, newest: float) -> None:
        """Copy again what was written to since this began: it moved to pages that were read."""
        for _ in range(_PASSES):
            limit = newest
            for sessions, _ in self._source.sessions():
                newer = [each for each in sessions if each.updated_at >= limit]
                for session in newer:
                    if session.updated_at > limit or self._is_behind(session.session_id):
                        self._copy(session, again=True)
                newest = max([newest, *(each.updated_at for each in newer)])
                if len(newer) < len(sessions):
                    break
            if newest == limit:
                return

    def _is_behind(self, session_id: str) -> bool:
        """Return whether a session of the very time of the newest one has grown."""
        return self._source.store.count(session_id) != self._target.store.count(session_id)

    def _count_all(self) -> int:
        count = self._source.store.count
        return sum(
            count(session.session_id) for page, _ in self._source.sessions() for session in page
        )

    def _copy(self, session: ConversationSession, *, again: bool = False) -> None:
        session_id = session.session_id
        parts = self._source.beside_messages(session_id)
        self._check_holds(session_id, parts)
        count = self._source.store.count(session_id)
        stored = self._target.store.get_session(session_id)
        if not again:
            self.report.found.update(sessions=1, messages=count)
            if self._conversation_only:
                self.report.left_out.update(parts)
        before = self._done
        rows = self._rows_of(session_id, parts)
        if rows is not None:
            self._copy_rows(rows, session, stored, before + count)
            self._done = before if again else before + count
            self._tell("copy", session_id)
            return
        had = 0 if stored is None else self._check_begins(session, stored)
        if self._fits_whole(parts, count, known=stored is not None):
            self._copy_whole(session, stored, had)
        else:
            self._copy_pages(session, stored, had)
        self._done = before if again else before + count
        self._tell("copy", session_id)

    def _fits_whole(self, parts: list[str], count: int, *, known: bool) -> bool:
        if not (self._source.dumps and self._target.dumps):
            return False
        if parts and not self._conversation_only:
            return True
        return not known and count <= self._whole_up_to

    def _rows_of(self, session_id: str, parts: list[str]) -> tuple[Rows, Rows] | None:
        """Return both ends, if the session has more than messages and does not fit into memory."""
        if self._rows is None or self._conversation_only or not parts:
            return None
        size = sum(self._rows[0].counts(session_id).values())
        shown = self._source.store.count(session_id)  # a fork's messages are its parent's
        return self._rows if max(size, shown) > self._whole_up_to else None

    def _copy_rows(
        self,
        rows: tuple[Rows, Rows],
        session: ConversationSession,
        stored: ConversationSession | None,
        done: int,
    ) -> None:
        session_id, store = session.session_id, self._target.store
        had = 0
        after: Row | None = None
        if stored is not None:
            had = store.count(session_id)
            self._check_counts(session_id, rows[0].counts(session_id), rows[1].counts(session_id))
            is_begun, after = begins_with(*rows, session_id)
            if not is_begun or stored.created_at != session.created_at:
                # Other numbers, as an earlier copy of messages alone gave them, or other content.
                self._check_begins(session, stored)
                store.delete_session(session_id)
                after = None

        def on_page(messages: int) -> None:
            self._done = min(self._done + messages, done)  # some may be hidden
            self._tell("copy", session_id)

        copy_rows(*rows, session_id, after, on_page)
        self.report.written["messages"] += max(0, store.count(session_id) - had)
        self.report.written["sessions"] += stored is None

    def _check_all(self) -> None:
        """Refuse before anything is written."""
        for sessions, _ in self._source.sessions():
            for session in sessions:
                self._check_holds(
                    session.session_id, self._source.beside_messages(session.session_id)
                )

    def _check_holds(self, session_id: str, parts: list[str]) -> None:
        if parts and not self._conversation_only and not self._target.holds_runs:
            raise UnsupportedError(
                f"{self._target.address} keeps messages only, and session {session_id!r} of "
                f"{self._source.address} has {', '.join(parts)}: copy to a SQL database, or leave "
                "these out with conversation_only=True (--conversation-only)"
            )

    def _check_begins(self, session: ConversationSession, stored: ConversationSession) -> int:
        """Return how many messages the target has, all of them the source's first ones."""
        session_id, number = session.session_id, 0
        fine = stored.created_at == session.created_at
        own = _each(self._source, session_id)
        for message in _each(self._target, session_id) if fine else ():
            number += 1
            expected = next(own, None)
            if expected is None or not same(expected, message):
                fine = False
                break
        if not fine:
            raise ConflictError(
                f"Session {session_id!r} exists in {self._target.address} with other content; it "
                "was left as it is. Delete it there, or give one of them another id by exporting "
                "and importing it"
            )
        return number

    def _copy_whole(
        self, session: ConversationSession, stored: ConversationSession | None, had: int
    ) -> None:
        session_id, store = session.session_id, self._target.store
        dump = self._source.store.dump_session(session_id)
        if dump is None:  # deleted meanwhile
            return
        if self._conversation_only:
            dump = _only_conversation(dump)
        if stored is not None:
            own, there = beside(dump), beside(store.dump_session(session_id) or {})
            if own == there and had == len(dump["messages"]) and _equal(session, stored):
                return
            self._check_no_more(session_id, own, there)
            store.delete_session(session_id)
        store.load_session(dump)
        self.report.written["messages"] += max(0, len(dump["messages"]) - had)
        self.report.written["sessions"] += stored is None

    def _check_no_more(self, session_id: str, own: dict[str, Any], there: dict[str, Any]) -> None:
        """Refuse to replace a session that has, beside the messages, what the source has not."""
        self._check_counts(session_id, _lengths(own), _lengths(there))

    def _check_counts(self, session_id: str, own: dict[str, int], there: dict[str, int]) -> None:
        """As `_check_no_more`, of the number of rows of each part but the messages."""
        more = [
            name
            for name, count in there.items()
            if name not in DUMP_KEYS and count > own.get(name, 0)
        ]
        if more:
            raise ConflictError(
                f"Session {session_id!r} has more {', '.join(more)} in {self._target.address} than "
                f"in {self._source.address}; it was left as it is. Delete it there first"
            )

    def _copy_pages(
        self, session: ConversationSession, stored: ConversationSession | None, had: int
    ) -> None:
        store, session_id = self._target.store, session.session_id
        if stored is None:
            stored = store.create_session(replace(session))
            self.report.written["sessions"] += 1
        elif not _equal(session, stored):
            store.update_session(replace(session))
        skip = had
        for messages in self._source.messages(session_id):
            new = messages[skip:]
            skip = max(0, skip - len(messages))
            self._done += len(messages)
            if new:
                self._target.append(session_id, [replace(each, seq=None) for each in new])
                self.report.written["messages"] += len(new)
                self._tell("copy", session_id)

    def verify(self) -> None:
        """Compare both ends as they are now."""
        compare(
            self._source,
            self._target,
            self._rows,
            self.report,
            lambda name, done: self._tell("verify", name, done),
            messages_only=self._conversation_only,
        )

    def _tell(self, phase: str, name: str, done: int | None = None) -> None:
        if self._on_progress is not None:
            done = self._done if done is None else done
            self._on_progress(Progress(_KIND, phase, name, done, self._total))


def _each(end: End, session_id: str) -> Iterator[ConversationMessage]:
    return (message for page in end.messages(session_id) for message in page)


def _equal(one: ConversationSession, other: ConversationSession) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _FIELDS)


def _only_conversation(dump: dict[str, Any]) -> dict[str, Any]:
    """Return a dump of what the session shows; it has no counters, and no view."""
    session = ConversationSession.from_dict(dump["session"]).to_dict()
    return {name: dump[name] for name in ("format", "messages")} | {"session": session}


def _lengths(parts: dict[str, Any]) -> dict[str, int]:
    return {name: len(rows) for name, rows in parts.items()}
