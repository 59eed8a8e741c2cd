"""What the parts of the session suite share: stores, and short ways to say and read things."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import pytest

from praison_persist.errors import ConfigurationError
from praison_persist.sessions.base import SessionStore

__all__ = ["OpenSessions", "SessionContract", "makes_room", "said", "say", "tool_turn"]

OpenSessions = Callable[..., SessionStore]


Test = TypeVar("Test", bound=Callable[..., None])


def makes_room(test: Test) -> Test:
    """Mark a test that needs retention; a store that keeps all is asked to refuse the option."""

    @wraps(test)
    def wrapper(self: SessionContract, *args: Any, **kwargs: Any) -> None:
        if self.makes_room:
            test(self, *args, **kwargs)
            return
        for retention in ("compact", "truncate"):
            with pytest.raises(ConfigurationError):
                kwargs["open_sessions"](retention=retention)

    return cast("Test", wrapper)


class SessionContract:
    """The fixtures of the suite. A backend's suite defines `open_sessions`.

    Attributes:
        makes_room: the store has the options `retention` and `active_window`; one that has not
            keeps all messages.
    """

    makes_room = True

    @pytest.fixture
    def open_sessions(self) -> OpenSessions:
        """Return a function that opens a store; each call opens the same, at first empty, data.

        It takes the options of `SessionStore`: max_messages, retention, active_window, mirror. What
        it has opened is closed after the test.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define the fixture open_sessions")

    @pytest.fixture
    def store(self, open_sessions: OpenSessions) -> SessionStore:
        """The store under test."""
        return open_sessions()

    @pytest.fixture
    def second(self, store: SessionStore, open_sessions: OpenSessions) -> SessionStore:
        """Another store of the same data, opened after `store`."""
        assert store is not None
        return open_sessions()


def say(store: SessionStore, session_id: str, *texts: str) -> None:
    """Add texts, in turn of the user and of the assistant."""
    for number, text in enumerate(texts):
        assert store.add_message(session_id, "assistant" if number % 2 else "user", text)


def said(store: SessionStore, session_id: str) -> list[Any]:
    """Return the contents of a session's window, oldest first."""
    return [message["content"] for message in store.get_chat_history(session_id)]


def tool_turn(store: SessionStore, session_id: str, results: int = 1) -> None:
    """Add a question, the assistant's calls, their results, and an answer."""
    calls = [
        {"id": f"call-{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for n in range(results)
    ]
    assert store.add_user_message(session_id, "question")
    assert store.add_message(session_id, "assistant", None, tool_calls=calls)
    for call in calls:
        assert store.add_message(session_id, "tool", "result", tool_call_id=str(call["id"]))
    assert store.add_assistant_message(session_id, "answer")
