"""LlamaIndex's chat stores."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from benchmarks.contenders.base import Contender
from benchmarks.messages import METADATA

__all__ = ["ChatStore"]


class ChatStore(Contender):
    """`SQLiteChatStore` or `PostgresChatStore`, which rewrites an array with each message."""

    capacity: ClassVar[int | None] = 100

    def open(self) -> None:
        """Make the store and its table."""
        kind = {"sqlite": "sqlite", "postgresql": "postgres"}[self.place.engine]
        module = importlib.import_module(f"llama_index.storage.chat_store.{kind}")
        name = {"sqlite": "SQLiteChatStore", "postgres": "PostgresChatStore"}[kind]
        self._store = getattr(module, name).from_uri(self.place.url)
        self._message = importlib.import_module("llama_index.core.llms").ChatMessage

    def session(self, name: str) -> str:
        """Return the key of a session."""
        return name

    def append(self, session: str, text: str) -> None:
        """Add a message."""
        message = self._message(role="user", content=text, additional_kwargs=METADATA)
        self._store.add_message(session, message)

    def read(self, session: Any) -> list[str]:
        """Get all messages."""
        return [message.content for message in self._store.get_messages(session)]
