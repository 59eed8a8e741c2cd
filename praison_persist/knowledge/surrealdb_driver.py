"""Knowledge as tables of SurrealDB, over a connection of either colour."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from surrealdb import RecordID

from praison_persist._flow import Flow
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist._surrealdb import REFUSED, Connections, SurrealDBVendor
from praison_persist.errors import ConflictError, NotFoundError, PersistError
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.payload import FIELDS, packed, unpacked
from praison_persist.knowledge.surrealdb_queries import (
    COLLECTIONS,
    GONE,
    Values,
    creating,
    guarded,
    numbers,
    select,
    table,
    worded,
)
from praison_persist.knowledge.vectors import score_of
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["SurrealDBDriver"]

_COLUMNS = ", ".join(("id", *FIELDS))
_MEASURES = {
    "cosine": ("vector::similarity::cosine(embedding, $vector)", "DESC"),
    "euclidean": ("vector::distance::euclidean(embedding, $vector)", "ASC"),
    "dot": ("vector::dot(embedding, $vector)", "DESC"),
}
_WORD = re.compile(r"\w+")


class SurrealDBDriver(SurrealDBVendor, KnowledgeDriver):
    """Hooks of one request each. See `SurrealDBVendor` for the arguments."""

    capabilities = frozenset(KnowledgeCapability)

    def __init__(
        self,
        connections: Connections,
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        super().__init__(connections, address, retry, sleep)
        self._index = "FULLTEXT"

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        rows = yield from self._registered(select("VALUE name", COLLECTIONS), {})
        return [str(each) for each in rows]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        rows = yield from self._registered(select("*", "$entry"), {"entry": _entry(name)})
        for row in rows:
            metadata = loads(row["metadata"])
            return KnowledgeCollection(name, row["dimension"], row["distance"], metadata)
        return None

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        content = {
            "name": collection.name,
            "dimension": collection.dimension,
            "distance": collection.distance,
            "metadata": dumps(collection.metadata),
        }
        values = {"entry": _entry(collection.name), "content": content}
        index = self._index  # other threads find out, too
        try:
            yield from self.change(creating(collection.name, index), values)
        except REFUSED as error:
            if "already exists" in str(error):
                return
            if "Parse error" not in str(error) or index == "SEARCH":
                raise
            self._index = "SEARCH"
            yield from self.create(collection)

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        text = f"BEGIN; DELETE $entry; REMOVE TABLE IF EXISTS {table(collection.name)}; COMMIT;"
        yield from self.change(text, {"entry": _entry(collection.name)})

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        rows = [
            {
                "id": each.id,
                **packed(each),
                **numbers(each),
                "embedding": list(each.embedding or ()),
            }
            for each in documents
        ]
        into = f"INSERT INTO {table(collection.name)} $rows RETURN NONE"
        statements = [into] if new else ["DELETE $ids RETURN NONE", into]
        ids = _records(collection, [each.id for each in documents])
        values = {"entry": _entry(collection.name), "rows": rows, "ids": ids}
        try:
            yield from self.change(guarded(*statements), values)
        except REFUSED as error:
            if not new or "already exists" not in str(error):
                raise
            # Stored by an earlier try, perhaps, of which the answer was lost.
            there = yield from self.fetch(
                collection, [each.id for each in documents], embeddings=True
            )
            if {each.id: each for each in there} != {each.id: each for each in documents}:
                raise

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        text = select(_columns(embeddings=embeddings), "$ids")
        (rows,) = yield from self.ask(text, {"ids": _records(collection, ids)})
        return [_document(row) for row in rows]

    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.query. Exact: each embedding that matches is measured."""
        measure, order = _MEASURES[collection.distance]
        values = Values(vector=list(vector), limit=limit)
        text = select(
            f"{_columns(embeddings=embeddings)}, {measure} AS measure",
            table(collection.name),
            f"WHERE {values.condition(where)} ORDER BY measure {order} LIMIT $limit",
        )
        (rows,) = yield from self.ask(text, values.values)
        return [_document(row, score_of(collection.distance, row["measure"])) for row in rows]

    def keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.keywords. The score is BM25's."""
        words = list(dict.fromkeys(_WORD.findall(text.lower())))
        if not words:
            return []
        values = Values(limit=limit)
        condition, score = worded(words, values)
        query = select(
            f"{_COLUMNS}, {score} AS measure",
            table(collection.name),
            f"WHERE {condition} AND {values.condition(where)} ORDER BY measure DESC LIMIT $limit",
        )
        (rows,) = yield from self.ask(query, values.values)
        return [_document(row, float(row["measure"])) for row in rows]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        yield from self.change("DELETE $ids RETURN NONE;", {"ids": _records(collection, ids)})
        return None

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        name = table(collection.name)
        counted = select("count()", name, "GROUP ALL")
        text = f"BEGIN; {counted}; DELETE {name} RETURN NONE; COMMIT;"
        results = yield from self.change(text, {})
        return next((_counted(each) for each in results if each), 0)

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last id of the page before."""
        values = Values(limit=self.batch)
        condition = values.condition(where)
        if cursor is not None:
            (after,) = _records(collection, [cursor])
            condition = f"id > {values.add(after)} AND {condition}"
        rest = f"WHERE {condition} ORDER BY id LIMIT $limit"
        text = select(_COLUMNS, table(collection.name), rest)
        (rows,) = yield from self.ask(text, values.values)
        documents = [_document(row) for row in rows]
        return documents, documents[-1].id if len(documents) == self.batch else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        values = Values()
        condition = values.condition(where)
        text = select("count()", table(collection.name), f"WHERE {condition} GROUP ALL")
        (rows,) = yield from self.ask(text, values.values)
        return _counted(rows)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        text = self.describe(error)
        if GONE in text:
            return NotFoundError(f"{self.address}: cannot {action}: the collection was deleted")
        if "already exists" in text:
            return ConflictError(f"{self.address}: cannot {action}: {text}; nothing was stored")
        return super().translate(error, action)

    def _registered(self, text: str, values: dict[str, Any]) -> Flow[list[Any]]:
        """Ask the table of collections, which is made with the first of them."""
        try:
            (rows,) = yield from self.ask(text, values)
        except REFUSED as error:
            # Since 3.0 a table that is not defined is an error.
            if "does not exist" in str(error) and COLLECTIONS in str(error):
                return []
            raise
        return list(rows)


def _entry(name: str) -> Any:
    return RecordID(COLLECTIONS, name)


def _records(collection: KnowledgeCollection, ids: Sequence[str]) -> list[Any]:
    return [RecordID(table(collection.name).strip("`"), each) for each in ids]


def _columns(*, embeddings: bool) -> str:
    return f"{_COLUMNS}, embedding" if embeddings else _COLUMNS


def _document(row: dict[str, Any], score: float | None = None) -> KnowledgeDocument:
    return unpacked(str(row["id"].id), row, embedding=row.get("embedding"), score=score)


def _counted(rows: Sequence[Any]) -> int:
    return int(rows[0]["count"]) if rows else 0
