"""Items of LangGraph's stores in a state store: flows that carry out operations.

    {p}-store:{label}/{label}/:{key}    an item of the namespace (label, label)
    {p}-vectors:{id}                    the embeddings of what was written as `id`

The labels of a namespace stand before the keys, so that a prefix of keys is a prefix of namespaces.
Embeddings are written before the item that names them, so that an item never has those of an older
value.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import (
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    get_text_at_path,
    tokenize_path,
)

from praison_persist._flow import Flow, wait
from praison_persist._ids import new_id
from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.integrations.langgraph._keys import escaped
from praison_persist.integrations.langgraph._matching import (
    check_filter,
    cosine,
    matches_filter,
    matches_namespace,
)
from praison_persist.protocols import AsyncStateStore, StateStore
from praison_persist.state.keys import KEY_MAX

__all__ = ["Embedding", "Items"]

Namespace = tuple[str, ...]
Row = dict[str, Any]

_PAGE = 200  # items read at once
_MINUTE_S = 60.0
_HASHED = "%sha256-"


@dataclass(frozen=True, slots=True)
class Embedding:
    """How texts are embedded.

    Attributes:
        embed: returns the embeddings of texts, or a coroutine of them.
        config: whose `dims` they have, and whose `fields` are embedded.
    """

    embed: Callable[[Sequence[str]], Any]
    config: IndexConfig

    def texts(self, op: PutOp) -> list[str]:
        """Return the texts of a value that are embedded."""
        if op.value is None or op.index is False:
            return []
        paths = (self.config.get("fields") or ["$"]) if op.index is None else op.index
        found = [
            text
            for path in paths
            for text in get_text_at_path(op.value, path if path == "$" else tokenize_path(path))
        ]
        return list(dict.fromkeys(found))

    def embedded(self, texts: Sequence[str]) -> Flow[dict[str, list[float]]]:
        """Return text -> embedding.

        Raises:
            InvalidDataError: there are not as many, or not as long, as there should be.
        """
        if not texts:
            return {}
        found = yield from wait(self.embed(texts))
        vectors = [[float(number) for number in vector] for vector in found]
        if len(vectors) != len(texts):
            raise InvalidDataError(
                f"The embedder returned {len(vectors)} embeddings for {len(texts)} texts"
            )
        dims = self.config.get("dims")
        for vector in vectors:
            if dims is not None and len(vector) != dims:
                raise InvalidDataError(
                    f"The embedder returned {len(vector)} dimensions; the index has dims={dims}"
                )
        return dict(zip(texts, vectors, strict=True))


class Items:
    """Items in a state store of either colour."""

    def __init__(
        self,
        state: StateStore | AsyncStateStore,
        prefix: str,
        embedding: Embedding | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state, self._embedding, self._clock = state, embedding, clock
        self._begin, self._vectors = f"{prefix}-store:", f"{prefix}-vectors:"

    def batch(self, ops: Sequence[Op]) -> Flow[list[Result]]:
        """See `BaseStore.batch`: reads first; of the writes to one item the last counts."""
        results: list[Result] = [None] * len(ops)
        gets = [(at, op) for at, op in enumerate(ops) if isinstance(op, GetOp)]
        for (at, _), item in zip(gets, (yield from self._get([op for _, op in gets])), strict=True):
            results[at] = item
        puts: dict[str, PutOp] = {}
        for at, op in enumerate(ops):
            if isinstance(op, SearchOp):
                results[at] = yield from self._search(op)
            elif isinstance(op, ListNamespacesOp):
                results[at] = yield from self._list_namespaces(op)
            elif isinstance(op, PutOp):
                puts[self._key(op.namespace, op.key)] = op
            elif not isinstance(op, GetOp):
                raise InvalidDataError(f"Unknown operation of a store: {type(op).__name__}")
        yield from self._put(puts)
        return results

    def _get(self, ops: Sequence[GetOp]) -> Flow[list[Item | None]]:
        if not ops:
            return []
        keys = [self._key(op.namespace, op.key) for op in ops]
        rows = yield from wait(self._state.get_many(keys))
        refreshed = [key for key, op in zip(keys, ops, strict=True) if op.refresh_ttl]
        yield from self._refresh({key: rows[key] for key in refreshed if key in rows})
        return [Item(**_fields(rows[key])) if key in rows else None for key in keys]

    def _put(self, puts: Mapping[str, PutOp]) -> Flow[None]:
        texts: dict[str, list[str]] = {}
        vectors: dict[str, list[float]] = {}
        if self._embedding is not None:
            texts = {key: self._embedding.texts(op) for key, op in puts.items()}
            every = list(dict.fromkeys(text for of_item in texts.values() for text in of_item))
            vectors = yield from self._embedding.embedded(every)
        for key, op in puts.items():
            if op.value is None:
                yield from self._delete(key)
            else:
                embeddings = [vectors[text] for text in texts.get(key, [])]
                yield from self._write(key, op, dict(op.value), embeddings)

    def _write(
        self, key: str, op: PutOp, value: dict[str, Any], embeddings: list[list[float]]
    ) -> Flow[None]:
        ttl = None if op.ttl is None else op.ttl * _MINUTE_S
        new = new_id() if embeddings else None
        if new is not None:
            yield from wait(self._state.set(self._vectors + new, embeddings, ttl))
        while True:
            found = yield from wait(self._state.get_versioned(key))
            now = datetime.fromtimestamp(self._clock(), UTC).isoformat()
            row: Row = {
                "namespace": list(op.namespace),
                "key": op.key,
                "value": value,
                "created_at": now if found is None else found.value["created_at"],
                "updated_at": now,
                "ttl": op.ttl,
                "vectors": new,
            }
            version = 0 if found is None else found.version
            try:
                yield from wait(self._state.set(key, row, ttl, expected_version=version))
            except ConflictError:
                continue  # another was faster
            if found is not None:
                yield from self._drop_vectors(found.value)
            return

    def _delete(self, key: str) -> Flow[None]:
        row = yield from wait(self._state.get(key))
        yield from wait(self._state.delete(key))
        if row is not None:
            yield from self._drop_vectors(row)

    def _drop_vectors(self, row: Row) -> Flow[None]:
        if row["vectors"] is not None:
            yield from wait(self._state.delete(self._vectors + row["vectors"]))

    def _refresh(self, rows: Mapping[str, Row]) -> Flow[None]:
        """Let those of the items that expire have their whole time again."""
        for key, row in rows.items():
            if row["ttl"] is None:
                continue
            yield from wait(self._state.expire(key, row["ttl"] * _MINUTE_S))
            if row["vectors"] is not None:
                yield from wait(
                    self._state.expire(self._vectors + row["vectors"], row["ttl"] * _MINUTE_S)
                )

    def _search(self, op: SearchOp) -> Flow[list[SearchItem]]:
        """Return the items that match, best first with a query, else by namespace and key."""
        check_filter(op.filter)
        if op.limit < 0 or op.offset < 0:
            raise InvalidDataError(f"limit={op.limit} and offset={op.offset} are not below 0")
        keys = yield from self._keys(self._within(op.namespace_prefix))
        if op.query and self._embedding is not None:
            ranked = yield from self._ranked(self._embedding, op, op.query, keys)
        else:
            ranked = yield from self._matching(op, keys)
        page = ranked[op.offset : op.offset + op.limit]
        if op.refresh_ttl:
            yield from self._refresh(
                {self._key(row["namespace"], row["key"]): row for row, _ in page}
            )
        return [SearchItem(**_fields(row), score=score) for row, score in page]

    def _matching(self, op: SearchOp, keys: Sequence[str]) -> Flow[list[tuple[Row, float | None]]]:
        """Return as many items as the operation asks for."""
        wanted = op.offset + op.limit
        found: list[tuple[Row, float | None]] = []
        for some in _pages(keys):
            if len(found) >= wanted:
                break
            rows = yield from wait(self._state.get_many(some))
            found += [
                (row, None) for row in rows.values() if matches_filter(row["value"], op.filter)
            ]
        return found

    def _ranked(
        self, embedding: Embedding, op: SearchOp, query: str, keys: Sequence[str]
    ) -> Flow[list[tuple[Row, float | None]]]:
        """Return all items that match, nearest first; those without embeddings last."""
        asked = (yield from embedding.embedded([query]))[query]
        scored: list[tuple[float, Row]] = []
        others: list[tuple[Row, float | None]] = []
        for some in _pages(keys):
            found = (yield from wait(self._state.get_many(some))).values()
            rows = [row for row in found if matches_filter(row["value"], op.filter)]
            names = [self._vectors + row["vectors"] for row in rows if row["vectors"] is not None]
            vectors = (yield from wait(self._state.get_many(names))) if names else {}
            for row in rows:
                own = vectors.get(self._vectors + (row["vectors"] or ""))
                if own is None:
                    others.append((row, None))
                else:
                    scored.append((max(cosine(asked, vector) for vector in own), row))
        scored.sort(key=lambda each: each[0], reverse=True)
        return [*((row, score) for score, row in scored), *others]

    def _list_namespaces(self, op: ListNamespacesOp) -> Flow[list[Namespace]]:
        conditions = op.match_conditions or ()
        literal: Namespace = ()
        for condition in conditions:
            if condition.match_type == "prefix" and len(condition.path) > len(literal):
                labels = list(condition.path)
                literal = tuple(labels[: labels.index("*")] if "*" in labels else labels)
        keys = yield from self._keys(self._within(literal))
        namespaces = {self._namespace(key) for key in keys}
        matching = {
            namespace[: op.max_depth]
            for namespace in namespaces
            if all(matches_namespace(namespace, condition) for condition in conditions)
        }
        return sorted(matching)[op.offset : op.offset + op.limit]

    def _keys(self, prefix: str) -> Flow[list[str]]:
        """Return the keys that begin so, in order."""
        keys: set[str] = set()
        cursor: str | None = None
        while True:
            page = yield from wait(self._state.page_keys(prefix, cursor=cursor))
            keys.update(page.keys)
            cursor = page.next_cursor
            if cursor is None:
                return sorted(keys)

    def _within(self, namespace: Sequence[str]) -> str:
        return self._begin + "".join(f"{_label(label)}/" for label in namespace)

    def _key(self, namespace: Sequence[str], key: str) -> str:
        begin = f"{self._within(namespace)}:"
        name = begin + escaped(key)
        if len(name) <= KEY_MAX:
            return name
        # A long key is hashed; a long namespace is refused by the store: prefixes have to stay.
        return f"{begin}{_HASHED}{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"

    def _namespace(self, key: str) -> Namespace:
        path = key[len(self._begin) :].rpartition(":")[0]
        return tuple(map(_unlabelled, path.split("/")[:-1]))


def _label(label: str) -> str:
    return escaped(label).replace("/", "%2F")


def _unlabelled(label: str) -> str:
    return label.replace("%2F", "/").replace("%3A", ":").replace("%25", "%")


def _fields(row: Row) -> dict[str, Any]:
    return {
        "value": row["value"],
        "key": row["key"],
        "namespace": tuple(row["namespace"]),
        "created_at": datetime.fromisoformat(row["created_at"]),
        "updated_at": datetime.fromisoformat(row["updated_at"]),
    }


def _pages(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _PAGE):
        yield keys[start : start + _PAGE]
