"""Knowledge in MongoDB with Vector Search: a collection of MongoDB for each of ours.

The catalogue has an entry for each collection, which names the MongoDB collection that has its
documents; each is used once, so that what is left of a deleted one is never of the next one of its
name. A search is exact (ENN). Atlas indexes what was written a moment later: writes wait for it.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import Any

from bson import ObjectId
from pymongo import ReplaceOne
from pymongo import errors as mongo
from pymongo.operations import SearchIndexModel

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._mongodb_errors import (
    DUPLICATE,
    MONGODB_FAILURES,
    REFUSED,
    TOO_LARGE,
    codes_of,
    described,
    is_transient,
)
from praison_persist._mongodb_place import Collections
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
    PersistError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range, pushed_down
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.ranges import ANY, filter_terms, without_ranges
from praison_persist.knowledge.vectors import pack, scores
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["RESERVED", "Layout", "MongoDBVectorDriver"]

_TERMS = "terms"
# Names of fields that cannot be those of the embedding or the content.
RESERVED = ("_id", _TERMS, "metadata", "content_hash", "created_at")
_NONE = "nothing"  # a term of no document
_DROPPED = ":"  # begins the entry of what is still to be deleted; no name begins so
_WORD = re.compile(r"\w+")
_READ = 1000  # embeddings measured at a time
# github.com/mongodb/mongo, src/mongo/base/error_codes.yml: CommandNotFound, SearchNotEnabled, and
# an aggregation stage that there is not.
_NO_SEARCH = {59, 31_082, 40_324}


@dataclass(frozen=True, slots=True)
class Layout:
    """How documents are laid out, and how long their index may take.

    Attributes:
        index: the name of each search index.
        embedding: the field of the embedding.
        text: the field of the content.
        dimension: what collections have to have; None: any.
        index_timeout_s: until a new index can be searched.
        consistency_timeout_s: until a write can be found; 0: nobody waits for that.
    """

    index: str
    embedding: str
    text: str
    dimension: int | None
    index_timeout_s: float
    consistency_timeout_s: float


class MongoDBVectorDriver(KnowledgeDriver):
    """Hooks as operations of PyMongo's collections of either colour.

    Args:
        catalogues: the collection that describes the others, whose names begin with its own.
    """

    failures = MONGODB_FAILURES
    capabilities = frozenset(KnowledgeCapability)
    max_dimension = 8192  # mongodb.com/docs, "Index Fields for Vector Search", numDimensions
    batch = 200

    def __init__(
        self,
        catalogues: Collections,
        layout: Layout,
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._catalogues, self._layout = catalogues, layout
        self.address, self.retry, self.sleep = address, retry, sleep

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        found = yield from wait(self._catalogue().find({}, {"_id": 1}).to_list())
        return [each["_id"] for each in found if not each["_id"].startswith(_DROPPED)]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        entry = yield from wait(self._catalogue().find_one({"_id": name}))
        if entry is None:
            return None
        metadata = loads(entry["metadata"])
        return KnowledgeCollection(name, entry["dimension"], entry["distance"], metadata)

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        dimension = self._layout.dimension
        if dimension not in (None, collection.dimension):
            raise InvalidDataError(
                f"{collection.name!r} has {collection.dimension} dimensions, and the store is for "
                f"embedding_dim={dimension}; leave that out for any"
            )
        catalogue = self._catalogue()
        name = f"{catalogue.name}.{collection.name}.{uuid.uuid4().hex[:12]}"
        entry = {
            "_id": collection.name,
            "dimension": collection.dimension,
            "distance": collection.distance,
            "metadata": dumps(collection.metadata),
            "documents": name,
        }
        yield from wait(catalogue.database.create_collection(name))
        try:
            yield from self._make_indexes(self._named(name), collection)
            yield from wait(catalogue.insert_one(entry))
        except mongo.DuplicateKeyError:  # another was faster
            yield from wait(catalogue.database.drop_collection(name))
        except (mongo.PyMongoError, UnavailableError):
            yield from wait(catalogue.database.drop_collection(name))
            raise

    def _make_indexes(self, documents: Any, collection: KnowledgeCollection) -> Flow[None]:
        layout = self._layout
        yield from wait(documents.create_index(_TERMS))
        # Contents may be of any language, and no field of a document names one.
        yield from wait(
            documents.create_index(
                [(layout.text, "text")], default_language="none", language_override="_language"
            )
        )
        if collection.distance == "dot":
            return
        vector = {
            "type": "vector",
            "path": layout.embedding,
            "numDimensions": collection.dimension,
            "similarity": collection.distance,
        }
        definition = {"fields": [vector, {"type": "filter", "path": _TERMS}]}
        model = SearchIndexModel(definition, name=layout.index, type="vectorSearch")
        yield from wait(documents.create_search_index(model))
        for delay_s in _delays(layout.index_timeout_s):
            if (yield from self._is_queryable(documents)):
                return
            yield from wait(self.sleep(delay_s))
        raise UnavailableError(
            f"{self.address}: the search index of {collection.name!r} cannot be searched after "
            f"{layout.index_timeout_s} s; allow it more with index_timeout="
        )

    def _is_queryable(self, documents: Any) -> Flow[bool]:
        cursor = yield from wait(documents.list_search_indexes(self._layout.index))
        found = yield from wait(cursor.to_list())
        return any(each.get("queryable") for each in found)

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        catalogue = self._catalogue()
        entry = yield from wait(catalogue.find_one({"_id": collection.name}))
        if entry is not None:
            rest = {"_id": _DROPPED + entry["documents"]}
            yield from wait(catalogue.replace_one(rest, rest, upsert=True))
            gone = {"_id": collection.name, "documents": entry["documents"]}
            yield from wait(catalogue.delete_one(gone))
        # Also those that another process gave up on.
        for each in (yield from wait(catalogue.find({"_id": {"$regex": "^:"}}).to_list())):
            name = each["_id"].removeprefix(_DROPPED)
            yield from wait(catalogue.database.drop_collection(name))
            yield from wait(catalogue.delete_one(each))

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        place = yield from self._place(collection)
        rows = [self._row(each) for each in documents]
        if new:
            yield from self._insert(collection, place, rows)
        else:
            updates = [ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in rows]
            yield from wait(place.bulk_write(updates, ordered=False))
        yield from self._settle(collection, place)

    def _insert(
        self, collection: KnowledgeCollection, place: Any, rows: list[dict[str, Any]]
    ) -> Flow[None]:
        try:
            yield from wait(place.insert_many(rows, ordered=False))
        except mongo.BulkWriteError as error:
            if codes_of(error) != {DUPLICATE}:
                raise
            failed = {rows[each["index"]]["_id"] for each in error.details["writeErrors"]}
            there = yield from wait(place.find({"_id": {"$in": sorted(failed)}}).to_list())
            # Those of an earlier try, whose answer was lost, are as they were to be.
            ours = {each["_id"]: each for each in rows}
            others = [each["_id"] for each in there if each != ours[each["_id"]]]
            if not others:
                return
            stored = [each["_id"] for each in rows if each["_id"] not in failed]
            yield from wait(place.delete_many({"_id": {"$in": stored}}))
            raise ConflictError(
                f"The collection {collection.name!r} has a document {min(others)!r} by now; "
                "upsert replaces it"
            ) from error

    def _settle(self, collection: KnowledgeCollection, place: Any) -> Flow[None]:
        """Wait until the search index has what was written.

        It follows the order of the writes: when it has a document that was written after them, it
        has them as well. That one's id is no string, and it has a term of its own alone.
        """
        timeout_s = self._layout.consistency_timeout_s
        if collection.distance == "dot" or not timeout_s:
            return
        vector, terms = [1.0] * collection.dimension, [f"w{uuid.uuid4().hex}"]
        mark = {"_id": ObjectId(), self._layout.embedding: vector, _TERMS: terms}
        yield from wait(place.insert_one(mark))
        pipeline = self._nearest(vector, 1, {_TERMS: {"$in": terms}})
        found: Sequence[Any] = []
        for delay_s in _delays(timeout_s):
            cursor = yield from wait(place.aggregate([*pipeline, {"$project": {"_id": 1}}]))
            found = yield from wait(cursor.to_list())
            if found:
                break
            yield from wait(self.sleep(delay_s))
        yield from wait(place.delete_one({"_id": mark["_id"]}))
        if not found:
            raise UnavailableError(
                f"{self.address}: what was written to {collection.name!r} is stored, but cannot be "
                f"searched after {timeout_s} s; look at its search index, or allow it more with "
                "consistency_timeout="
            )

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        place = yield from self._place(collection)
        found = place.find({"_id": {"$in": list(ids)}}, self._fields(embeddings=embeddings))
        return [self._document(each) for each in (yield from wait(found.to_list()))]

    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.query."""
        place = yield from self._place(collection)
        if collection.distance == "dot":
            found = yield from self._measured(collection, place, vector, limit, where)
        else:
            pipeline = self._nearest(vector, limit, _match(where))
            project = {"$project": self._fields(embeddings=True)}
            cursor = yield from wait(place.aggregate([*pipeline, project]))
            rows = yield from wait(cursor.to_list())
            if not rows and not (yield from self._is_queryable(place)):
                yield from self._place(collection)  # or it was deleted
                raise BackendError(
                    f"{self.address}: the search index {self._layout.index!r} of "
                    f"{collection.name!r} is not there or not ready"
                )
            found = list(self._scored(collection, vector, rows))
        if embeddings:
            return found
        return [replace(each, embedding=None) for each in found]

    def _nearest(
        self, vector: Sequence[float], limit: int, match: dict[str, Any]
    ) -> list[dict[str, Any]]:
        search = {
            "index": self._layout.index,
            "path": self._layout.embedding,
            "queryVector": list(vector),
            "exact": True,
            "limit": limit,
            "filter": match,
        }
        return [{"$vectorSearch": search}]

    def _measured(
        self,
        collection: KnowledgeCollection,
        place: Any,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
    ) -> Flow[list[KnowledgeDocument]]:
        """Read what matches and measure it here.

        Atlas compares by the dot product only embeddings of length 1: mongodb.com/docs, "Index
        Fields for Vector Search", similarity.
        """
        best: list[KnowledgeDocument] = []
        after = ""
        while True:
            match = _match(where, {"_id": {"$gt": after}})
            fields = self._fields(embeddings=True)
            found = place.find(match, fields, sort={"_id": 1}, limit=_READ)
            rows = yield from wait(found.to_list())
            page = self._scored(collection, vector, rows)
            best = nlargest(limit, (*best, *page), key=lambda each: each.score or 0.0)
            if len(rows) < _READ:
                return best
            after = rows[-1]["_id"]

    def _scored(
        self, collection: KnowledgeCollection, vector: Sequence[float], rows: Sequence[Any]
    ) -> Iterator[KnowledgeDocument]:
        """Yield documents with scores that are measured here.

        That of Atlas is 1 / (1 + distance) as its pages say, of the squared distance as Lucene has
        it; the order is the same.
        """
        vectors = [pack(each[self._layout.embedding]) for each in rows]
        for each, score in zip(rows, scores(collection.distance, vector, vectors), strict=True):
            yield replace(self._document(each), score=score)

    def keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.keywords. The order is that of MongoDB's textScore."""
        words = " ".join(_WORD.findall(text))
        if not words:
            return []
        place = yield from self._place(collection)
        score = {"score": {"$meta": "textScore"}}
        match = _match(where, {"$text": {"$search": words}})
        found = place.find(match, self._fields(embeddings=False) | score, sort=score, limit=limit)
        return [self._document(each) for each in (yield from wait(found.to_list()))]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        return self._delete(collection, {"_id": {"$in": list(ids)}})

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        return self._delete(collection, _match(None))

    def _delete(self, collection: KnowledgeCollection, match: dict[str, Any]) -> Flow[int]:
        place = yield from self._place(collection)
        result = yield from wait(place.delete_many(match))
        yield from self._settle(collection, place)
        return int(result.deleted_count)

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last id of the page before."""
        place = yield from self._place(collection)
        match = _match(where, {"_id": {"$gt": cursor or ""}})
        fields = self._fields(embeddings=False)
        found = place.find(match, fields, sort={"_id": 1}, limit=self.batch)
        page = [self._document(each) for each in (yield from wait(found.to_list()))]
        return page, page[-1].id if page else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        place = yield from self._place(collection)
        return int((yield from wait(place.count_documents(_match(where)))))

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        yield from wait(self._catalogues.close())

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        # Two made the same document at once: of the next try it is one that there is.
        return is_transient(error) or codes_of(error) == {DUPLICATE}

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        codes = codes_of(error)
        if codes & REFUSED:
            return UnavailableError(
                f"{self.address} refused: {self.describe(error)}. Check user, password and roles"
            )
        if codes & _NO_SEARCH:
            return UnsupportedError(
                f"{self.address} has no Vector Search ({self.describe(error)}): use MongoDB Atlas, "
                "or a server with mongot"
            )
        if codes & TOO_LARGE or isinstance(error, mongo.DocumentTooLarge):
            return InvalidDataError(
                f"{self.address}: cannot {action}: MongoDB limits a document with its embedding to "
                "16 MiB; split it"
            )
        if isinstance(error, mongo.ConfigurationError):
            return ConfigurationError(f"{self.address}: {self.describe(error)}")
        return super().translate(error, action)

    def describe(self, error: BaseException) -> str:
        """See KnowledgeDriver.describe."""
        return described(error, super().describe(error))

    def _catalogue(self) -> Any:
        return self._catalogues.get()

    def _named(self, name: str) -> Any:
        catalogue = self._catalogue()
        return catalogue.database.get_collection(name, write_concern=catalogue.write_concern)

    def _place(self, collection: KnowledgeCollection) -> Flow[Any]:
        """Return the collection of MongoDB that has the documents."""
        entry = yield from wait(self._catalogue().find_one({"_id": collection.name}))
        if entry is None:
            raise NotFoundError(f"The collection {collection.name!r} was deleted meanwhile")
        return self._named(entry["documents"])

    def _row(self, document: KnowledgeDocument) -> dict[str, Any]:
        payload = packed(document)
        return {
            "_id": document.id,
            self._layout.text: payload.pop("content"),
            **payload,
            "created_at": float(document.created_at),
            self._layout.embedding: list(document.embedding or ()),
            _TERMS: filter_terms(document.metadata),
        }

    def _fields(self, *, embeddings: bool) -> dict[str, Any]:
        names = [self._layout.text, "metadata", "content_hash", "created_at"]
        return dict.fromkeys([*names, *([self._layout.embedding] if embeddings else [])], 1)

    def _document(self, row: Mapping[str, Any]) -> KnowledgeDocument:
        payload = {**row, "content": row[self._layout.text]}
        return unpacked(row["_id"], payload, embedding=row.get(self._layout.embedding))


def _match(where: Filter | None, *others: dict[str, Any]) -> dict[str, Any]:
    """Return the condition for documents that match, and for all else that is said of them."""
    parts = [{_TERMS: {"$in": [ANY]}}, *others]
    if where is not None:
        parts.append(_compiled(pushed_down(without_ranges(where))))
    return {"$and": parts} if len(parts) > 1 else parts[0]


def _compiled(where: Filter) -> dict[str, Any]:
    match where:
        case Has(terms):
            return {_TERMS: {"$in": list(terms) or [_NONE]}}
        case Not(Has(terms)):
            return {_TERMS: {"$nin": list(terms) or [_NONE]}}
        case And(parts):
            return {"$and": [_compiled(part) for part in parts]}
        case Or(parts):
            return {"$or": [_compiled(part) for part in parts]}
        case Not() | Range():
            raise AssertionError(where)  # pushed down, and terms by now


def _delays(timeout_s: float) -> Iterator[float]:
    """Yield the seconds to wait before each further look, until that is in vain."""
    deadline, delay_s = time.monotonic() + timeout_s, 0.02
    while True:
        yield delay_s
        if time.monotonic() > deadline:
            return
        delay_s = min(2 * delay_s, 1.0)
