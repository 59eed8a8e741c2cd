"""LlamaIndex over the conversation stores of this package: chat stores for its memories."""

from praison_persist.integrations.llama_index.chat_store import PersistChatStore
from praison_persist.integrations.llama_index.memory_store import PersistMemoryStore

__all__ = ["PersistChatStore", "PersistMemoryStore"]
