"""LangGraph: a checkpointer and a store over any state store of this package."""

from praison_persist.integrations.langgraph._saver import PraisonSaver
from praison_persist.integrations.langgraph._store import PraisonStore

__all__ = ["PraisonSaver", "PraisonStore"]
