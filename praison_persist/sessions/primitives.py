"""What a medium has to do to keep sessions; everything else is written once on top of it.

A session has a header (every field of `ExtendedSessionData` but its messages), a window of active
messages, oldest first, and an archive of those that were taken out of the window to make room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from praison_persist.sessions.models import (
    ExtendedSessionData,
    SessionMessage,
    SessionSnapshot,
)

__all__ = ["Change", "OpenSession", "SessionFilter", "SessionPrimitives", "SessionView"]


class SessionView:
    """A session as it was at one moment; the reader's own copy.

    Attributes:
        session: its header, and the messages that were asked for.
    """

    def __init__(self, session: ExtendedSessionData, count: int | Callable[[], int]) -> None:
        """See the class.

        Args:
            session: as said.
            count: how many messages the whole window holds, or what counts them: few readers ask,
                and a medium may have to look at each message.
        """
        self.session = session
        self._count = count

    @property
    def message_count(self) -> int:
        """How many messages the whole window holds."""
        if not isinstance(self._count, int):
            self._count = self._count()
        return self._count


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions to list: those that agree in every field that is not None."""

    agent_name: str | None = None
    agent_id: str | None = None
    gateway_session_id: str | None = None


class OpenSession(ABC):
    """A session within a change: nobody else changes it, and all of the change is kept or nothing.

    Attributes:
        header: its fields may be assigned and changed; `messages`, `archived_messages`,
            `children_ids` and `snapshots` are not looked at.
        is_new: the session did not exist before this change.
    """

    header: ExtendedSessionData
    is_new: bool

    @property
    @abstractmethod
    def message_count(self) -> int:
        """How many messages the window holds, those of this change included."""

    @abstractmethod
    def read(self, start: int = 0, stop: int | None = None) -> list[SessionMessage]:
        """Return copies of messages of the window; the indices are those of a Python slice."""

    @abstractmethod
    def append(self, messages: Sequence[SessionMessage]) -> None:
        """Add messages at the end of the window."""

    @abstractmethod
    def replace_last(self, message: SessionMessage) -> None:
        """Put a message in the place of the last one; there is one."""

    @abstractmethod
    def keep(self, count: int) -> None:
        """Remove all messages of the window after the first `count`. The archive stays."""

    @abstractmethod
    def drop_archive(self) -> None:
        """Remove the archived messages."""

    @abstractmethod
    def drop_oldest(self, count: int) -> None:
        """Remove the first `count` messages of the window for good."""

    @abstractmethod
    def roll_up(self, count: int, summary: SessionMessage, *, had_summary: bool) -> None:
        """Take the first `count` messages out of the window; `summary` takes their place.

        They move to the end of the archive, but for the first of them if `had_summary`: that one
        is the summary of an earlier call, and is dropped.
        """

    @abstractmethod
    def take_snapshot(self, snapshot: SessionSnapshot) -> None:
        """Keep the messages, the archive and the checkpoint as they are now, under `snapshot`.

        Sets the snapshot's `message_index`; its other fields are stored as they are.
        """

    @abstractmethod
    def restore(self, snapshot_id: str) -> bool:
        """Set messages, archive and `header.last_compaction` back to a snapshot.

        Returns False, with nothing changed, if there is no such snapshot or its state is not known.
        """


Change = Callable[[OpenSession], None]


class SessionPrimitives(ABC):
    """What a store does itself. Ids are checked already, values are the store's to keep.

    Reads and writes raise UnavailableError where the medium cannot be reached in time, BackendError
    where it fails; `_write` and `_delete` log why and return False where the medium fails.
    """

    @abstractmethod
    def _read(
        self, session_id: str, *, last: int | None = None, archive: bool = False
    ) -> SessionView | None:
        """Return a session with the newest `last` messages (None: all), or None without one.

        Args:
            session_id: of the session.
            last: 0 reads the header only.
            archive: whether to read the archived messages, and the snapshots' transcripts, too.
        """

    @abstractmethod
    def _write(self, session_id: str, change: Change, *, what: str, retention: bool = True) -> bool:
        """Apply a change to a session, which is created if it does not exist.

        The change may be called again if another writer came first. After it, unless `retention`
        is False, the store calls `self._enforce_window(session)`, and sets `updated_at` to now.
        An exception of the change leaves the session as it was and reaches the caller.

        Args:
            session_id: of the session.
            change: is given the open session.
            what: what the change does, for messages: "add a message".
            retention: whether to make room in the window afterwards.

        Returns:
            True: stored. False: not stored, and why is in the log.
        """

    @abstractmethod
    def _put(self, session: ExtendedSessionData, *, overwrite: bool) -> None:
        """Store a whole session as it is, with no retention.

        A `parent_id` makes it that session's youngest child; a parent that does not exist is
        created. `children_ids` are not looked at.

        Raises:
            ConflictError: the session exists, and `overwrite` is False.
        """

    @abstractmethod
    def _delete(self, session_id: str) -> bool:
        """Delete a session with all that is kept of it; its children become roots.

        Returns:
            True also if there was none. False: not deleted, and why is in the log.
        """

    @abstractmethod
    def _fork(self, session_id: str, fork: ExtendedSessionData, count: int | None) -> None:
        """Store the new session `fork` with the first `count` messages (None: all) of a window.

        Its `parent_id` is `session_id`, of which it becomes the youngest child. Its
        `last_compaction` is that of the parent if it lies within these messages.

        Raises:
            NotFoundError: there is no session to fork.
            InvalidDataError: its window holds fewer than `count` messages.
        """

    @abstractmethod
    def _children(self, session_id: str) -> list[str]:
        """Return the ids of the sessions that have this one as their parent, oldest first."""

    @abstractmethod
    def _list(self, only: SessionFilter, limit: int | None) -> list[SessionView]:
        """Return the headers of the newest `limit` sessions, last written first (None: all).

        Snapshots need not be in them.
        """

    @abstractmethod
    def _all(self) -> Iterator[ExtendedSessionData]:
        """Yield every session whole, with archive, snapshots and `children_ids`.

        Raises:
            BackendError: one of them cannot be read.
        """

    def _matching(self, terms: Sequence[str]) -> Iterator[ExtendedSessionData]:
        """Yield, whole, at least each session with one of the terms in a message's text.

        The terms are in lower case and compared without regard to it; messages in the archive
        count too. Sessions that cannot be read are left out.
        """
        del terms
        return self._all()

    @abstractmethod
    def _enforce_window(self, session: OpenSession) -> None:
        """Make room in the window as the store's retention says; for `_write` to call."""
