"""The registry of stores with the constructor that praisonai's has."""

from __future__ import annotations

import logging
from typing import Any

from praison_persist import backends, registry

__all__ = ["StoreRegistry", "logger"]

logger = logging.getLogger("praisonai._registry")

_KINDS = {
    "conversation": backends.CONVERSATION,
    "knowledge": backends.KNOWLEDGE,
    "state": backends.STATE,
}


class _AnyStoreRegistry(type):
    """The process's registries were made by another constructor, and are of this class too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, registry.StoreRegistry)


class StoreRegistry(registry.StoreRegistry, metaclass=_AnyStoreRegistry):
    """A registry of its own, with the built-in stores of its kind.

    Args:
        kind: "conversation", "knowledge" or "state"; of another kind there are no built-ins.
        entry_point_group: where installed packages announce theirs.
    """

    def __init__(self, kind: str, entry_point_group: str) -> None:
        super().__init__(kind, entry_point_group, backends=_KINDS.get(kind, ()))
