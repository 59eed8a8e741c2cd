"""Atlas Vector Search in front of a real mongod.

mongodb.com/docs: "$vectorSearch", "createSearchIndexes", "dropSearchIndex", "$listSearchIndexes".
What a search matches and returns is asked of mongod; how near it is, is measured here. Errors are
worded as those pages and Atlas's users quote them.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from math import dist, sqrt
from types import TracebackType
from typing import Any, Self

import bson
import pymongo
from pymongo.errors import OperationFailure

from tests.proxying import TcpProxy, Ways

_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")
_BODY_AT = _HEADER.size + 5  # after the flags and the kind of the section
_LIMIT_MAX = 10_000
_OPERATORS = {"$and", "$or", "$nor", "$not", "$eq", "$ne", "$in", "$nin", "$exists"}
_OPERATORS |= {"$gt", "$gte", "$lt", "$lte"}


class AtlasError(Exception):
    """What the server answers instead."""

    def __init__(self, message: str, code: int = 8) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class _Index:
    definition: dict[str, Any]
    looks: int
    known: set[Any] = field(default_factory=set)

    def path(self, kind: str, name: str) -> dict[str, Any] | None:
        fields = self.definition["fields"]
        return next((each for each in fields if (each["type"], each["path"]) == (kind, name)), None)


class VectorSearch(TcpProxy):
    """The server, on a port of its own, for as long as the context lasts.

    Args:
        url: of the mongod behind it.

    Attributes:
        building: how often a new index is looked at before it can be searched.
        lagging: how many of the next searches do not see what was written since the one before.
        searches: the stages $vectorSearch that were asked.
    """

    def __init__(self, url: str) -> None:
        self.mongod: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(url)
        nodes = self.mongod.admin.command("hello")["me"].split(":")
        super().__init__(nodes[0], int(nodes[1]))
        self.building = 0
        self.lagging = 0
        self.searches: list[dict[str, Any]] = []
        self._indexes: dict[tuple[str, str], dict[str, _Index]] = {}
        self._state = threading.RLock()

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self.mongod.close()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def ways(self, client: socket.socket, server: socket.socket) -> Ways:
        """Answer what is of search, and pass all else on."""

        def to_server() -> None:
            while True:
                header = _exactly(client, _HEADER.size)
                size, request, _, kind = _HEADER.unpack(header)
                message = header + _exactly(client, size - _HEADER.size)
                reply = self._answered(message) if kind == _OP_MSG else None
                if reply is None:
                    server.sendall(message)
                    continue
                body = bytes(5) + bson.encode(reply)
                size = _HEADER.size + len(body)
                client.sendall(_HEADER.pack(size, request, request, _OP_MSG) + body)

        def to_client() -> None:
            while data := server.recv(65_536):
                client.sendall(data)

        return to_server, to_client

    def _answered(self, message: bytes) -> dict[str, Any] | None:
        if message[_BODY_AT - 1] != 0:
            return None
        (size,) = struct.unpack_from("<i", message, _BODY_AT)
        raw = message[_BODY_AT : _BODY_AT + size]
        if not any(word in raw for word in (b"earchInd", b"$vectorSearch", b"\x02drop\x00")):
            return None
        command = bson.decode(raw)
        try:
            with self._state:
                return self._answer(command)
        except AtlasError as error:
            return {"ok": 0.0, "errmsg": str(error), "code": error.code, "codeName": "Error"}
        except OperationFailure as error:
            return {**(error.details or {}), "ok": 0.0, "code": error.code}

    def _answer(self, command: dict[str, Any]) -> dict[str, Any] | None:
        name = next(iter(command))
        place = (command["$db"], command[name])
        indexes = self._indexes.get(place, {})
        if name == "drop":  # the server drops the rest
            self._indexes.pop(place, None)
            return None
        if name == "createSearchIndexes":
            return self._create(place, command["indexes"])
        if name == "dropSearchIndex":
            if command["name"] not in indexes:
                raise AtlasError(f"Search index {command['name']} not found", 27)
            del indexes[command["name"]]
            return {"ok": 1.0}
        if name != "aggregate":
            return None
        pipeline = command["pipeline"]
        stage = pipeline[0] if pipeline else {}
        if "$listSearchIndexes" in stage:
            wanted = stage["$listSearchIndexes"].get("name")
            return _cursor(
                place, [_told(each, indexes[each]) for each in indexes if wanted in (None, each)]
            )
        if "$vectorSearch" in stage:
            return _cursor(place, self._search(place, stage["$vectorSearch"], pipeline[1:]))
        return None

    def _create(self, place: tuple[str, str], models: list[dict[str, Any]]) -> dict[str, Any]:
        database, collection = place
        if collection not in self.mongod[database].list_collection_names():
            raise AtlasError(f"Collection '{database}.{collection}' does not exist.", 26)
        indexes = self._indexes.setdefault(place, {})
        for each in models:
            if each["name"] in indexes:
                raise AtlasError("Duplicate Index", 68)
            assert each["type"] == "vectorSearch"
            for path in each["definition"]["fields"]:
                _check_path(path)
            indexes[each["name"]] = _Index(each["definition"], self.building)
        made = [{"id": each["name"], "name": each["name"]} for each in models]
        return {"ok": 1.0, "indexesCreated": made}

    def _search(
        self, place: tuple[str, str], asked: dict[str, Any], rest: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        self.searches.append(asked)
        index = self._indexes.get(place, {}).get(asked["index"])
        if index is None:
            return []  # as with a collection that has no such index
        if index.looks > 0:
            raise AtlasError("cannot query vector index while in state INITIAL_SYNC")
        vector = _check_search(index, asked)
        documents = self.mongod[place[0]][place[1]]
        if self.lagging > 0:
            self.lagging -= 1
        else:
            index.known = set(documents.distinct("_id"))
        stored = {"_id": {"$in": list(index.known)}, asked["path"]: {"$type": "array"}}
        match = {"$and": [stored, asked.get("filter", {})]}
        similarity = vector["similarity"]
        measured = [
            (_score(similarity, asked["queryVector"], each[asked["path"]]), each["_id"])
            for each in documents.find(match, {asked["path"]: 1})
            if len(each[asked["path"]]) == vector["numDimensions"]
        ]
        measured.sort(key=lambda each: -each[0])
        best = measured[: asked["limit"]]
        scores, ids = [each for each, _ in best], [each for _, each in best]
        at = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
        return list(
            documents.aggregate(
                [
                    {"$match": {"_id": {"$in": ids}}},
                    {"$set": {"__score": {"$arrayElemAt": [{"$literal": scores}, at]}}},
                    {"$sort": {"__score": -1}},
                    *_with_scores(rest),
                    {"$unset": "__score"},
                ]
            )
        )


def _told(name: str, index: _Index) -> dict[str, Any]:
    ready = index.looks <= 0
    index.looks -= 1
    return {
        "id": name,
        "name": name,
        "type": "vectorSearch",
        "status": "READY" if ready else "BUILDING",
        "queryable": ready,
        "latestDefinition": index.definition,
    }


def _check_path(path: dict[str, Any]) -> None:
    if path["type"] == "vector":
        if not 1 <= path["numDimensions"] <= 8192:
            raise AtlasError('"numDimensions" must be between 1 and 8192')
        if path["similarity"] not in ("cosine", "euclidean", "dotProduct"):
            raise AtlasError('"similarity" must be one of [cosine, dotProduct, euclidean]')
    elif path["type"] != "filter":
        raise AtlasError('"type" must be one of [filter, vector]')


def _check_search(index: _Index, asked: dict[str, Any]) -> dict[str, Any]:
    vector = index.path("vector", asked["path"])
    if vector is None:
        raise AtlasError(f"Path '{asked['path']}' needs to be indexed as vector")
    size, given = vector["numDimensions"], len(asked["queryVector"])
    if size != given:
        raise AtlasError(f"vector field is indexed with {size} dimensions but queried with {given}")
    limit, candidates = asked["limit"], asked.get("numCandidates")
    if type(limit) is not int or limit < 1:
        raise AtlasError('"limit" must be positive')
    if bool(asked.get("exact")) == (candidates is not None):
        raise AtlasError('"numCandidates" must be there unless "exact" is true')
    if candidates is not None and not limit <= candidates <= _LIMIT_MAX:
        raise AtlasError('"numCandidates" must be within bounds [limit, 10000]')
    _check_filter(index, asked.get("filter", {}))
    return vector


def _check_filter(index: _Index, where: Any) -> None:
    if isinstance(where, list):
        for each in where:
            _check_filter(index, each)
        return
    if not isinstance(where, dict):
        return
    for key, value in where.items():
        if key.startswith("$"):
            if key not in _OPERATORS:
                raise AtlasError(f'"filter" operator {key} is not supported')
            if key in ("$in", "$nin") and not value:
                raise AtlasError(f'"{key}" cannot be empty')
        elif index.path("filter", key) is None:
            raise AtlasError(f"Path '{key}' needs to be indexed as filter")
        _check_filter(index, value)


def _score(similarity: str, one: list[float], other: list[float]) -> float:
    """mongodb.com/docs, "$vectorSearch", "Atlas Vector Search Score"."""
    if similarity == "euclidean":
        return 1 / (1 + dist(one, other))
    value = sum(x * y for x, y in zip(one, other, strict=True))
    if similarity == "cosine":
        value /= sqrt(sum(x * x for x in one)) * sqrt(sum(y * y for y in other))
    return (1 + value) / 2


def _with_scores(value: Any) -> Any:
    if value == {"$meta": "vectorSearchScore"}:
        return "$__score"
    if isinstance(value, dict):
        return {name: _with_scores(each) for name, each in value.items()}
    return [_with_scores(each) for each in value] if isinstance(value, list) else value


def _cursor(place: tuple[str, str], documents: list[dict[str, Any]]) -> dict[str, Any]:
    cursor = {"id": bson.Int64(0), "ns": ".".join(place), "firstBatch": documents}
    return {"ok": 1.0, "cursor": cursor}


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        some = connection.recv(size - len(data))
        if not some:
            raise EOFError
        data += some
    return bytes(data)
