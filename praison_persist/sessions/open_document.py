"""A session within a change, for media that keep it as one document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from praison_persist.sessions.messages import CompactionCheckpoint, SessionMessage
from praison_persist.sessions.models import ExtendedSessionData, SessionData, SessionSnapshot
from praison_persist.sessions.primitives import OpenSession

__all__ = ["OpenDocument", "checkpoint_within"]


class OpenDocument(OpenSession):
    """A session in memory, of which the whole is stored after the change."""

    def __init__(self, session: ExtendedSessionData, *, is_new: bool) -> None:
        self.header = session
        self.is_new = is_new
        self._added: list[SessionMessage] | None = []
        self._replaced: SessionMessage | None = None
        # Snapshots of which only the position is known hold as long as what is before it does.
        self._positions = [s for s in session.snapshots if s.transcript is None]
        self._before = [m.to_dict() for m in session.messages] if self._positions else []

    @property
    def message_count(self) -> int:
        """See OpenSession."""
        return len(self.header.messages)

    def read(self, start: int = 0, stop: int | None = None) -> list[SessionMessage]:
        """See OpenSession."""
        return [_copy(message) for message in self.header.messages[start:stop]]

    def append(self, messages: Sequence[SessionMessage]) -> None:
        """See OpenSession."""
        self.header.messages += [_copy(message) for message in messages]
        if self._added is not None:
            self._added += [_copy(message) for message in messages]

    def replace_last(self, message: SessionMessage) -> None:
        """See OpenSession."""
        self._replaced = self.header.messages[-1]
        self.header.messages[-1] = _copy(message)
        if self._added is not None:
            self._added.append(_copy(message))

    def keep(self, count: int) -> None:
        """See OpenSession."""
        del self.header.messages[count:]
        self._added = None

    def drop_archive(self) -> None:
        """See OpenSession."""
        self.header.archived_messages.clear()

    def drop_oldest(self, count: int) -> None:
        """See OpenSession."""
        del self.header.messages[:count]

    def roll_up(self, count: int, summary: SessionMessage, *, had_summary: bool) -> None:
        """See OpenSession."""
        self.header.archived_messages += self.header.messages[int(had_summary) : count]
        self.header.messages[:count] = [_copy(summary)]

    def take_snapshot(self, snapshot: SessionSnapshot) -> None:
        """See OpenSession."""
        header = self.header
        checkpoint = header.last_compaction
        snapshot.message_index = len(header.messages) - 1
        snapshot.transcript = {
            "messages": [message.to_dict() for message in header.messages],
            "archived_messages": [message.to_dict() for message in header.archived_messages],
            "last_compaction": None if checkpoint is None else checkpoint.to_dict(),
        }
        header.snapshots.append(snapshot)

    def restore(self, snapshot_id: str) -> bool:
        """See OpenSession."""
        header = self.header
        snapshot = next((s for s in header.snapshots if s.id == snapshot_id), None)
        if snapshot is None or snapshot.invalidated:
            return False
        self._added = None
        if snapshot.transcript is None:
            if snapshot.message_index >= len(header.messages):
                return False
            del header.messages[snapshot.message_index + 1 :]
            return True
        state = SessionData.from_dict(snapshot.transcript)
        header.messages, header.archived_messages = state.messages, state.archived_messages
        header.last_compaction = state.last_compaction
        return True

    def take_in(self, messages: Sequence[SessionMessage], replaced: dict[str, Any] | None) -> None:
        """Add messages that an earlier change could not store; those that it did store are there.

        Args:
            messages: what was added.
            replaced: the message in whose place the first of them was put, if it still is the last.
        """
        window = self.header.messages
        known = [message.to_dict() for message in self.header.archived_messages + window]
        missing = [message for message in messages if message.to_dict() not in known]
        if missing and replaced is not None and window and window[-1].to_dict() == replaced:
            window.pop()
        window += [_copy(message) for message in missing]

    def salvage(self) -> tuple[list[SessionMessage], dict[str, Any] | None]:
        """Return what the change did add, and what it replaced, where it did nothing else."""
        replaced = None if self._replaced is None else self._replaced.to_dict()
        return self._added or [], replaced

    def finished(self) -> ExtendedSessionData:
        """Return the session as it is to be stored."""
        now = [m.to_dict() for m in self.header.messages] if self._positions else []
        for snapshot in self._positions:
            upto = snapshot.message_index + 1
            if upto > len(now) or self._before[:upto] != now[:upto]:
                snapshot.invalidated = True
        return self.header


def _copy(message: SessionMessage) -> SessionMessage:
    return SessionMessage.from_dict(message.to_dict())


def checkpoint_within(
    checkpoint: CompactionCheckpoint | None, count: int
) -> CompactionCheckpoint | None:
    """Return a checkpoint if it stands for no more than the first `count` messages."""
    if checkpoint is None or checkpoint.message_index > count:
        return None
    return CompactionCheckpoint.from_dict(checkpoint.to_dict())
