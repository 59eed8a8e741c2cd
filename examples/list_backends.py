"""Which backends there are, under which names, and which of them could be used right now."""

from __future__ import annotations

from surroundings import surroundings

from praison_persist import list_available_backends
from praison_persist.config import CONVERSATION_STORES, KNOWLEDGE_STORES, STATE_STORES


def main() -> None:
    """Print them."""
    with surroundings():
        for stores in (CONVERSATION_STORES, KNOWLEDGE_STORES, STATE_STORES):
            print(f"{stores.kind}: {', '.join(stores.list_registered())}")
        aliases = {**CONVERSATION_STORES.list_aliases(), **KNOWLEDGE_STORES.list_aliases()}
        for alias in ("neon", "aiosqlite", "libsql", "chromadb", "mongodb_atlas", "cosmos"):
            print(f"{alias} stands for {aliases[alias]}")
        usable = list_available_backends()["conversation"]
        print(f"SQLite can be used: {usable['sqlite']}")


if __name__ == "__main__":
    main()
