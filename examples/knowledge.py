"""Documents that are found by what they mean, in any of the knowledge stores.

PRAISON_KNOWLEDGE_URL names one (qdrant://…, chroma:…, clickhouse://…, all in docs/knowledge.md);
without it they are kept in SQLite.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from surroundings import surroundings

from praison_persist import KnowledgeDocument, db, get_env_var

WORDS = ("bee", "honey", "hive", "rain", "cloud", "sun")


def embed(texts: Sequence[str]) -> list[list[float]]:
    """Return an embedding a text: which of a few words it has. A real one is a model's."""
    found = [[float(word in text.lower()) + 0.01 for word in WORDS] for text in texts]
    return [[x / sqrt(sum(y * y for y in vector)) for x in vector] for vector in found]


def main() -> None:
    """Keep three texts, and ask in words."""
    with (
        surroundings(),
        db(
            database_url="sqlite:///knowledge.db",
            knowledge_url=get_env_var("knowledge_url"),  # None: beside the conversations
            knowledge_options={"embedder": embed},
        ) as kept,
    ):
        store = kept.knowledge_store
        if store.collection_exists("notes"):
            store.delete_collection("notes")
        store.create_collection("notes", dimension=len(WORDS))
        store.upsert(
            "notes",
            [
                KnowledgeDocument("1", "A bee makes honey.", metadata={"about": "bees"}),
                KnowledgeDocument("2", "A hive has one queen.", metadata={"about": "bees"}),
                KnowledgeDocument("3", "A cloud brings rain.", metadata={"about": "weather"}),
            ],
        )
        for question, filters in (
            ("Where does honey come from?", None),
            ("Rain on the hive?", {"about": "bees"}),
        ):
            (best, *_) = store.search("notes", query_text=question, filters=filters, limit=1)
            print(f"{question}  {best.content}")
        print(f"{store.count('notes')} documents")


if __name__ == "__main__":
    main()
