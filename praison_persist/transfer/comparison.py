"""Comparing conversations of two places: numbers and hashes, in a memory that does not grow."""

from __future__ import annotations

from collections.abc import Callable

from praison_persist.sql.session_rows import MESSAGES
from praison_persist.transfer.ends import End, Summary, beside, summary_of
from praison_persist.transfer.report import CopyReport
from praison_persist.transfer.rows import Rows

__all__ = ["compare"]

_NOTHING = summary_of([])


def compare(
    source: End,
    target: End,
    rows: tuple[Rows, Rows] | None,
    report: CopyReport,
    on_session: Callable[[str, int], None],
    *,
    messages_only: bool,
) -> None:
    """Compare each session of the source with that of the target.

    Args:
        source: what is to be there.
        target: what is there.
        rows: both, if they are SQL databases.
        report: what differs is noted in it.
        on_session: is called with a session's id, and how many messages were compared so far.
        messages_only: leave out what sessions have beside their messages.
    """
    report.verified = True
    compared = 0
    for sessions, _ in source.sessions():
        for session in sessions:
            session_id = session.session_id
            own, other = source.summary(session_id), target.summary(session_id)
            if own is None:  # deleted meanwhile
                continue
            compared += own.count
            on_session(session_id, compared)
            if other is None:
                report.differ(f"session {session_id!r} is missing")
                continue
            _tell(report, session_id, "messages", own, other, "content")
            if not messages_only:
                _compare_beside(source, target, rows, report, session_id)


def _compare_beside(
    source: End, target: End, rows: tuple[Rows, Rows] | None, report: CopyReport, session_id: str
) -> None:
    parts = {*source.beside_messages(session_id), *target.beside_messages(session_id)}
    if not parts:
        return
    if rows is None:
        dumps = (end.store.dump_session(session_id) or {} for end in (source, target))
        own, other = (
            {name: summary_of(found) for name, found in beside(dump).items()} for dump in dumps
        )
    else:
        if "traces" in parts:
            parts.add("spans")
        if "ranges" in parts:
            parts.add(MESSAGES)  # with those that the session does not show
        own, other = ({part: end.summary(session_id, part) for part in parts} for end in rows)
    for part in sorted(own.keys() | other.keys()):
        name = "hidden messages" if part == MESSAGES else part
        _tell(report, session_id, name, own.get(part, _NOTHING), other.get(part, _NOTHING), name)


def _tell(
    report: CopyReport, session_id: str, name: str, own: Summary, other: Summary, content: str
) -> None:
    if own.count != other.count:
        report.differ(f"session {session_id!r} has {other.count} {name} instead of {own.count}")
    elif own.digest != other.digest:
        report.differ(f"session {session_id!r} has other {content}")
