"""Which turns are open: an agent's hooks do not say which turn they belong to.

A turn is kept in a ContextVar, which follows the agent into its worker threads and tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import ContextVar
from weakref import WeakSet

from praison_persist._recent import Recent
from praison_persist.recorder import Turn, TurnOwner

__all__ = [
    "current_turn",
    "enter",
    "leave",
    "open_streams",
    "open_turns",
    "run_turn",
    "speaking_turn",
    "turn_of",
    "turns_of_owner",
]

_STREAMS = 1_000  # open at once, beyond which abandoned ones are forgotten

_current: ContextVar[Turn | None] = ContextVar("praison_persist_turn", default=None)
# A server may run each step of a generator in a context of its own, so that a stream is found here.
_streams: Recent[str, Turn] = Recent(_STREAMS)
_all: WeakSet[Turn] = WeakSet()
_all_lock = threading.Lock()


def open_turns() -> Iterator[Turn]:
    """Yield the turns of this context that have not ended, the innermost first."""
    turn = _current.get()
    while turn is not None:
        if not turn.closed:
            yield turn
        turn = turn.parent


def current_turn(owner: TurnOwner, session_id: str) -> Turn | None:
    """Return the innermost open turn of this adapter and session in this context."""
    return next(
        (turn for turn in open_turns() if turn.owner is owner and turn.session_id == session_id),
        None,
    )


def speaking_turn(owner: TurnOwner, session_id: str) -> Turn | None:
    """Return the turn that an agent of this adapter and session speaks in."""
    stream = _streams.get(session_id)
    if stream is not None and stream.owner is not owner:
        stream = None
    return current_turn(owner, session_id) or stream


def run_turn(owner: TurnOwner, session_id: str, run_id: str) -> Turn | None:
    """Return the open turn of this context whose end the agent reports under `run_id`."""
    return next(
        (
            turn
            for turn in open_turns()
            if turn.owner is owner
            and turn.session_id == session_id
            and run_id in (turn.run_id, turn.core_run_id)
        ),
        None,
    )


def turn_of(session_id: str | None) -> Turn | None:
    """Return the innermost open turn of a session, whichever adapter keeps it."""
    found = next((turn for turn in open_turns() if turn.session_id == session_id), None)
    return found or _streams.get(session_id or "")


def open_streams(owner: TurnOwner) -> list[Turn]:
    """Return the streams of this adapter that have not been answered, wherever they are."""
    return [turn for turn in _streams.values() if turn.owner is owner]


def turns_of_owner(owner: TurnOwner) -> list[Turn]:
    """Return the turns of this adapter that have not ended, wherever they are."""
    with _all_lock:
        return [turn for turn in _all if turn.owner is owner and not turn.closed]


def enter(turn: Turn) -> None:
    """Make `turn` the current one of this context, within the one that is open."""
    with _all_lock:
        _all.add(turn)
    turn.parent = next(open_turns(), None)
    _current.set(turn)
    if turn.streamed:
        _streams.put(turn.session_id, turn)


def leave(turn: Turn) -> None:
    """Close the turn, everywhere; and leave it, if this is the context that entered it."""
    turn.close()
    _streams.discard(turn.session_id, turn)
    if _current.get() is turn:
        _current.set(turn.parent)
