"""Stores that users wrote without our base classes: any object with some of the methods.

A coroutine method `async_x` serves async callers and a plain `x` sync ones; where only one is
there, it serves both. What an object lacks is empty: without get_messages nothing is resumed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from praison_persist._adapt import background_loop
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import AsyncConversationStore, Capability, ConversationStore

__all__ = ["adopt"]


def adopt(store: object) -> tuple[ConversationStore, AsyncConversationStore]:
    """Return a duck-typed store as a store of each colour.

    Raises:
        ConfigurationError: it has no add_message, in neither colour.
    """
    duck = _Duck(store)
    return _SyncDuck(duck), _AsyncDuck(duck)


class _Duck:
    """The methods of a user's object, by the contract's names, in both colours."""

    def __init__(self, store: object) -> None:
        self.store = store
        if self._methods("add_message") == (None, None):
            raise ConfigurationError(
                f"{type(store).__name__} cannot keep a conversation: it has neither add_message "
                "nor async_add_message. Derive it from praison_persist.ConversationStore or "
                "AsyncConversationStore"
            )

    def _methods(self, name: str) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
        plain = getattr(self.store, name, None)
        native = getattr(self.store, f"async_{name}", None)
        if inspect.iscoroutinefunction(plain):
            plain, native = None, native or plain
        return plain, native

    def call(self, name: str, missing: Any, *args: Any) -> Any:
        """Call a method as a sync caller; return `missing` if there is none."""
        plain, native = self._methods(name)
        if plain is not None:
            return _bound(plain, name, args)()
        if native is not None:
            return background_loop().call(_bound(native, name, args)())
        return missing

    async def acall(self, name: str, missing: Any, *args: Any) -> Any:
        """Call a method as an async caller; return `missing` if there is none."""
        plain, native = self._methods(name)
        if native is not None:
            return await _bound(native, name, args)()
        if plain is not None:
            return await asyncio.to_thread(_bound(plain, name, args))
        return missing


def _bound(method: Callable[..., Any], name: str, args: tuple[Any, ...]) -> Callable[[], Any]:
    """Bind the arguments: stores of the documentation take add_message(content, metadata)."""
    if name != "add_message":
        return partial(method, *args)
    parameters = inspect.signature(method).parameters
    if "content" not in parameters:
        return partial(method, *args)
    session_id, message = args
    values = {**message.to_dict(), "session_id": session_id}
    given: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = values.get(parameter.name)
        elif parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            given.append(values.get(parameter.name))
    return partial(method, *given, **named)


class _SyncDuck(ConversationStore):
    def __init__(self, duck: _Duck) -> None:
        self._duck = duck

    def create_session(self, session: ConversationSession) -> ConversationSession:
        return self._duck.call("create_session", session, session) or session

    def get_session(self, session_id: str) -> ConversationSession | None:
        found: ConversationSession | None = self._duck.call("get_session", None, session_id)
        return found

    def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        if expected_version is not None:
            self._unsupported(Capability.EXPECTED_VERSION)
        return self._duck.call("update_session", session, session) or session

    def delete_session(self, session_id: str) -> bool:
        return bool(self._duck.call("delete_session", False, session_id))

    def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        return list(self._duck.call("list_sessions", [], user_id, agent_id, limit, offset))

    def add_message(self, session_id: str, message: ConversationMessage) -> ConversationMessage:
        return self._duck.call("add_message", message, session_id, message) or message

    def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        found = self._duck.call("get_messages", [], session_id, *_given(limit, before, after))
        return [_message(row) for row in found or ()]

    def delete_messages(self, session_id: str, message_ids: Sequence[str] | None = None) -> int:
        return int(self._duck.call("delete_messages", 0, session_id, message_ids))

    def close(self) -> None:
        self._duck.call("close", None)


class _AsyncDuck(AsyncConversationStore):
    def __init__(self, duck: _Duck) -> None:
        self._duck = duck

    async def create_session(self, session: ConversationSession) -> ConversationSession:
        return await self._duck.acall("create_session", session, session) or session

    async def get_session(self, session_id: str) -> ConversationSession | None:
        found: ConversationSession | None = await self._duck.acall("get_session", None, session_id)
        return found

    async def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        if expected_version is not None:
            self._unsupported(Capability.EXPECTED_VERSION)
        return await self._duck.acall("update_session", session, session) or session

    async def delete_session(self, session_id: str) -> bool:
        return bool(await self._duck.acall("delete_session", False, session_id))

    async def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        return list(await self._duck.acall("list_sessions", [], user_id, agent_id, limit, offset))

    async def add_message(
        self, session_id: str, message: ConversationMessage
    ) -> ConversationMessage:
        return await self._duck.acall("add_message", message, session_id, message) or message

    async def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        bounds = _given(limit, before, after)
        found = await self._duck.acall("get_messages", [], session_id, *bounds)
        return [_message(row) for row in found or ()]

    async def delete_messages(
        self, session_id: str, message_ids: Sequence[str] | None = None
    ) -> int:
        return int(await self._duck.acall("delete_messages", 0, session_id, message_ids))

    async def close(self) -> None:
        await self._duck.acall("close", None)


def _given(*bounds: Any) -> tuple[Any, ...]:
    """Leave out trailing Nones, which a user's method may not take."""
    while bounds and bounds[-1] is None:
        bounds = bounds[:-1]
    return bounds


def _message(row: Any) -> ConversationMessage:
    """Return a message of a user's store, which may be a dict or another class."""
    if isinstance(row, ConversationMessage):
        return row
    if not isinstance(row, Mapping):
        names = [field.name for field in fields(ConversationMessage)]
        row = {name: getattr(row, name) for name in names if hasattr(row, name)}
    return ConversationMessage.from_dict(dict(row))
