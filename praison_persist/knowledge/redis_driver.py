"""Knowledge in Redis: a hash for each document, an index of RediSearch for each collection.

The hash `{prefix}:collections` describes the collections. Each has a number of its own in the
names of its index and its keys, so that what is left of a deleted one is never of the next one of
its name. A search is exact: the index is FLAT.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Protocol

import redis

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._redis_errors import REDIS_FAILURES, is_refused, is_transient
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConflictError,
    NotFoundError,
    PersistError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.payload import FIELDS, packed, unpacked
from praison_persist.knowledge.ranges import filter_terms
from praison_persist.knowledge.redis_query import hits, narrowed, query_of, total, words_of
from praison_persist.knowledge.vectors import pack, score_of, unpack
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["Clients", "RedisKnowledgeDriver"]

_EMBEDDING, _TERMS, _PLACE, _DISTANCE = "embedding", "terms", "place", "distance"
_STORED = (*FIELDS, _EMBEDDING, _TERMS, _PLACE)
_METRICS = {"cosine": "COSINE", "euclidean": "L2", "dot": "IP"}
_DROPPED = ":"  # begins the entry of what is still to be deleted; no name begins so
_PLACES = 1 << 52  # whole numbers that a double holds
_COUNT = 1000  # keys a SCAN looks at
_GLOB = re.compile(r"([\\*?\[\]^])")
# RediSearch says it in these words, by version; valkey-search in the last.
_UNKNOWN_INDEX = re.compile(r"unknown index|no such index|index.*not.found", re.IGNORECASE)
_NO_MODULE = re.compile(r"unknown command .?FT\.", re.IGNORECASE)

# KEYS: the catalogue, documents. ARGV: name and entry of the collection, whether they have to be
# new, how many fields a document has; names and values of each. Returns the first document that
# exists with other values, or 0; -1: the collection is gone. A repetition finds its own documents.
_PUT = """\
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return -1 end
local size = 2 * tonumber(ARGV[4])
local function same(key, at)
  for i = at, at + size - 1, 2 do
    if redis.call('HGET', key, ARGV[i]) ~= ARGV[i + 1] then return false end
  end
  return true
end
if ARGV[3] == '1' then
  for i = 2, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 1 and not same(KEYS[i], 5 + (i - 2) * size) then
      return i - 1
    end
  end
end
for i = 2, #KEYS do
  local at = 5 + (i - 2) * size
  redis.call('HSET', KEYS[i], unpack(ARGV, at, at + size - 1))
end
return 0
"""
# KEYS: the catalogue. ARGV: name and entry of the collection, the entry that its rest is known by.
_DROP = """\
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[3], '')
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
"""


class Clients(Protocol):
    """A client that may be used here and now."""

    def get(self) -> Any:
        """Return it."""

    def close(self) -> Any:
        """Close it; return None, or a coroutine."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a collection is.

    Attributes:
        entry: of the catalogue, which describes it.
        index: the name of its index; with a colon, what its documents' keys begin with.
    """

    entry: bytes
    index: str

    def key(self, document_id: str) -> str:
        return f"{self.index}:{document_id}"

    def id_in(self, key: bytes) -> str:
        return key.decode()[len(self.index) + 1 :]


class RedisKnowledgeDriver(KnowledgeDriver):
    """Hooks as commands of redis-py's client of either colour.

    Args:
        prefix: begins each key and the name of each index.
        timeout_ms: of a search. It has to be longer than the client waits: what a server found
            until then would pass for all there is.
        words: whether contents are indexed, too.
    """

    failures = REDIS_FAILURES
    max_dimension = 32_768  # redis.io, "Vectors": of FLAT as of HNSW
    batch = 200  # one script each, during which the server waits

    def __init__(
        self,
        clients: Clients,
        prefix: str,
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
        *,
        timeout_ms: int,
        words: bool,
    ) -> None:
        self._clients, self._prefix = clients, prefix
        self.address, self.retry, self.sleep = address, retry, sleep
        self._timeout_ms, self._words = timeout_ms, words
        self._catalogue = f"{prefix}:collections"
        if words:
            self.capabilities = frozenset(KnowledgeCapability)

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        found = yield from self._run("HKEYS", self._catalogue)
        return [each.decode() for each in found if not each.startswith(_DROPPED.encode())]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        entry = yield from self._run("HGET", self._catalogue, name)
        if entry is None:
            return None
        found = json.loads(entry)
        metadata = loads(found["metadata"])
        return KnowledgeCollection(name, found["dimension"], found["distance"], metadata)

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        index = f"{self._prefix}{collection.name}:{uuid.uuid4().hex[:12]}"
        yield from self._run("FT.CREATE", index, *self._schema(collection, f"{index}:"))
        entry = {
            "dimension": collection.dimension,
            "distance": collection.distance,
            "metadata": dumps(collection.metadata),
            "index": index,
        }
        made = yield from self._run("HSETNX", self._catalogue, collection.name, dumps(entry))
        if not made:  # another was faster
            yield from self._run("FT.DROPINDEX", index)

    def _schema(self, collection: KnowledgeCollection, begin: str) -> list[str | int]:
        # The index has no documents yet, and nobody has to wait until all keys were looked at.
        return [
            *("ON", "HASH", "PREFIX", 1, begin),
            *(("STOPWORDS", 0) if self._words else ()),
            *("SKIPINITIALSCAN", "SCHEMA"),
            *(_EMBEDDING, "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", collection.dimension),
            *("DISTANCE_METRIC", _METRICS[collection.distance]),
            *(_TERMS, "TAG", "SEPARATOR", ","),
            *(_PLACE, "NUMERIC", "SORTABLE"),
            *(("content", "TEXT") if self._words else ()),
        ]

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        entry = yield from self._run("HGET", self._catalogue, collection.name)
        if entry is not None:
            rest = _DROPPED + json.loads(entry)["index"]
            yield from self._eval(_DROP, [self._catalogue], [collection.name, entry, rest])
        for each in (yield from self._run("HKEYS", self._catalogue)):
            if each.startswith(_DROPPED.encode()):
                yield from self._finish(each.decode()[len(_DROPPED) :])

    def _finish(self, index: str) -> Flow[None]:
        """Delete what is left of a collection, also of one that another process gave up on."""
        try:
            yield from self._run("FT.DROPINDEX", index)
        except redis.ResponseError as error:
            if not _UNKNOWN_INDEX.search(str(error)):
                raise
        match, cursor = _GLOB.sub(r"\\\1", f"{index}:") + "*", b"0"
        while True:
            cursor, keys = yield from self._run("SCAN", cursor, "MATCH", match, "COUNT", _COUNT)
            if keys:
                yield from self._run("UNLINK", *keys)
            if int(cursor) == 0:
                break
        yield from self._run("HDEL", self._catalogue, _DROPPED + index)

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        place = yield from self._place(collection)
        keys = [self._catalogue, *(place.key(each.id) for each in documents)]
        common = [collection.name, place.entry, int(new), len(_STORED)]
        fields = [part for each in documents for pair in _fields(each).items() for part in pair]
        answer = yield from self._eval(_PUT, keys, [*common, *fields])
        if answer == -1:
            raise _gone(collection)
        if answer > 0:
            raise ConflictError(
                f"The collection {collection.name!r} has a document "
                f"{documents[answer - 1].id!r} by now; upsert replaces it"
            )

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        place = yield from self._place(collection)
        wanted = [*FIELDS, _EMBEDDING] if embeddings else list(FIELDS)
        pipeline = self._clients.get().pipeline(transaction=False)
        for each in ids:
            pipeline.execute_command("HMGET", place.key(each), *wanted)
        replies = yield from wait(pipeline.execute())
        found = (
            (each, dict(zip(wanted, values, strict=True)))
            for each, values in zip(ids, replies, strict=True)
        )
        return [_document(each, fields) for each, fields in found if fields["content"] is not None]

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
        nearest = f"[KNN {limit} @{_EMBEDDING} $vector AS {_DISTANCE}]"
        wanted = [*FIELDS, _DISTANCE, *([_EMBEDDING] if embeddings else [])]
        question = (*("PARAMS", 2, "vector", pack(vector)), *_return(wanted), *_limit(limit))
        place = yield from self._place(collection)
        query = f"{narrowed(query_of(where))}=>{nearest}"
        reply = yield from self._search(collection, place, query, *question)
        return [
            _document(place.id_in(key), fields, _score(collection.distance, fields[_DISTANCE]))
            for key, fields in hits(reply)
        ]

    def keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.keywords. The server orders by its own measure."""
        words = words_of(text)
        if words is None:
            return []
        query = narrowed(query_of(where), words)
        place = yield from self._place(collection)
        options = (*_return(FIELDS), *_limit(limit))
        reply = yield from self._search(collection, place, query, *options)
        return [_document(place.id_in(key), fields) for key, fields in hits(reply)]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        place = yield from self._place(collection)
        return int((yield from self._run("UNLINK", *map(place.key, ids))))

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan.

        Documents are in the order of a hash of their ids. The cursor is the last one's, and those
        of the same that were on the page.
        """
        least, seen = json.loads(cursor) if cursor else (0, [])
        query = narrowed(query_of(where), f"@{_PLACE}:[{least} +inf]")
        size = self.batch + len(seen)
        options = (*_return(FIELDS), "SORTBY", _PLACE, "ASC", *_limit(size))
        place = yield from self._place(collection)
        found = list(hits((yield from self._search(collection, place, query, *options))))
        documents = [_document(place.id_in(key), fields) for key, fields in found]
        page = [each for each in documents if each.id not in seen]
        if len(found) < size:
            return page, None
        last = _place_of(documents[-1].id)
        tied = [each.id for each in documents if _place_of(each.id) == last]
        return page, dumps([last, tied])

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        place = yield from self._place(collection)
        options = ("NOCONTENT", *_limit(0))
        return total((yield from self._search(collection, place, query_of(where), *options)))

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        return wait(self._clients.close())

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        return is_transient(error)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        text = self.describe(error)
        if is_refused(error):
            return UnavailableError(f"{self.address} refused: {text}. Check user and password")
        if _NO_MODULE.search(text):
            return UnsupportedError(
                f"{self.address} does not have the commands FT.*: run Redis 8 or Redis Stack, or "
                "Valkey with valkey-search"
            )
        if "WRONGTYPE" in text:
            return BackendError(
                f"{self.address}: cannot {action}: a key holds data of another program ({text}); "
                f"use another prefix than {self._prefix!r}"
            )
        return super().translate(error, action)

    def _place(self, collection: KnowledgeCollection) -> Flow[_Place]:
        entry = yield from self._run("HGET", self._catalogue, collection.name)
        if entry is None:
            raise _gone(collection)
        return _Place(entry, json.loads(entry)["index"])

    def _search(
        self, collection: KnowledgeCollection, place: _Place, query: str, *options: Any
    ) -> Flow[Any]:
        try:
            return (
                yield from self._run(
                    *("FT.SEARCH", place.index, query, *options),
                    *("TIMEOUT", self._timeout_ms, "DIALECT", 2),
                )
            )
        except redis.ResponseError as error:
            if not _UNKNOWN_INDEX.search(str(error)):
                raise
            now = yield from self._run("HGET", self._catalogue, collection.name)
            if now == place.entry:
                raise BackendError(
                    f"{self.address}: the index {place.index!r} of the collection "
                    f"{collection.name!r} was deleted; delete the collection and store it again"
                ) from error
            raise _gone(collection) from error

    def _run(self, *command: Any) -> Flow[Any]:
        return wait(self._clients.get().execute_command(*command))

    def _eval(self, script: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Flow[Any]:
        return self._run("EVAL", script, len(keys), *keys, *arguments)


def _gone(collection: KnowledgeCollection) -> NotFoundError:
    return NotFoundError(f"The collection {collection.name!r} was deleted meanwhile")


def _fields(document: KnowledgeDocument) -> dict[str, Any]:
    return {
        **packed(document),
        "created_at": repr(float(document.created_at)),
        _EMBEDDING: pack(document.embedding or ()),
        _TERMS: ",".join(filter_terms(document.metadata)),
        _PLACE: _place_of(document.id),
    }


def _document(
    document_id: str, fields: Mapping[str, Any], score: float | None = None
) -> KnowledgeDocument:
    payload = {name: fields[name].decode() for name in FIELDS}
    vector = fields.get(_EMBEDDING)
    embedding = None if vector is None else unpack(vector)
    return unpacked(document_id, payload, embedding=embedding, score=score)


def _score(distance: str, value: bytes) -> float:
    """RediSearch measures 1 - cosine, the squared distance, and 1 - dot product."""
    measured = float(value)
    if distance == "euclidean":
        return score_of(distance, sqrt(max(0.0, measured)))
    return score_of(distance, 1.0 - measured)


def _place_of(document_id: str) -> int:
    digest = hashlib.sha256(document_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % _PLACES


def _return(fields: Sequence[str]) -> tuple[Any, ...]:
    return ("RETURN", len(fields), *fields)


def _limit(size: int) -> tuple[Any, ...]:
    return ("LIMIT", 0, size)
