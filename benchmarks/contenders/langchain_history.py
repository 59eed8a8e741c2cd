"""LangChain's history in SQL databases."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from benchmarks.contenders.base import Contender
from benchmarks.messages import METADATA

__all__ = ["History"]


class History(Contender):
    """`SQLChatMessageHistory`, an object a session, all of one engine."""

    def open(self) -> None:
        """Make the engine; a history makes its table."""
        community = importlib.import_module("langchain_community.chat_message_histories")
        self._class = community.SQLChatMessageHistory
        self._message = importlib.import_module("langchain_core.messages").HumanMessage
        driver = {"postgresql": "psycopg", "mariadb": "pymysql"}.get(self.place.engine)
        url = self.place.with_driver(driver) if driver else self.place.url
        self._engine = importlib.import_module("sqlalchemy").create_engine(url)

    def session(self, name: str) -> Any:
        """Begin a session."""
        return self._class(name, connection=self._engine)

    def append(self, session: Any, text: str) -> None:
        """Add a message."""
        session.add_message(self._message(text, additional_kwargs=METADATA))

    def append_many(self, session: Any, texts: Sequence[str]) -> None:
        """Add messages at once."""
        session.add_messages([self._message(text, additional_kwargs=METADATA) for text in texts])

    def read(self, session: Any) -> list[str]:
        """Get all messages."""
        return [message.content for message in session.messages]
