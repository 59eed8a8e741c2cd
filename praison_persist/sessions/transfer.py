"""Taking sessions from one store to another: backups, restores, moves."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator
from typing import Any

from praison_persist._checks import check_id
from praison_persist.errors import ConflictError, InvalidDataError, PersistError
from praison_persist.sessions.checks import check_count, check_dict, check_message, check_name
from praison_persist.sessions.models import ExtendedSessionData
from praison_persist.sessions.primitives import SessionPrimitives
from praison_persist.sessions.reports import ImportReport
from praison_persist.sessions.search import lineage_of

__all__ = ["PORTABLE_VERSION", "TransferMethods"]

PORTABLE_VERSION = 1
# Where a gateway delivers to: a restored session must not receive what is meant for another.
_LIVE_FIELDS = ("gateway_session_id", "agent_id")


class TransferMethods(SessionPrimitives):
    """Export and import. A payload is `{"version": 1, "sessions": [dict, ...]}`, all of it JSON."""

    def export_session(self, session_id: str, *, include_lineage: bool = True) -> dict[str, Any]:
        """Return a payload with the session; without any if it is not stored.

        Args:
            session_id: of the session.
            include_lineage: also the sessions that continue it or that it continues, by the
                metadata `lineage_id`, `root_session_id` or `thread_id`.

        Raises:
            BackendError: a session that may belong to it cannot be read.
        """
        check_id(session_id, "session_id")
        session = self._whole(session_id)
        if session is None:
            return _payload([])
        sessions = [session]
        lineage = lineage_of(session)
        if include_lineage and lineage is not None:
            sessions += [
                other
                for other in self._all()
                if other.session_id != session_id and lineage_of(other) == lineage
            ]
        return _payload(sessions)

    def export_all(self) -> dict[str, Any]:
        """Return a payload with every session.

        Raises:
            BackendError: one of them cannot be read: the backup would not be whole.
        """
        return _payload(list(self._all()))

    def import_sessions(
        self,
        payload: dict[str, Any],
        *,
        max_sessions: int = 10_000,
        reset_live_fields: bool = True,
        overwrite: bool = False,
    ) -> ImportReport:
        """Store the sessions of a payload as they are; no retention applies.

        Args:
            payload: what `export_session` or `export_all` returned.
            max_sessions: store at most so many.
            reset_live_fields: forget which of a gateway's sessions and agents they belonged to.
            overwrite: replace sessions that are there already; without it they are skipped.

        Returns:
            How many are stored now, and why others are not. A link to a parent that is neither in
            the payload nor in this store is dropped.
        """
        check_count(max_sessions, "max_sessions")
        report = ImportReport(version=PORTABLE_VERSION)
        records = _records(payload, report)
        sessions: dict[str, ExtendedSessionData] = {}
        for index, record in enumerate(records):
            if len(sessions) >= max_sessions:
                report.skip("", f"max_sessions={max_sessions} cap reached")
                break
            try:
                session = _session(record, index, reset=reset_live_fields)
            except InvalidDataError as error:
                report.skip(_id_in(record), str(error))
                continue
            if session.session_id in sessions:
                report.skip(session.session_id, "duplicate in payload")
            elif not overwrite and self._read(session.session_id, last=0) is not None:
                report.skip(session.session_id, "already exists (use overwrite)")
            else:
                sessions[session.session_id] = session
        self._drop_dangling(sessions)
        left = dict.fromkeys(sessions)
        for session in _parents_first(sessions):
            del left[session.session_id]
            try:
                self._put(session, overwrite=overwrite)
            except ConflictError:  # another writer came first
                report.skip(session.session_id, "already exists (use overwrite)")
            except PersistError as error:
                report.skip(session.session_id, f"write failed: {error}")
            else:
                report.imported += 1
        for session_id in left:
            report.skip(session_id, "is among its own ancestors")
        return report

    def import_session(self, data: dict[str, Any], new_session_id: str | None = None) -> str:
        """Store one exported session under a new id, as a root without children.

        Args:
            data: the session's dict, or a payload with exactly one.
            new_session_id: None: a new UUID.

        Returns:
            The new id.

        Raises:
            InvalidDataError: `data` is not such a dict, or holds what cannot be stored.
            ConflictError: there is a session with this id. It is left as it is.
        """
        records = data.get("sessions") if isinstance(data, dict) and "sessions" in data else [data]
        if not isinstance(records, list) or len(records) != 1:
            raise InvalidDataError("import_session takes one session; import_sessions takes more")
        new = str(uuid.uuid4()) if new_session_id is None else new_session_id
        check_id(new, "new_session_id")
        record = records[0]
        if not isinstance(record, dict):
            raise InvalidDataError(f"a session must be a dict, not {type(record).__name__}")
        session = _session(record | {"session_id": new}, 0, reset=False)
        session.parent_id = session.forked_from_message_id = None
        for snapshot in session.snapshots:
            snapshot.session_id = new
        self._put(session, overwrite=False)
        return new

    def _whole(self, session_id: str) -> ExtendedSessionData | None:
        view = self._read(session_id, archive=True)
        if view is None:
            return None
        view.session.children_ids = self._children(session_id)
        return view.session

    def _drop_dangling(self, sessions: dict[str, ExtendedSessionData]) -> None:
        """Make those roots whose parent is neither among the sessions nor stored."""
        for session in sessions.values():
            parent = session.parent_id
            if parent and parent not in sessions and self._read(parent, last=0) is None:
                session.parent_id = session.forked_from_message_id = None


def _parents_first(sessions: dict[str, ExtendedSessionData]) -> Iterator[ExtendedSessionData]:
    """Yield sessions, the children of each in its order; those among their own ancestors never."""
    children: dict[str, list[str]] = {}
    for session in sessions.values():
        if session.parent_id in sessions:
            children.setdefault(session.parent_id, []).append(session.session_id)
    waiting = deque(s for s in sessions.values() if s.parent_id not in sessions)
    while waiting:
        session = waiting.popleft()
        yield session
        place = {child: number for number, child in enumerate(session.children_ids)}
        mine = children.get(session.session_id, [])
        mine.sort(key=lambda child: place.get(child, len(place)))
        waiting.extend(sessions[child] for child in mine)


def _payload(sessions: list[ExtendedSessionData]) -> dict[str, Any]:
    return {"version": PORTABLE_VERSION, "sessions": [session.to_dict() for session in sessions]}


def _records(payload: object, report: ImportReport) -> list[Any]:
    """Return the payload's records; where it is no payload, the report says so."""
    if not isinstance(payload, dict):
        report.skip("", f"the payload is no dict but a {type(payload).__name__}")
        return []
    version = payload.get("version", PORTABLE_VERSION)
    if isinstance(version, int) and version > PORTABLE_VERSION:
        report.skip("", f"unsupported payload version {version} (supported <= {PORTABLE_VERSION})")
        return []
    if "sessions" not in payload and isinstance(payload.get("messages"), list):
        return [payload]  # a session alone, as HierarchicalSessionStore.export_session returns it
    records = payload.get("sessions")
    if not isinstance(records, list):
        report.skip("", "the payload has no list of sessions")
        return []
    return records


def _id_in(record: object) -> str:
    value = record.get("session_id") if isinstance(record, dict) else None
    return value if isinstance(value, str) else ""


def _session(record: object, index: int, *, reset: bool) -> ExtendedSessionData:
    """Return the session of a record.

    Raises:
        InvalidDataError: says what of the record cannot be stored.
    """
    if not isinstance(record, dict):
        raise InvalidDataError(f"malformed record at index {index}")
    if not _id_in(record):
        raise InvalidDataError(f"missing session_id at index {index}")
    check_id(record["session_id"], "session_id")
    check_dict(record, f"record {index}")
    if not isinstance(record.get("messages", []), list):
        raise InvalidDataError(f"malformed record at index {index}: messages is no list")
    session = ExtendedSessionData.from_dict(record)
    for message in session.messages + session.archived_messages:
        check_message(message)
    for name in ("agent_name", "user_id", "agent_id", "gateway_session_id", "parent_id"):
        if not getattr(session, name):
            setattr(session, name, None)
        check_name(getattr(session, name), name)
    if session.parent_id == session.session_id:
        raise InvalidDataError(f"session {session.session_id!r} is its own parent")
    if reset:
        session.gateway_session_id = session.agent_id = None
        for name in _LIVE_FIELDS:
            session.metadata.pop(name, None)
    return session
