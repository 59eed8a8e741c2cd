"""What runtimes leave in a session for one another: small notes per runtime and turn."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from praison_persist._checks import check_id
from praison_persist.sessions.checks import check_dict
from praison_persist.sessions.primitives import OpenSession, SessionPrimitives

__all__ = ["RuntimeStateMethods"]


class RuntimeStateMethods(SessionPrimitives):
    """Runtime states of sessions. What is said of TurnMethods holds for those that write."""

    def set_runtime_state(
        self,
        session_id: str,
        runtime_id: str,
        turn_id: str,
        state: dict[str, Any],
        mirror_enabled: bool = True,
    ) -> bool:
        """Keep what a runtime says of one of its turns, in place of what it said before.

        Args:
            session_id: of the session.
            runtime_id: names the runtime, such as "native".
            turn_id: names the turn within the runtime.
            state: JSON; about a kilobyte, and nothing secret.
            mirror_enabled: False stores nothing and returns True.
        """
        check_id(session_id, "session_id")
        check_id(runtime_id, "runtime_id")
        check_id(turn_id, "turn_id")
        check_dict(state, "state")
        if not mirror_enabled:
            return True
        own = deepcopy(state)

        def change(session: OpenSession) -> None:
            session.header.runtime_state.setdefault(runtime_id, {})[turn_id] = deepcopy(own)

        return self._write(session_id, change, what="store a runtime's state")

    def get_runtime_state(
        self, session_id: str, runtime_id: str, turn_id: str | None = None
    ) -> dict[str, Any]:
        """Return what a runtime said of a turn, or {turn_id: state} of all; {} if nothing."""
        check_id(session_id, "session_id")
        check_id(runtime_id, "runtime_id")
        view = self._read(session_id, last=0)
        turns = {} if view is None else view.session.runtime_state.get(runtime_id, {})
        return turns if turn_id is None else turns.get(turn_id, {})

    def clear_runtime_state(self, session_id: str, runtime_id: str | None = None) -> bool:
        """Forget what a runtime said, or what all of them said (None)."""
        check_id(session_id, "session_id")
        if runtime_id is not None:
            check_id(runtime_id, "runtime_id")

        def change(session: OpenSession) -> None:
            if runtime_id is None:
                session.header.runtime_state.clear()
            else:
                session.header.runtime_state.pop(runtime_id, None)

        return self._write(session_id, change, what="clear runtime states")
