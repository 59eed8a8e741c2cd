"""A title for a session, from its first exchange."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable

from praison_persist._checks import check_id
from praison_persist.sessions.checks import check_text
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.primitives import OpenSession, SessionPrimitives
from praison_persist.sessions.search import text_of_message

__all__ = ["TitleMethods", "fallback_title"]

_log = logging.getLogger(__name__)

_TITLE_MAX = 60  # characters
_UNTITLED = "Chat Session"


class TitleMethods(SessionPrimitives):
    """Titles, set by hand or made."""

    def set_title(self, session_id: str, title: str) -> bool:
        """Set the session's title; an empty one removes it."""
        check_id(session_id, "session_id")
        check_text(title, "title")

        def change(session: OpenSession) -> None:
            session.header.title = title or None
            if "title" in session.header.metadata:  # of rename_session: there is one title
                session.header.metadata["title"] = title
            if not title:
                session.header.metadata.pop("title", None)

        return self._write(session_id, change, what="set the title")

    async def auto_title(self, session_id: str) -> bool:
        """Make a title of the first question and its answer, and set it unless there is one.

        Where praisonaiagents is installed, its small model writes it; where that is not to be had,
        the title is the beginning of the question.

        Returns:
            True if it was set; False where there is a title, or no exchange yet.
        """
        check_id(session_id, "session_id")
        view = await asyncio.to_thread(self._read, session_id, archive=True)
        if view is None or view.session.shown_title:
            return False
        session = view.session
        question, answer = _exchange(session.archived_messages + session.messages)
        if not question or not answer:
            return False
        title = (await _written_title(question, answer)).strip()
        done = False

        def change(session: OpenSession) -> None:
            nonlocal done
            # The model took its time, and somebody may have set one meanwhile.
            done = not session.is_new and not session.header.shown_title
            if done:
                session.header.title = title

        def write() -> bool:
            return self._write(session_id, change, what="set a title")

        return await asyncio.to_thread(write) and done


def _exchange(messages: list[SessionMessage]) -> tuple[str, str]:
    """Return the first question and its answer, "" for what there is not."""
    question = ""
    for message in messages:
        text = text_of_message(message).strip()
        if message.role == "user" and not question:
            question = text
        elif message.role == "assistant" and question and text:
            return question, text
    return question, ""


async def _written_title(question: str, answer: str) -> str:
    try:
        # Its first import takes seconds.
        module = await asyncio.to_thread(importlib.import_module, "praisonaiagents.session.title")
    except ImportError:
        return fallback_title(question)
    write: Callable[..., Awaitable[str]] = module.generate_title_async
    try:
        title = await write(question, answer, max_length=_TITLE_MAX)
    except Exception as error:  # noqa: BLE001 - of whatever client the model has
        _log.warning("no title from a model, the question is used instead: %s", error)
        return fallback_title(question)
    return title if title.strip() else fallback_title(question)


def fallback_title(question: str, longest: int = _TITLE_MAX) -> str:
    """Return the first sentence of a question, at most so many characters."""
    text = " ".join(question.split())
    ends = [place for mark in (". ", "? ", "! ") if (place := text.find(mark)) > 0]
    text = text[: min(ends)] if ends else text
    text = text.rstrip(".?! ") or _UNTITLED
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
