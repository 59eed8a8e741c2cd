"""What was last seen of the sessions that were worked on."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict

from praison_persist.models import ConversationSession

__all__ = ["SessionCache"]


class SessionCache:
    """Copies of at most `limit` sessions, shared by threads; the one unused for longest goes first.

    It is for looking at, without asking the database. What is in it may be out of date, and is
    never written back.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._sessions: OrderedDict[str, ConversationSession] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_id: str) -> ConversationSession | None:
        """Return a copy of the session as it was last seen, or None."""
        with self._lock:
            found = self._sessions.get(session_id)
            if found is None:
                return None
            self._sessions.move_to_end(session_id)
        return copy.deepcopy(found)  # nobody changes what is in here

    def put(self, session: ConversationSession) -> None:
        """Keep a copy of the session, now the last used."""
        kept = copy.deepcopy(session)
        with self._lock:
            self._sessions[session.session_id] = kept
            self._sessions.move_to_end(session.session_id)
            while len(self._sessions) > self.limit:
                self._sessions.popitem(last=False)

    def discard(self, session_id: str) -> None:
        """Forget the session."""
        with self._lock:
            self._sessions.pop(session_id, None)

    def clear(self) -> None:
        """Forget all sessions."""
        with self._lock:
            self._sessions.clear()
