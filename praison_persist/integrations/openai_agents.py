"""A session of the OpenAI Agents SDK, kept as a conversation in any store of this package."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from agents.items import TResponseInputItem
from agents.memory import SessionSettings
from agents.memory.session_settings import coerce_session_settings, resolve_session_limit

from praison_persist._checks import check_id, check_limit
from praison_persist.errors import NotFoundError, UnsupportedError
from praison_persist.integrations._openai_items import items_of, message_of
from praison_persist.integrations._stores import async_stores
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.newest import newest
from praison_persist.protocols import Capability

__all__ = ["PersistSession"]


class PersistSession:
    """Keeps what a `Runner` says and hears; pass it as `session=`.

    One object serves all tasks and event loops of a process; any number of objects, in any number
    of processes, may be of one session.

    Args:
        session_id: of the conversation; it is created with the first item.
        database: a database URL, a path of an SQLite file, or a conversation store, which stays the
            caller's to close. None is the URL in PRAISON_CONVERSATION_URL.
        user_id, agent_id: whose the conversation is, if it is created here.
        session_settings: its `limit` is the default of `get_items`.
        options: of the store that a URL makes.

    Raises:
        InvalidDataError: `session_id` cannot be one.
        ConfigurationError, UnknownBackendError, MissingDependencyError: see `praison_persist.db`.
    """

    session_settings: SessionSettings | None = None

    def __init__(
        self,
        session_id: str,
        database: Any = None,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        check_id(session_id, "session_id")
        self.session_id = session_id
        self.session_settings = coerce_session_settings(session_settings or SessionSettings())
        self._user_id, self._agent_id = user_id, agent_id
        self._stores = async_stores(database, options)
        self._store = self._stores.conversation

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session_id!r}, {self._store!r})"

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the newest `limit` items, oldest first; None is the limit of the settings.

        Raises:
            InvalidDataError: the limit is negative.
        """
        limit = resolve_session_limit(limit, self.session_settings)
        if limit is None:
            return _items(await self._store.get_messages(self.session_id))
        check_limit(limit)
        # A message of others may be several items, or none.
        window = limit
        while window:
            messages = await self._store.get_messages(self.session_id, limit=window)
            items = _items(messages)
            if len(items) >= limit or len(messages) < window:
                return items[-limit:]
            window *= 2
        return []

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append all items in their order, or none of them.

        A store without `Capability.BATCH` appends one after the other.

        Raises:
            InvalidDataError: JSON cannot hold an item; none was stored.
        """
        messages = [message_of(item) for item in items]
        if not messages:
            return
        try:
            await self._append(messages)
        except NotFoundError:
            await self._store.ensure_session(
                ConversationSession(self.session_id, self._user_id, self._agent_id)
            )
            await self._append(messages)

    async def _append(self, messages: Sequence[ConversationMessage]) -> None:
        if Capability.BATCH in self._store.capabilities:
            await self._store.add_messages(self.session_id, messages)
            return
        for message in messages:
            await self._store.add_message(self.session_id, message)

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove the newest item and return it; None if there is none.

        Of several callers each gets another item.

        Raises:
            UnsupportedError: the newest is one of several items in a message that another
                framework wrote: only the message could be deleted.
        """
        with newest():
            return await self._pop()

    async def _pop(self) -> TResponseInputItem | None:
        while (message := await self._newest()) is not None:
            items = items_of(message)
            if len(items) > 1:
                raise UnsupportedError(
                    f"Message {message.id!r} of session {self.session_id!r} is {len(items)} items "
                    "in one, written by another framework; delete the message in the store instead"
                )
            # Whoever deletes it has it; the others look again.
            if await self._store.delete_messages(self.session_id, [message.id]):
                return _items([message])[0]
        return None

    async def _newest(self) -> ConversationMessage | None:
        """Return the newest message that is any item."""
        window = 1
        while True:
            messages = await self._store.get_messages(self.session_id, limit=window)
            for message in reversed(messages):
                if items_of(message):
                    return message
            if len(messages) < window:
                return None
            window *= 2

    async def clear_session(self) -> None:
        """Delete all items. The session stays, with its name, user and state."""
        await self._store.delete_messages(self.session_id)

    async def _atomic_replace_items(self, items: list[TResponseInputItem]) -> bool:
        """Put these items in the place of all there are, for OpenAIResponsesCompactionSession.

        That would clear and then add: a process that dies between would take the history with it.
        Here the new items are added first, and those that were there deleted after: what dies
        between leaves both, and what others add meanwhile stays. False for a class derived from
        this, which may store something else than it is given: then it is cleared after all.
        """
        if type(self) is not PersistSession:
            return False
        with newest():
            replaced = await self._store.get_messages(self.session_id)
        await self.add_items(items)
        await self._store.delete_messages(self.session_id, [message.id for message in replaced])
        return True

    async def close(self) -> None:
        """Release what a URL made; a store that was passed stays open."""
        await self._stores.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _items(messages: Sequence[ConversationMessage]) -> list[Any]:
    return [item for message in messages for item in items_of(message)]
