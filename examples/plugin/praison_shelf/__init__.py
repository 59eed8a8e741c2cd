"""Stores that keep what they are given on a shelf: a dict of this process, named by its URL.

`shelf://mine` names one; every store of that URL has the same. It shows what a backend has to
write, which is a driver of each kind; the checks, the copies and the errors are the templates'.
"""

from __future__ import annotations

from praison_shelf.conversation import ShelfConversationStore
from praison_shelf.knowledge import ShelfKnowledgeStore
from praison_shelf.state import ShelfStateStore

__all__ = ["ShelfConversationStore", "ShelfKnowledgeStore", "ShelfStateStore"]
