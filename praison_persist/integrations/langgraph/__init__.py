"""LangGraph: a checkpointer and a store over any state store of this package."""

from praison_persist.integrations.langgraph._saver import PersistSaver
from praison_persist.integrations.langgraph._store import PersistStore

__all__ = ["PersistSaver", "PersistStore"]
