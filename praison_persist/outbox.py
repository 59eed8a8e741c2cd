"""Writes that met an unavailable database: kept in their order, and written when it is back.

They are kept in memory: what they lose is a process that dies during the outage. Each can be
repeated as a whole, because what it writes carries its ids.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from praison_persist.errors import SchemaError, UnavailableError

__all__ = ["RETRIED", "Health", "Outbox"]

_log = logging.getLogger(__name__)

# Failures that say nothing against the write itself.
RETRIED = (UnavailableError, SchemaError)

# Finding out that the database is still away may itself take long, as with a host that does not
# answer. Then agents do not wait for it at every hook: a try that took longer than this is followed
# by a pause of twice its time, at most of so many seconds.
_SLOW_TRY_S = 2.0
_MAX_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Health:
    """The state of an adapter's writes.

    Attributes:
        ok: nothing waits and nothing was lost.
        pending_writes: kept in memory until the database is back.
        dropped_writes: lost for good, because the outbox was full or refused later.
        last_error: why the last write failed, or None if none did since the last recovery.
        since: when the outage began, in seconds since the epoch.
    """

    ok: bool
    pending_writes: int
    dropped_writes: int
    last_error: str | None
    since: float | None


class Outbox:
    """A bounded queue of writes, shared by threads.

    Args:
        limit: writes kept; a further one is dropped, loudly.
    """

    def __init__(
        self,
        limit: int = 10_000,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writes: deque[Callable[[], object]] = deque()
        self._limit, self._clock, self._timer = limit, clock, timer
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._failed_tries = 0
        self._paused_until = timer()
        self._dropped = 0
        self._last_error: str | None = None
        self._since: float | None = None

    def __bool__(self) -> bool:
        return bool(self._writes)

    def health(self) -> Health:
        """Return the state, without touching the database."""
        with self._lock:
            pending = len(self._writes)
            ok = not pending and not self._dropped and self._last_error is None
            return Health(ok, pending, self._dropped, self._last_error, self._since)

    def add(self, write: Callable[[], object], error: BaseException) -> None:
        """Keep a write that just failed with `error`."""
        with self._lock:
            if self._since is None:
                self._since = self._clock()
                _log.error(
                    "The conversation is not being stored: %s. Writes are kept in memory and "
                    "stored when the database is back; see db.health()",
                    error,
                )
            self._last_error = str(error)
            if len(self._writes) < self._limit:
                self._writes.append(write)
                return
            self._dropped += 1
            if self._dropped == 1:
                _log.error("The outbox is full (%d writes): further ones are lost", self._limit)

    def failed(self, error: BaseException) -> None:
        """Note a read that failed, so that `health` shows it."""
        with self._lock:
            if self._last_error is None:
                _log.error("The conversation cannot be read: %s", error)
            self._last_error = str(error)
            self._since = self._since or self._clock()

    def succeeded(self) -> None:
        """Note that the database answers again."""
        with self._lock:
            if self._last_error is not None and not self._writes:
                self._last_error = self._since = None

    def flush_first(self) -> None:
        """Write what waits, before anything newer is.

        Raises:
            UnavailableError, SchemaError: the database is still away, or was found so just now.
        """
        if not self._writes:
            return
        if self._timer() < self._paused_until:
            raise UnavailableError(self._last_error or "")
        self.flush()

    def flush(self, timeout_s: float | None = None) -> int:
        """Write what waits, in order. Return how many were written.

        Args:
            timeout_s: begin no further write after so many seconds; None: go on to the end.

        Raises:
            UnavailableError, SchemaError: the database is still away; the rest keeps waiting.
        """
        failed = self._failed_tries
        with self._flushing:
            if self._writes and self._failed_tries != failed:
                # Found out by another thread while this one waited for it.
                raise UnavailableError(self._last_error or "")
            written = self._write_all(timeout_s)
        if written:
            _log.warning("The database is back: %d kept writes were stored", written)
        self.succeeded()
        return written

    def _write_all(self, timeout_s: float | None) -> int:
        written, started = 0, self._timer()
        deadline = inf if timeout_s is None else started + timeout_s
        while self._writes and started < deadline:
            try:
                self._writes[0]()
            except RETRIED as error:
                self._note(error, self._timer() - started)
                raise
            except Exception:  # noqa: BLE001 - else it would hold up all behind it for ever
                with self._lock:
                    self._dropped += 1
                _log.exception("A kept write was refused and is lost")
            else:
                written += 1
            self._writes.popleft()
            started = self._timer()
        return written

    def _note(self, error: BaseException, took_s: float) -> None:
        with self._lock:
            self._failed_tries += 1
            self._last_error = str(error)
            pause_s = min(2 * took_s, _MAX_PAUSE_S) if took_s > _SLOW_TRY_S else 0.0
            self._paused_until = self._timer() + pause_s

    def give_up(self) -> None:
        """Forget what waits, and say how much that is."""
        with self._lock:
            lost = len(self._writes)
            self._writes.clear()
            self._dropped += lost
        if lost:
            _log.error("%d writes are lost: %s", lost, self._last_error)
