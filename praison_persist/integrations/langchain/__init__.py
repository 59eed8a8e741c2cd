"""LangChain over the stores of this package: chat message histories, and a vector store."""

from praison_persist.integrations.langchain.history import (
    PersistChatHistories,
    PersistChatMessageHistory,
)
from praison_persist.integrations.langchain.vector_store import PersistVectorStore

__all__ = ["PersistChatHistories", "PersistChatMessageHistory", "PersistVectorStore"]
