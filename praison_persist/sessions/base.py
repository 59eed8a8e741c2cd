"""`SessionStore`: every method of session stores, on top of what a medium does itself."""

from __future__ import annotations

from praison_persist.sessions.details import DetailMethods
from praison_persist.sessions.hierarchy import HierarchyMethods
from praison_persist.sessions.mirror import MirroredStore, SessionMirror
from praison_persist.sessions.retention import DEFAULT_MAX_MESSAGES, WindowedStore
from praison_persist.sessions.runtime_state import RuntimeStateMethods
from praison_persist.sessions.search import SearchMethods
from praison_persist.sessions.titles import TitleMethods
from praison_persist.sessions.transfer import TransferMethods
from praison_persist.sessions.turns import TurnMethods

__all__ = ["SessionStore"]


class SessionStore(
    TurnMethods,
    DetailMethods,
    HierarchyMethods,
    TitleMethods,
    SearchMethods,
    TransferMethods,
    RuntimeStateMethods,
):
    """A store of sessions: satisfies the protocols of `praisonaiagents.session.protocols`.

    It can be shared by threads, and its data by processes: what one of them stores, the next read
    of any other returns. Values handed in are copied, values returned are the caller's own.

    A medium implements the methods of `primitives.SessionPrimitives` but `_enforce_window`.
    """

    def __init__(
        self,
        max_messages: int = DEFAULT_MAX_MESSAGES,
        retention: str | None = None,
        active_window: int | None = None,
        mirror: SessionMirror | None = None,
    ) -> None:
        """See `retention.WindowedStore` for the window and `mirror.MirroredStore` for the mirror.

        Raises:
            ConfigurationError: one of them cannot be right.
        """
        WindowedStore.__init__(self, max_messages, retention, active_window)
        MirroredStore.__init__(self, mirror)
