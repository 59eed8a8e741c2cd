"""Pinecone's REST API of version 2026-07, as far as vectors use it, with what it refuses.

Written from docs.pinecone.io ("API reference", "Database limits", "Filter by metadata", "Check data
freshness") and the source of its SDK. Searches are exact. A write becomes visible to queries after
`lag` of them; reads by id show it at once. The data plane of an index is under a path of its own.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["KEY", "Pinecone"]

KEY = "pcsk-the-key"

_METADATA_BYTES = 40_960
_REQUEST_BYTES = 2_000_000
_RESPONSE_BYTES = 4_000_000
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?")
_COMPARE = {
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}

Answer = tuple[int, Any, dict[str, str]]


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _bad(message: str) -> _RefusedError:
    return _RefusedError(400, "INVALID_ARGUMENT", message)


@dataclass
class _Namespace:
    """Records by id: as written, and as queries see them."""

    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    position: int = 0
    reconciled: int = 0
    lagging: int = 0

    def changed(self, lag: int) -> int:
        self.position += 1
        self.lagging = lag
        return self.position

    def settle(self) -> None:
        if self.lagging:
            self.lagging -= 1
            return
        self.seen, self.reconciled = dict(self.written), self.position


@dataclass
class _Index:
    model: dict[str, Any]
    dimension: int
    metric: str
    describes: int = 0
    namespaces: dict[str, _Namespace] = field(default_factory=dict)


class Pinecone:
    """The API on a port of its own, served by a thread.

    Attributes:
        lag: how many queries do not see the latest write yet.
        slow: how often a new index is described as not ready.
        failing: status and body to answer the next requests with instead.
        requests: method and path of each request.
    """

    def __init__(self) -> None:
        self.lag, self.slow = 1, 1
        self.failing: list[tuple[int, str]] = []
        self.requests: list[str] = []
        self._indexes: dict[str, _Index] = {}
        self._lock = threading.RLock()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the control plane."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def empty(self) -> None:
        """Forget everything."""
        with self._lock:
            self._indexes.clear()
            self.failing.clear()
            self.requests.clear()
            self.lag, self.slow = 1, 1

    def names(self) -> list[str]:
        """Return the names of the indexes."""
        return sorted(self._indexes)

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> Answer:
        """Return status, answer and headers of a request."""
        parts = [unquote(each) for each in path.strip("/").split("/")]
        try:
            with self._lock:
                if parts[0] == "indexes":
                    return *self._control(method, parts[1:], body), {}
                if parts[0] == "data" and len(parts) > 2:
                    return self._data(parts[1], "/".join(parts[2:]), query, body)
        except _RefusedError as refused:
            error = {"code": refused.code, "message": refused.message}
            return refused.status, {"error": error, "status": refused.status}, {}
        return 404, {"error": {"code": "NOT_FOUND", "message": f"no such path: {path}"}}, {}

    def _control(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        if not parts:
            if method == "GET":
                return 200, {"indexes": [each.model for each in self._indexes.values()]}
            return 201, self._create(body)
        name = parts[0]
        index = self._indexes.get(name)
        if index is None:
            raise _RefusedError(404, "NOT_FOUND", f"Resource {name} not found")
        if method == "DELETE":
            if index.model["status"]["state"] == "Terminating":
                raise _RefusedError(412, "FAILED_PRECONDITION", f"{name} is already being deleted")
            index.model["status"] = {"ready": False, "state": "Terminating"}
            index.describes = self.slow
            return 202, None
        if index.describes:
            index.describes -= 1
        elif index.model["status"]["state"] == "Terminating":
            del self._indexes[name]
            raise _RefusedError(404, "NOT_FOUND", f"Resource {name} not found")
        else:
            index.model["status"] = {"ready": True, "state": "Ready"}
        return 200, index.model

    def _create(self, body: Any) -> dict[str, Any]:
        name, tags = body["name"], body.get("tags") or {}
        if not _NAME.fullmatch(name):
            raise _bad("Name must consist of lower case alphanumeric characters or '-'")
        if name in self._indexes:
            raise _RefusedError(409, "ALREADY_EXISTS", "Resource already exists")
        if len(tags) > 20 or any(len(k) > 80 or len(v) > 120 for k, v in tags.items()):
            raise _bad("Too many or too long tags")
        (vectors,) = body["schema"]["fields"].values()
        if vectors["metric"] not in ("cosine", "euclidean", "dotproduct"):
            raise _bad(f"Invalid metric {vectors['metric']}")
        if not 1 <= vectors["dimension"] <= 20_000:
            raise _bad("Dimension must be between 1 and 20000")
        model = {
            "name": name,
            "host": f"{self.url}/data/{name}",
            "schema": body["schema"],
            "deployment": body.get("deployment")
            or {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
            "deletion_protection": "disabled",
            "tags": tags or None,
            "status": {"ready": False, "state": "Initializing"},
        }
        self._indexes[name] = _Index(
            model, vectors["dimension"], vectors["metric"], describes=self.slow
        )
        return model

    def _data(self, name: str, action: str, query: Mapping[str, list[str]], body: Any) -> Answer:
        index = self._indexes.get(name)
        if index is None or index.model["status"]["state"] == "Terminating":
            raise _RefusedError(404, "NOT_FOUND", f"Index {name} not found")
        if not index.model["status"]["ready"]:
            raise _RefusedError(503, "UNAVAILABLE", f"Index {name} is not ready")
        name = (body or {}).get("namespace") or (query.get("namespace") or [""])[0]
        name = "" if name == "__default__" else name
        if action == "vectors/upsert":
            return self._upsert(index, name, body["vectors"])
        if action == "query":
            return self._query(index, name, body)
        if action == "vectors/fetch":
            return self._fetch(index, name, query["ids"])
        if action == "vectors/fetch_by_metadata":
            return self._fetch_by_metadata(index, name, body)
        if action == "vectors/delete":
            return self._delete(index, name, body)
        if action == "describe_index_stats":
            counts = {key or "__default__": len(n.seen) for key, n in index.namespaces.items()}
            return 200, _stats(index, counts), {}
        raise _RefusedError(404, "NOT_FOUND", f"no such path: {action}")

    def _upsert(self, index: _Index, name: str, vectors: list[dict[str, Any]]) -> Answer:
        if not 1 <= len(vectors) <= 1000:
            raise _bad("The number of vectors must be between 1 and 1000")
        for each in vectors:
            _check_vector(index, each)
        namespace = index.namespaces.setdefault(name, _Namespace())
        for each in vectors:
            namespace.written[each["id"]] = {**each, "metadata": each.get("metadata") or {}}
        position = namespace.changed(self.lag)
        return 200, {"upsertedCount": len(vectors)}, {"x-pinecone-request-lsn": str(position)}

    def _query(self, index: _Index, name: str, body: Any) -> Answer:
        if not 1 <= body["topK"] <= 10_000:
            raise _bad("topK must be between 1 and 10000")
        if len(body["vector"]) != index.dimension:
            raise _bad(_mismatch(body["vector"], index))
        where = body.get("filter")
        if where is not None:
            _check_filter(where)
        namespace = index.namespaces.get(name)
        if namespace is None:
            return 200, {"matches": [], "namespace": name, "usage": {"readUnits": 1}}, {}
        namespace.settle()
        scored = [
            (_measured(index.metric, body["vector"], each["values"]), each)
            for each in namespace.seen.values()
            if where is None or _matches(where, each["metadata"])
        ]
        scored.sort(key=lambda pair: pair[0], reverse=index.metric != "euclidean")
        matches = [
            {
                "id": each["id"],
                "score": score,
                **({"values": each["values"]} if body.get("includeValues") else {}),
                **({"metadata": each["metadata"]} if body.get("includeMetadata") else {}),
            }
            for score, each in scored[: body["topK"]]
        ]
        answer = {"matches": matches, "namespace": name, "usage": {"readUnits": 1}}
        if len(json.dumps(answer)) > _RESPONSE_BYTES:
            raise _bad("The response is larger than 4194304 bytes; choose a lower topK")
        return 200, answer, {"x-pinecone-max-indexed-lsn": str(namespace.reconciled)}

    def _fetch(self, index: _Index, name: str, ids: list[str]) -> Answer:
        if len(ids) > 1000 or any(not each.isascii() for each in ids):
            raise _bad("ids must be up to 1000 ASCII strings")
        found = index.namespaces.get(name, _Namespace()).written
        vectors = {each: found[each] for each in ids if each in found}
        return 200, {"vectors": vectors, "namespace": name, "usage": {"readUnits": 1}}, {}

    def _fetch_by_metadata(self, index: _Index, name: str, body: Any) -> Answer:
        where, after = body["filter"], body.get("paginationToken") or ""
        _check_filter(where)
        namespace = index.namespaces.get(name, _Namespace())
        limit = body.get("limit", 100)
        found = [
            each
            for _, each in sorted(namespace.written.items())
            if each["id"] > after and _matches(where, each["metadata"])
        ]
        answer: dict[str, Any] = {
            "vectors": {each["id"]: each for each in found[:limit]},
            "namespace": name,
            "usage": {"readUnits": 1},
        }
        if len(found) > limit:
            answer["pagination"] = {"next": found[limit - 1]["id"]}
        return 200, answer, {}

    def _delete(self, index: _Index, name: str, body: Any) -> Answer:
        ids, where, every = body.get("ids"), body.get("filter"), body.get("deleteAll")
        if sum(map(bool, (ids, where, every))) != 1:
            raise _bad("Exactly one of ids, filter and deleteAll must be there")
        if len(ids or ()) > 1000:
            raise _bad("The number of ids must not exceed 1000")
        namespace = index.namespaces.get(name)
        if namespace is None:
            raise _RefusedError(404, "NOT_FOUND", "Namespace not found")
        if where:
            _check_filter(where)
        for key, each in list(namespace.written.items()):
            if every or key in (ids or ()) or (where and _matches(where, each["metadata"])):
                del namespace.written[key]
        namespace.changed(self.lag)
        return 200, {}, {}


def _stats(index: _Index, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "namespaces": {name: {"vectorCount": count} for name, count in counts.items()},
        "dimension": index.dimension,
        "indexFullness": 0,
        "totalVectorCount": sum(counts.values()),
        "metric": index.metric,
        "vectorType": "dense",
    }


def _mismatch(vector: list[float], index: _Index) -> str:
    return (
        f"Vector dimension {len(vector)} does not match the dimension of the index "
        f"{index.dimension}"
    )


def _check_vector(index: _Index, vector: Mapping[str, Any]) -> None:
    name, values = vector["id"], vector["values"]
    if not name or not name.isascii() or len(name) > 512:
        raise _bad("Vector IDs must be 1 to 512 ASCII characters")
    if len(values) != index.dimension:
        raise _bad(_mismatch(values, index))
    if not any(values):
        raise _bad("Dense vectors must contain at least one non-zero value.")
    metadata = vector.get("metadata") or {}
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > _METADATA_BYTES:
        raise _bad(
            f"Metadata size is {size} bytes, which exceeds the limit of 40960 bytes per vector"
        )
    for key, value in metadata.items():
        strings = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if key.startswith("$") or not (isinstance(value, str | int | float) or strings):
            raise _bad(
                f"Metadata value must be a string, number, boolean or list of strings, got "
                f"'{value}' for field '{key}'"
            )


def _check_filter(where: Any) -> None:
    if not isinstance(where, dict) or not where:
        raise _bad("filter must be a non-empty object")
    for key, value in where.items():
        if key in ("$and", "$or"):
            if not isinstance(value, list) or not value:
                raise _bad(f"{key} must be a non-empty list")
            for each in value:
                _check_filter(each)
        elif key.startswith("$"):
            raise _bad(f"{key} is not a valid operator")
        else:
            for operator, operand in _operations(value):
                _check_operation(operator, operand)


def _operations(value: Any) -> Iterator[tuple[str, Any]]:
    yield from (value.items() if isinstance(value, dict) else [("$eq", value)])


def _check_operation(operator: str, operand: Any) -> None:
    scalar = isinstance(operand, str | int | float)
    number = isinstance(operand, int | float) and not isinstance(operand, bool)
    values = isinstance(operand, list) and 1 <= len(operand) <= 10_000
    fits = {
        **dict.fromkeys(("$eq", "$ne"), scalar),
        **dict.fromkeys(("$in", "$nin"), values),
        **dict.fromkeys(_COMPARE, number),
        "$exists": isinstance(operand, bool),
    }
    if operator not in fits:
        raise _bad(f"{operator} is not a valid operator")
    if not fits[operator]:
        raise _bad(f"illegal condition for {operator}: {operand!r}")


def _matches(where: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    return all(_holds(key, value, metadata) for key, value in where.items())


def _holds(key: str, value: Any, metadata: Mapping[str, Any]) -> bool:
    if key == "$and":
        return all(_matches(each, metadata) for each in value)
    if key == "$or":
        return any(_matches(each, metadata) for each in value)
    return all(_compared(each, metadata.get(key), operand) for each, operand in _operations(value))


def _compared(operator: str, value: Any, operand: Any) -> bool:
    if operator == "$exists":
        return (value is not None) is operand
    if value is None:
        # What is not there: the documentation leaves open whether $ne and $nin then hold, and
        # nobody may rely on it.
        return False
    values = value if isinstance(value, list) else [value]
    if operator in _COMPARE:
        return any(isinstance(v, int | float) and _COMPARE[operator](v, operand) for v in values)
    wanted = operand if isinstance(operand, list) else [operand]
    return any(each in wanted for each in values) is (operator in ("$eq", "$in"))


def _measured(metric: str, one: list[float], other: list[float]) -> float:
    if metric == "euclidean":
        return math.dist(one, other) ** 2
    dot = _dot(one, other)
    if metric == "cosine":
        # The length of a vector of zeros, which can be asked for.
        dot /= math.sqrt(_dot(one, one) * _dot(other, other)) or 1.0
    return dot


def _dot(one: list[float], other: list[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, pinecone: Pinecone) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pinecone = pinecone


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def _any(self) -> None:
        assert isinstance(self.server, _Server)
        pinecone = self.server.pinecone
        size = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(size)
        url = urlsplit(self.path)
        pinecone.requests.append(f"{self.command} {url.path}")
        if pinecone.failing:
            status, text = pinecone.failing.pop(0)
            self._send(status, text.encode(), {})
            return
        if self.headers["api-key"] != KEY:
            self._send(401, b"Invalid API Key", {})
            return
        if size > _REQUEST_BYTES:
            self._send(413, b'{"message": "Request size exceeds the maximum of 2 MB"}', {})
            return
        query = parse_qs(url.query, keep_blank_values=True)
        body = json.loads(raw) if raw else None
        status, answer, headers = pinecone.answer(self.command, url.path, query, body)
        self._send(status, b"" if answer is None else json.dumps(answer).encode(), headers)

    do_GET = do_POST = do_DELETE = do_PATCH = _any  # noqa: N815 - names of the base class

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass
