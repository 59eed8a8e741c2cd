"""What is said in a session: adding messages, and reading back what a model is to be shown."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from praison_persist._checks import check_id
from praison_persist.errors import InvalidDataError
from praison_persist.sessions.checks import check_count, check_dict, check_message, check_text
from praison_persist.sessions.messages import (
    CompactionCheckpoint,
    Content,
    SessionMessage,
    from_a_turn,
    working_history,
)
from praison_persist.sessions.mirror import MirroredStore
from praison_persist.sessions.models import SessionData
from praison_persist.sessions.primitives import Change, OpenSession
from praison_persist.sessions.retention import COMPACT, WindowedStore

__all__ = ["TurnMethods"]


class TurnMethods(MirroredStore, WindowedStore):
    """Messages, histories, checkpoints. A method that writes creates the session if need be.

    Those that return a bool return True when the change is stored, and False, with the reason in
    the log, when the medium failed. All raise InvalidDataError for what cannot be stored, with
    nothing changed, and UnavailableError where the session stays locked by others for too long.
    """

    def add_message(
        self,
        session_id: str,
        role: str,
        content: Content,
        metadata: dict[str, Any] | None = None,
        tool_calls: list[Any] | None = None,
        tool_call_id: str | None = None,
    ) -> bool:
        """Add a message at the end of a session.

        Args:
            session_id: 1 to 255 characters.
            role: "user", "assistant", "system" or "tool".
            content: text, a list of content parts, or None beside `tool_calls`.
            metadata: JSON.
            tool_calls: the calls an assistant requests, as OpenAI-shaped dicts.
            tool_call_id: on role "tool": the call that this message answers.
        """
        check_id(session_id, "session_id")
        message = _message(
            role=role,
            content=content,
            metadata=metadata,
            tool_calls=tool_calls,
            tool_call_id=tool_call_id,
        )
        stored = self._append(session_id, message)
        if stored:
            self._mirror_messages(session_id, [message])
        return stored

    def _append(self, session_id: str, message: SessionMessage) -> bool:
        """Store a message; a medium that needs no more than a row for it overrides this."""
        return self._append_by(session_id, message, lambda session: session.append([message]))

    def _append_by(
        self, session_id: str, message: SessionMessage, change: Change, *, retention: bool = True
    ) -> bool:
        """As `_write` of a change that appends a message; a medium may save that elsewhere."""
        del message
        return self._write(session_id, change, what="add a message", retention=retention)

    def add_user_message(
        self, session_id: str, content: Content, metadata: dict[str, Any] | None = None
    ) -> bool:
        """Add a message of the user; see `add_message`."""
        return self.add_message(session_id, "user", content, metadata)

    def add_assistant_message(
        self, session_id: str, content: Content, metadata: dict[str, Any] | None = None
    ) -> bool:
        """Add a message of the assistant; see `add_message`."""
        return self.add_message(session_id, "assistant", content, metadata)

    def upsert_partial_assistant_message(
        self, session_id: str, content: str, *, finalize: bool = False
    ) -> bool:
        """Store an answer that is still being written: all that is known of it so far.

        The last message is replaced if it is such an answer. With `finalize` the answer is complete
        and becomes a message like others; one without text is removed.
        """
        check_id(session_id, "session_id")
        message = _message(
            role="assistant", content=content, metadata=None if finalize else {"partial": True}
        )
        if finalize and not content and not self._ends_partial(session_id):
            return True
        finished: list[SessionMessage] = []

        def change(session: OpenSession) -> None:
            finished.clear()
            last = _partial(session)
            if finalize and not content:
                if last is not None:
                    session.keep(session.message_count - 1)
                return
            if last is None:
                session.append([message])
            else:
                message.metadata = last.metadata | message.metadata
                if finalize:
                    message.metadata.pop("partial", None)
                session.replace_last(message)
            finished.extend([message] if finalize else [])

        stored = self._write(session_id, change, what="store a partial answer")
        if stored and finished:
            self._mirror_messages(session_id, finished)
        return stored

    def discard_partial_assistant_message(self, session_id: str) -> bool:
        """Remove the last message if it is an answer that is still being written."""
        check_id(session_id, "session_id")
        if not self._ends_partial(session_id):
            return True

        def change(session: OpenSession) -> None:
            if _partial(session) is not None:
                session.keep(session.message_count - 1)

        return self._write(session_id, change, what="discard a partial answer")

    def _ends_partial(self, session_id: str) -> bool:
        view = self._read(session_id, last=1)
        return view is not None and any(map(_is_partial, view.session.messages))

    def set_chat_history(self, session_id: str, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Replace all messages of the window; the checkpoint goes, the archive stays.

        Args:
            session_id: of the session.
            messages: dicts as `SessionMessage.to_dict` or `get_chat_history` return them.
        """
        check_id(session_id, "session_id")
        if isinstance(messages, str | Mapping):
            raise InvalidDataError(f"messages must be a list, not {type(messages).__name__}")
        built = [_from_dict(message, number) for number, message in enumerate(messages)]

        def change(session: OpenSession) -> None:
            session.header.last_compaction = None
            session.keep(0)
            session.append(built)

        stored = self._write(session_id, change, what="set the chat history")
        if stored:
            self._mirror_messages(session_id, built)
        return stored

    def clear_session(self, session_id: str) -> bool:
        """Remove all messages, archived ones too; the session itself and its snapshots stay."""
        check_id(session_id, "session_id")

        def change(session: OpenSession) -> None:
            session.header.last_compaction = None
            session.keep(0)
            session.drop_archive()

        return self._write(session_id, change, what="clear the session")

    def append_compaction_checkpoint(
        self,
        session_id: str,
        summary: str,
        *,
        role: str = "system",
        tokens_before: int = 0,
        tokens_after: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> bool:
        """Let a summary stand for all messages so far when the session is resumed.

        Returns:
            False also where the summary is blank: nothing is stored then.
        """
        check_id(session_id, "session_id")
        check_text(summary, "summary")
        check_text(role, "role")
        check_count(tokens_before, "tokens_before")
        check_count(tokens_after, "tokens_after")
        check_dict(metadata or {}, "metadata")
        if not summary.strip():
            return False
        checkpoint = CompactionCheckpoint(
            summary=summary,
            role=role,
            tokens_before=tokens_before,
            tokens_after=tokens_after,
            metadata=metadata or {},
        ).to_dict()

        def change(session: OpenSession) -> None:
            at = {"message_index": session.message_count}
            session.header.last_compaction = CompactionCheckpoint.from_dict(checkpoint | at)

        return self._write(session_id, change, what="store a checkpoint")

    def get_chat_history(
        self, session_id: str, max_messages: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest messages as models take them, oldest first; [] without a session.

        Args:
            session_id: of the session.
            max_messages: at most so many (0 or None: the whole window); fewer where the first of
                them would be a tool's result without its call.
        """
        check_id(session_id, "session_id")
        check_count(max_messages, "max_messages")
        view = self._read(session_id, last=max_messages or None)
        if view is None:
            return []
        messages = view.session.messages
        if view.message_count > len(messages):
            messages = from_a_turn(messages)
        return [message.to_llm_message() for message in messages]

    def get_working_history(
        self, session_id: str, max_messages: int | None = None
    ) -> list[dict[str, Any]]:
        """Return what a resumed agent is to know, as models take it, oldest first.

        That is the last checkpoint's summary and the messages since; without a checkpoint, the
        newest messages, with the summary of the archived ones if there is one.

        Args:
            session_id: of the session.
            max_messages: at most so many, the summary included (0 or None: the store's
                `max_messages`).
        """
        check_id(session_id, "session_id")
        check_count(max_messages, "max_messages")
        limit = max_messages or self.max_messages
        # A compacted window is short, and its first message is the summary.
        view = self._read(session_id, last=None if self.retention == COMPACT else limit or None)
        if view is None:
            return []
        messages = view.session.messages
        skipped = view.message_count - len(messages)
        return working_history(view.session.last_compaction, messages, limit, skipped=skipped)

    def get_session(self, session_id: str) -> SessionData:
        """Return a session with all its messages; a new, empty one if it is not stored."""
        check_id(session_id, "session_id")
        view = self._read(session_id, archive=True)
        return SessionData(session_id) if view is None else view.session


def _message(
    *,
    role: Any,
    content: Any,
    metadata: Any = None,
    tool_calls: Any = None,
    tool_call_id: Any = None,
    timestamp: Any = None,
) -> SessionMessage:
    """Return the store's own copy of a message that has been checked."""
    message = SessionMessage(
        role=role,
        content=content,
        timestamp=time.time() if timestamp is None else timestamp,
        metadata={} if metadata is None else metadata,
        tool_calls=tool_calls,
        tool_call_id=tool_call_id,
    )
    check_message(message)
    return SessionMessage.from_dict(message.to_dict())


def _from_dict(message: Any, number: int) -> SessionMessage:
    if isinstance(message, SessionMessage):
        message = message.to_dict()
    if not isinstance(message, Mapping):
        raise InvalidDataError(f"messages[{number}] must be a dict, not {type(message).__name__}")
    return _message(
        role=message.get("role", "user"),
        content=message.get("content", ""),
        metadata=message.get("metadata"),
        tool_calls=message.get("tool_calls"),
        tool_call_id=message.get("tool_call_id"),
        timestamp=message.get("timestamp"),
    )


def _is_partial(message: SessionMessage) -> bool:
    return message.role == "assistant" and bool(message.metadata.get("partial"))


def _partial(session: OpenSession) -> SessionMessage | None:
    """Return the last message if it is an answer that is still being written."""
    last = session.read(-1)
    return last[0] if last and _is_partial(last[0]) else None
