"""A fake of Azure Cosmos DB for NoSQL, as far as a knowledge store uses it through its SDK.

learn.microsoft.com, "Azure Cosmos DB: REST API reference". Each container has two partitions, so
that the SDK has to ask for a plan of each query and to merge the answers. Not imitated: request
units, consistency levels, regions, approximate indexes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.services.cosmos_sql import BadQueryError, Query, parse

__all__ = ["KEY", "Cosmos"]

KEY = base64.b64encode(b"the key of a fake account").decode()
_PARTITIONS = ("", "80", "FF")
_RANGES = '"ranges"'  # the ETag of all answers; the SDK looks at that of the partitions only
_ITEM_MAX = 2 * 1024 * 1024  # bytes
_DIMENSIONS = {"flat": 505, "quantizedFlat": 4096, "diskANN": 4096}
_CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    404: "NotFound",
    409: "Conflict",
    413: "RequestEntityTooLarge",
}


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, substatus: int = 0) -> None:
        super().__init__(message)
        self.status, self.substatus = status, substatus


@dataclass
class _Container:
    properties: dict[str, Any]
    items: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        embeddings = self.properties.get("vectorEmbeddingPolicy", {}).get("vectorEmbeddings")
        return embeddings[0]["distanceFunction"] if embeddings else "cosine"


@dataclass
class _Request:
    verb: str
    path: list[str]
    headers: Any
    body: Any

    def asks(self, header: str) -> bool:
        return str(self.headers.get(header, "")).lower() == "true"


class Cosmos:
    """An account on a port of its own, served by a thread.

    Attributes:
        vectors: whether the account has the capability of vector search.
        failing: status and message to answer the next requests about items with instead.
    """

    def __init__(self) -> None:
        self.vectors = True
        self.failing: list[tuple[int, str]] = []
        self._databases: dict[str, dict[str, _Container]] = {}
        self._numbers = count(1)
        self._lock = threading.RLock()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The account's endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def connection_string(self, key: str = KEY) -> str:
        """Return what the portal would show."""
        return f"AccountEndpoint={self.url};AccountKey={key};"

    def containers(self, database: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the containers."""
        return {name: each.properties for name, each in self._databases[database].items()}

    def items(self, database: str, container: str) -> list[dict[str, Any]]:
        """Return the items of a container."""
        return list(self._databases[database][container].items.values())

    def empty(self) -> None:
        """Delete all databases, and be as at first."""
        with self._lock:
            self._databases.clear()
            self.failing.clear()
            self.vectors = True

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: _Request) -> tuple[int, Any]:
        """Return status and body of an answer."""
        with self._lock:
            if not _signed(request):
                raise _RefusedError(
                    401, "The input authorization token can't serve the request. The wrong key"
                )
            match request.path:
                case []:
                    return 200, self._account()
                case ["dbs"]:
                    return self._make_database(request)
                case ["dbs", database, *rest] if database in self._databases:
                    return self._in_database(request, database, rest)
        raise _RefusedError(404, "Owner resource does not exist")

    def _account(self) -> dict[str, Any]:
        places = [{"name": "Here", "databaseAccountEndpoint": self.url}]
        return {
            "id": "fake",
            "writableLocations": places,
            "readableLocations": places,
            "enableMultipleWriteLocations": False,
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        }

    def _make_database(self, request: _Request) -> tuple[int, Any]:
        name = request.body["id"]
        if name in self._databases:
            raise _RefusedError(409, "Resource with specified id or name already exists.")
        self._databases[name] = {}
        return 201, self._described(request.body)

    def _described(self, body: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        return {**body, "_rid": f"r{number}", "_self": "", "_etag": f'"{number}"', "_ts": number}

    def _in_database(self, request: _Request, database: str, rest: list[str]) -> tuple[int, Any]:
        containers = self._databases[database]
        match rest:
            case []:
                return 200, self._described({"id": database})
            case ["colls"]:
                return self._make_container(request, containers)
            case ["colls", name, *below] if name in containers:
                if not below and request.verb == "DELETE":
                    del containers[name]
                    return 204, None
                return self._in_container(request, containers[name], below)
        raise _RefusedError(404, "Resource Not Found")

    def _make_container(
        self, request: _Request, containers: dict[str, _Container]
    ) -> tuple[int, Any]:
        body = request.body
        if body["id"] in containers:
            raise _RefusedError(409, "Resource with specified id or name already exists.")
        dimensions = {
            each["path"]: each["dimensions"]
            for each in body.get("vectorEmbeddingPolicy", {}).get("vectorEmbeddings", [])
        }
        if dimensions and not self.vectors:
            raise _RefusedError(
                400,
                "A Container Vector Policy has been provided, but the capability has not been "
                "enabled on your account.",
            )
        for index in body.get("indexingPolicy", {}).get("vectorIndexes", []):
            if index["path"] not in dimensions:
                raise _RefusedError(400, "The Vector Indexing Policy's path is not in the policy")
            if dimensions[index["path"]] > _DIMENSIONS[index["type"]]:
                raise _RefusedError(400, f"Too many dimensions for the index {index['type']}")
        container = containers[body["id"]] = _Container(self._described(body))
        return 201, container.properties

    def _in_container(
        self, request: _Request, container: _Container, below: list[str]
    ) -> tuple[int, Any]:
        intended = request.headers.get("x-ms-cosmos-intended-collection-rid")
        if intended not in (None, container.properties["_rid"]):
            raise _RefusedError(400, "The container was made anew", 1024)
        if below[:1] == ["docs"] and self.failing:
            raise _RefusedError(*self.failing.pop(0))
        match below:
            case []:
                return 200, container.properties
            case ["pkranges"]:
                # A feed, which is read until there is nothing new in it.
                if request.headers.get("if-none-match") == _RANGES:
                    return 304, None
                ranges = pairwise(_PARTITIONS)
                return 200, {
                    "PartitionKeyRanges": [
                        {"id": str(n), "minInclusive": low, "maxExclusive": high, "parents": []}
                        for n, (low, high) in enumerate(ranges)
                    ]
                }
            case ["docs"]:
                return self._on_items(request, container)
            case ["docs", name]:
                return self._on_item(request, container, name)
        raise _RefusedError(404, "no such path")

    def _on_items(self, request: _Request, container: _Container) -> tuple[int, Any]:
        if "query" in request.body:
            return self._query(request, container)
        item = request.body
        name = item.get("id")
        if not isinstance(name, str) or not 0 < len(name) < 256 or set("/\\?#") & set(name):
            raise _RefusedError(400, "The input content is invalid because of its property 'id'")
        if len(json.dumps(item)) > _ITEM_MAX:
            raise _RefusedError(413, "Request size is too large")
        if request.headers.get("x-ms-documentdb-partitionkey") != json.dumps([name]):
            raise _RefusedError(400, "PartitionKey extracted from document doesn't match", 1001)
        there = name in container.items
        if there and not request.asks("x-ms-documentdb-is-upsert"):
            raise _RefusedError(409, "Entity with the specified id already exists in the system.")
        container.items[name] = self._described(item)
        return 200 if there else 201, container.items[name]

    def _on_item(self, request: _Request, container: _Container, name: str) -> tuple[int, Any]:
        key = request.headers.get("x-ms-documentdb-partitionkey")
        if name not in container.items or key != json.dumps([name]):
            raise _RefusedError(404, "Entity with the specified id does not exist in the system.")
        if request.verb == "DELETE":
            del container.items[name]
            return 204, None
        return 200, container.items[name]

    def _query(self, request: _Request, container: _Container) -> tuple[int, Any]:
        body = request.body
        query = parse(body["query"], body.get("parameters", []), container.metric)
        if request.asks("x-ms-cosmos-is-query-plan-request"):
            return 200, _plan(query)
        partition = request.headers.get("x-ms-documentdb-partitionkeyrangeid")
        if partition is None:
            raise _RefusedError(400, "Cross partition query can not be directly served", 1004)
        here = [
            item for name, item in container.items.items() if _partition(name) == int(partition)
        ]
        return 200, {"Documents": query.run(here)}


def _partition(name: str) -> int:
    return zlib.crc32(name.encode()) % 2


def _plan(query: Query) -> dict[str, Any]:
    return {
        "partitionedQueryExecutionInfoVersion": 2,
        "queryInfo": {
            "distinctType": "None",
            "top": query.top,
            "offset": None,
            "limit": None,
            "orderBy": (
                [] if query.order is None else ["Descending" if query.descending else "Ascending"]
            ),
            "orderByExpressions": [query.order_text] if query.order else [],
            "aggregates": ["Count"] if query.counts else [],
            "groupByExpressions": [],
            "rewrittenQuery": query.rewritten(),
            "hasSelectValue": query.value,
            "hasNonStreamingOrderBy": query.by_distance,
        },
        "queryRanges": [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}],
    }


def _signed(request: _Request) -> bool:
    """Whether the master key signed it: "Access control on Azure Cosmos DB resources"."""
    kinds, names = request.path[::2], request.path
    kind = kinds[-1] if kinds else ""
    link = names if len(names) % 2 == 0 else names[:-1]
    parts = (request.verb.lower(), kind, "/".join(link), request.headers["x-ms-date"].lower(), "")
    digest = hmac.new(base64.b64decode(KEY), "\n".join((*parts, "")).encode(), hashlib.sha256)
    expected = f"type=master&ver=1.0&sig={base64.b64encode(digest.digest()).decode()}"
    return unquote(request.headers["authorization"]) == expected


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, cosmos: Cosmos) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cosmos = cosmos


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        assert isinstance(self.server, _Server)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = [unquote(part) for part in urlsplit(self.path).path.split("/") if part]
        substatus = 0
        try:
            request = _Request(self.command, path, self.headers, json.loads(raw or b"{}"))
            status, body = self.server.cosmos.answer(request)
        except _RefusedError as error:
            status, substatus = error.status, error.substatus
            body = {"code": _CODES.get(status, "Error"), "message": str(error)}
        except BadQueryError as error:
            status, body = 400, {"code": "BadRequest", "message": str(error)}
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("x-ms-substatus", str(substatus))
        self.send_header("etag", _RANGES)
        self.send_header("x-ms-request-charge", "1")
        self.send_header("x-ms-session-token", "0:-1#1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass
