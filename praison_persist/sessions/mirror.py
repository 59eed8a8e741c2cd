"""A second place for what is said, written in the background: its outages cost no turn anything."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Protocol, runtime_checkable

from praison_persist._json import dumps
from praison_persist._processes import PerProcess
from praison_persist.errors import ConfigurationError
from praison_persist.sessions.messages import SessionMessage

__all__ = ["MirroredStore", "SessionMirror"]

_log = logging.getLogger(__name__)

_QUEUE_MAX = 1000  # batches
_ATTEMPTS = 3
_FIRST_DELAY_S = 0.05
_CLOSE_TIMEOUT_S = 5.0


@runtime_checkable
class SessionMirror(Protocol):
    """Where messages are copied to; as `SessionMirrorProtocol` of praisonaiagents."""

    def append(self, session_id: str, records: list[dict[str, Any]]) -> None:
        """Store records, each with an `id`; one that is there already is the same record."""

    def load(self, session_id: str) -> list[dict[str, Any]]:
        """Return the records of a session, oldest first."""
        ...


class _Writer:
    """Hands batches to a mirror, one after the other, on a thread of its own."""

    def __init__(self, mirror: SessionMirror) -> None:
        self._mirror = mirror
        self._batches: queue.Queue[tuple[str, list[dict[str, Any]]] | None] = queue.Queue(
            _QUEUE_MAX
        )
        self._guard = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="session-mirror", daemon=True)
        self._thread.start()

    def put(self, session_id: str, records: list[dict[str, Any]]) -> None:
        """Queue records; a warning tells of those that are not, for then nothing else does."""
        with self._guard:
            if self._closed:
                _log.warning(
                    "session %r: %d messages are stored, but not mirrored: the mirror is closed",
                    session_id,
                    len(records),
                )
                return
            try:
                self._batches.put_nowait((session_id, records))
            except queue.Full:
                _log.warning(
                    "session %r: %d messages are stored, but not mirrored: %d batches wait already",
                    session_id,
                    len(records),
                    _QUEUE_MAX,
                )

    def _run(self) -> None:
        while True:
            batch = self._batches.get()
            try:
                if batch is None:
                    return
                self._send(*batch)
            finally:
                self._batches.task_done()

    def _send(self, session_id: str, records: list[dict[str, Any]]) -> None:
        delay_s = _FIRST_DELAY_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                # A mirror that fails half way may have changed what it was given.
                self._mirror.append(session_id, deepcopy(records))
            except Exception:  # noqa: BLE001 - a mirror is anybody's code; the thread survives it
                if attempt == _ATTEMPTS:
                    _log.exception(
                        "session %r: %d messages are stored, but not mirrored: %d attempts failed",
                        session_id,
                        len(records),
                        attempt,
                    )
                    return
                time.sleep(delay_s)
                delay_s *= 2
            else:
                return

    def flush(self, timeout_s: float | None) -> bool:
        """Wait until what is queued is sent or given up; False if `timeout_s` passes first."""
        with self._batches.all_tasks_done:
            return self._batches.all_tasks_done.wait_for(
                lambda: not self._batches.unfinished_tasks, timeout_s
            )

    def close(self) -> bool:
        """Send what is queued and end the thread; False if it does not end in time."""
        with self._guard:
            first, self._closed = not self._closed, True
        if first:
            try:
                self._batches.put(None, timeout=_CLOSE_TIMEOUT_S)
            except queue.Full:
                return False
        self._thread.join(_CLOSE_TIMEOUT_S)
        return not self._thread.is_alive()


class MirroredStore:
    """A store that copies to a mirror what it has stored."""

    def __init__(self, mirror: SessionMirror | None = None) -> None:
        """See the class.

        Args:
            mirror: has a method `append(session_id, records)`, called on a thread of its own and
                tried three times. A record is a message's dict with a `session_id` and an `id`,
                which is the same whenever this message is sent.

        Raises:
            ConfigurationError: `mirror` has no such method.
        """
        if mirror is not None and not callable(getattr(mirror, "append", None)):
            raise ConfigurationError(
                f"mirror must have a method append(session_id, records), not be {mirror!r}"
            )
        # Its thread does not live on in a process that is forked.
        self._mirror_writers = (
            None if mirror is None else PerProcess(lambda: _Writer(mirror), _Writer.close)
        )

    def _mirror_messages(self, session_id: str, messages: Sequence[SessionMessage]) -> None:
        """Queue messages that have just been stored for the mirror, if there is one."""
        if self._mirror_writers is not None and messages:
            self._mirror_writers.get().put(session_id, [_record(session_id, m) for m in messages])

    def flush_mirror(self, timeout: float | None = None) -> bool:
        """Wait until the mirror has what this process has stored, at most `timeout` seconds.

        Args:
            timeout: None: as long as it takes.

        Returns:
            False if it has not; True at once without a mirror.
        """
        return self._mirror_writers is None or self._mirror_writers.get().flush(timeout)

    def close_mirror(self) -> None:
        """Send what is queued to the mirror and stop; what is stored later is not mirrored."""
        if self._mirror_writers is not None and not self._mirror_writers.get().close():
            _log.warning("the session mirror did not take all in %.0f s", _CLOSE_TIMEOUT_S)


def _record(session_id: str, message: SessionMessage) -> dict[str, Any]:
    record = message.to_dict() | {"session_id": session_id}
    return record | {"id": hashlib.sha256(dumps(record).encode()).hexdigest()[:32]}
