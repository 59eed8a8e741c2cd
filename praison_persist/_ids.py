"""Identifiers: UUID version 7, so that ids made later sort later and stay together in an index."""

from __future__ import annotations

import os
import random
import threading
import time

__all__ = ["new_id"]

_lock = threading.Lock()
_random = random.SystemRandom()
_RAND_BITS = 74
_last_ms = 0
_last_rand = 0


def new_id() -> str:
    """Return a new UUIDv7 in its 36-character form (RFC 9562, section 5.7).

    Ids made by one process are strictly increasing, also within a millisecond and when the clock
    steps back; ids of different processes are ordered by their millisecond.
    """
    global _last_ms, _last_rand  # noqa: PLW0603 - monotonic per process is per-process state
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_ms:
            _last_ms, _last_rand = now_ms, _random.getrandbits(_RAND_BITS - 1)
        else:
            # The top bit is left clear above, so that counting up cannot overflow in practice.
            _last_rand += 1 + _random.getrandbits(16)
        ms, rand = _last_ms, _last_rand
    rand_a, rand_b = rand >> 62, rand & ((1 << 62) - 1)
    value = (ms << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _after_fork() -> None:
    """Give the child its own lock and its own random tail."""
    global _lock, _last_ms  # noqa: PLW0603 - see new_id
    _lock = threading.Lock()
    _last_ms = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
