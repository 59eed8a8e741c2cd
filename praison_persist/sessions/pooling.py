"""Sessions as their files hold them: messages that snapshots share are written once.

The format is that of praisonaiagents: `snapshot_storage.records` holds each different message, and
a snapshot's `transcript_refs` names them. A snapshot so written is also marked as invalidated, for
readers that know positions only; `transcript_invalidated` has the truth.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

from praison_persist._json import dumps
from praison_persist.sessions.models import ExtendedSessionData, SessionSnapshot

__all__ = ["from_storage", "to_storage"]

_log = logging.getLogger(__name__)

_VERSION = 1
_LISTS = ("messages", "archived_messages")


def to_storage(session: ExtendedSessionData) -> dict[str, Any]:
    """Return what a session's file is to hold."""
    document = session.to_dict()
    records: dict[str, Any] = {}
    keys: dict[str, str] = {}

    def key_of(value: Any) -> str:
        key = keys.setdefault(dumps(value), str(len(keys)))
        records[key] = value
        return key

    for snapshot in document["snapshots"]:
        transcript = snapshot.pop("transcript", None)
        if transcript is None:
            continue
        refs: dict[str, Any] = {
            name: {"items": [key_of(item) for item in transcript.get(name) or []]}
            for name in _LISTS
        }
        refs["last_compaction"] = {"value": key_of(transcript.get("last_compaction"))}
        snapshot["transcript_refs"] = refs
        snapshot["transcript_invalidated"] = snapshot.get("invalidated", False)
        snapshot["invalidated"] = True
    if records:
        document["snapshot_storage"] = {"version": _VERSION, "records": records}
    return document


def from_storage(document: dict[str, Any]) -> ExtendedSessionData:
    """Return the session in a file; a snapshot whose messages are missing is marked as invalid."""
    session = ExtendedSessionData.from_dict(document)
    storage = document.get("snapshot_storage")
    records = storage.get("records") if isinstance(storage, dict) else None
    snapshots = document.get("snapshots")
    raws = snapshots if isinstance(snapshots, list) else []
    found = [raw for raw in raws if isinstance(raw, dict)]
    for snapshot, raw in zip(session.snapshots, found, strict=True):
        if "transcript_refs" in raw:
            _fill(snapshot, raw, records)
            if snapshot.invalidated and snapshot.transcript is None:
                _log.warning(
                    "session %r: messages of snapshot %r are missing in its file",
                    session.session_id,
                    snapshot.id,
                )
    return session


def _fill(snapshot: SessionSnapshot, raw: dict[str, Any], records: object) -> None:
    snapshot.invalidated = True
    refs = raw["transcript_refs"]
    try:
        transcript = {
            name: [_object(records[key]) for key in refs[name]["items"]]  # type: ignore[index]  # checked by the except
            for name in _LISTS
        }
        checkpoint = records[refs["last_compaction"]["value"]]  # type: ignore[index]  # as above
    except (KeyError, TypeError):
        return
    snapshot.transcript = {**transcript, "last_compaction": deepcopy(checkpoint)}
    snapshot.invalidated = raw.get("transcript_invalidated") is True


def _object(record: object) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise TypeError(f"a message is {type(record).__name__}")
    return deepcopy(record)
