"""The REST API of an Upstash Vector index, as far as its SDK is used, with what it refuses.

Written from upstash.com/docs/vector ("API", "Metadata Filtering", "Similarity Functions") and the
SDK's source. What was written is pending for some answers of `info`, and searches do not see it.
A filter has a budget of candidates, beyond which fewer than topK are returned.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

__all__ = ["TOKEN", "UpstashVector"]

TOKEN = "the-vector-token"

_TOKENS = re.compile(
    r"\s*(?:(?P<word>AND|OR|NOT CONTAINS|CONTAINS|HAS NOT FIELD|HAS FIELD)\b"
    r"|(?P<sign>[<>!]=|[<>=()])"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<name>[A-Za-z_]\w*))"
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}

Vector = dict[str, Any]
Condition = Callable[[Mapping[str, Any]], bool]


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class _Namespace:
    stored: dict[str, Vector] = field(default_factory=dict)
    indexed: dict[str, Vector] = field(default_factory=dict)
    pending: int = 0


class UpstashVector:
    """An index on a port of its own, served by a thread.

    Attributes:
        dimension: of its vectors.
        similarity: "COSINE", "EUCLIDEAN" or "DOT_PRODUCT".
        lag: how often `info` tells of pending vectors after a write.
        budget: how many of the nearest are compared with a filter.
        requests: paths that were asked for.
        failing: status and body to answer the next requests with instead.
    """

    def __init__(self, dimension: int = 4, similarity: str = "COSINE") -> None:
        self.dimension, self.similarity = dimension, similarity
        self.lag, self.budget = 1, 30
        self.requests: list[str] = []
        self.failing: list[tuple[int, str]] = []
        self._namespaces: dict[str, _Namespace] = {"": _Namespace()}
        self._lock = threading.RLock()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the index."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def empty(self, dimension: int = 4, similarity: str = "COSINE") -> None:
        """Make the index anew."""
        with self._lock:
            self.dimension, self.similarity = dimension, similarity
            self.lag, self.budget = 1, 30
            self._namespaces = {"": _Namespace()}
            self.requests.clear()
            self.failing.clear()

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        """Return status and answer of a request."""
        action, _, name = path.strip("/").partition("/")
        run = {
            "upsert": self._upsert,
            "query": self._query,
            "fetch": self._fetch,
            "range": self._range,
            "delete": self._delete,
            "reset": self._reset,
            "delete-namespace": self._delete_namespace,
        }.get(action)
        try:
            with self._lock:
                if action == "info":
                    return 200, {"result": self._info()}
                if action == "list-namespaces":
                    return 200, {"result": list(self._namespaces)}
                if run is not None:
                    return 200, {"result": run(unquote(name), body)}
        except _RefusedError as refused:
            return refused.status, {"error": str(refused), "status": refused.status}
        return 404, {"error": f"no such path: {path}", "status": 404}

    def _there(self, name: str) -> _Namespace:
        if name not in self._namespaces:
            raise _RefusedError(404, f"Namespace {name} for the index is not found.")
        return self._namespaces[name]

    def _upsert(self, name: str, body: Any) -> str:
        vectors = body if isinstance(body, list) else [body]
        if len(vectors) > 1000:
            raise _RefusedError(422, "Too many vectors in a request: the limit is 1000")
        for each in vectors:
            if len(each["vector"]) != self.dimension:
                raise _RefusedError(
                    422,
                    f"Invalid vector dimension: {len(each['vector'])}, expected: {self.dimension}",
                )
            if not each["id"] or len(json.dumps(each.get("metadata") or {})) > 48 * 1024:
                raise _RefusedError(422, "Invalid id, or metadata larger than 48 KB")
            if len((each.get("data") or "").encode()) > 1024 * 1024:
                raise _RefusedError(422, "data is larger than 1 MB")
        namespace = self._namespaces.setdefault(name, _Namespace())
        namespace.stored |= {str(each["id"]): {**each, "id": str(each["id"])} for each in vectors}
        self._changed(namespace)
        return "Success"

    def _changed(self, namespace: _Namespace) -> None:
        namespace.pending = self.lag
        if not self.lag:
            namespace.indexed = dict(namespace.stored)

    def _query(self, name: str, body: Any) -> list[Vector]:
        if not 1 <= body["topK"] <= 1000:
            raise _RefusedError(422, "topK must be between 1 and 1000")
        if len(body["vector"]) != self.dimension:
            raise _RefusedError(
                422,
                f"Invalid vector dimension: {len(body['vector'])}, expected: {self.dimension}",
            )
        condition = _parsed(body["filter"]) if body.get("filter") else None
        found = [
            (_similar(self.similarity, body["vector"], each["vector"]), each)
            for each in self._there(name).indexed.values()
        ]
        found.sort(key=lambda pair: -pair[0])
        if condition is not None:
            candidates = found[: max(self.budget, body["topK"])]
            found = [pair for pair in candidates if condition(pair[1].get("metadata") or {})]
        return [{**_view(each, body), "score": score} for score, each in found[: body["topK"]]]

    def _fetch(self, name: str, body: Any) -> list[Vector | None]:
        stored = self._there(name).stored
        if len(body["ids"]) > 1000:
            raise _RefusedError(422, "Too many ids in a request: the limit is 1000")
        return [_view(stored[each], body) if each in stored else None for each in body["ids"]]

    def _range(self, name: str, body: Any) -> dict[str, Any]:
        if not 1 <= body["limit"] <= 1000:
            raise _RefusedError(422, "limit must be between 1 and 1000")
        stored = self._there(name).stored
        ids = sorted(each for each in stored if each > body["cursor"])
        page = ids[: body["limit"]]
        return {
            "nextCursor": page[-1] if len(ids) > len(page) else "",
            "vectors": [_view(stored[each], body) for each in page],
        }

    def _delete(self, name: str, body: Any) -> dict[str, int]:
        namespace = self._there(name)
        ids = body["ids"] if isinstance(body, dict) else body
        deleted = sum(namespace.stored.pop(each, None) is not None for each in ids)
        self._changed(namespace)
        return {"deleted": deleted}

    def _reset(self, name: str, body: Any) -> str:
        assert body is None
        namespace = self._there(name)
        namespace.stored.clear()
        self._changed(namespace)
        return "Success"

    def _delete_namespace(self, name: str, body: Any) -> str:
        assert body is None
        self._there(name)
        del self._namespaces[name]
        return "Success"

    def _info(self) -> dict[str, Any]:
        told = {}
        for name, namespace in self._namespaces.items():
            told[name] = {
                "vectorCount": len(namespace.indexed),
                "pendingVectorCount": namespace.pending,
            }
            if namespace.pending:
                namespace.pending -= 1
                if not namespace.pending:
                    namespace.indexed = dict(namespace.stored)
                    told[name]["pendingVectorCount"] = max(1, namespace.pending)
        return {
            "vectorCount": sum(each["vectorCount"] for each in told.values()),
            "pendingVectorCount": sum(each["pendingVectorCount"] for each in told.values()),
            "indexSize": 0,
            "dimension": self.dimension,
            "similarityFunction": self.similarity,
            "namespaces": told,
        }


def _view(vector: Vector, body: Any) -> Vector:
    shown = {"vector": "includeVectors", "metadata": "includeMetadata", "data": "includeData"}
    return {"id": vector["id"]} | {
        name: vector[name] for name, wanted in shown.items() if body.get(wanted) and name in vector
    }


def _similar(similarity: str, one: list[float], other: list[float]) -> float:
    if similarity == "EUCLIDEAN":
        return 1 / (1 + math.dist(one, other) ** 2)
    dot = sum(x * y for x, y in zip(one, other, strict=True))
    if similarity == "COSINE":
        dot /= math.hypot(*one) * math.hypot(*other) or 1.0
    return (1 + dot) / 2


def _parsed(text: str) -> Condition:
    """Parse a filter; AND binds more than OR."""
    tokens: list[tuple[str, str]] = []
    place = 0
    while place < len(text.rstrip()):
        found = _TOKENS.match(text, place)
        if found is None or found.lastgroup is None:
            raise _RefusedError(400, f"Invalid filter expression at {place}: {text[place:][:20]!r}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    condition = _either(tokens)
    if tokens:
        raise _RefusedError(400, f"Invalid filter expression: unexpected {tokens[0][1]!r}")
    return condition


def _either(tokens: list[tuple[str, str]]) -> Condition:
    parts = [_both(tokens)]
    while tokens and tokens[0] == ("word", "OR"):
        tokens.pop(0)
        parts.append(_both(tokens))
    return lambda metadata: any(part(metadata) for part in parts)


def _both(tokens: list[tuple[str, str]]) -> Condition:
    parts = [_one(tokens)]
    while tokens and tokens[0] == ("word", "AND"):
        tokens.pop(0)
        parts.append(_one(tokens))
    return lambda metadata: all(part(metadata) for part in parts)


def _one(tokens: list[tuple[str, str]]) -> Condition:
    kind, word = _taken(tokens)
    if word == "(":
        condition = _either(tokens)
        if _taken(tokens)[1] != ")":
            raise _RefusedError(400, "Invalid filter expression: a ) is missing")
        return condition
    if kind == "word" and word in ("HAS FIELD", "HAS NOT FIELD"):
        name = _taken(tokens, "name")[1]
        return lambda metadata: (name in metadata) is (word == "HAS FIELD")
    if kind != "name":
        raise _RefusedError(400, f"Invalid filter expression: unexpected {word!r}")
    return _comparison(word, _taken(tokens)[1], _taken(tokens))


def _comparison(name: str, operator: str, literal: tuple[str, str]) -> Condition:
    kind, text = literal
    if kind not in ("text", "number"):
        raise _RefusedError(400, f"Invalid filter expression: {text!r} is no literal")
    value: Any = text[1:-1] if kind == "text" else float(text)
    if operator in _COMPARE and kind == "number":
        compare = _COMPARE[operator]
        return lambda metadata: name in metadata and compare(metadata[name], value)
    if operator == "CONTAINS":
        return lambda metadata: value in metadata.get(name, ())
    # Of what is not there, the documentation leaves open whether the opposites hold.
    if operator == "NOT CONTAINS":
        return lambda metadata: name in metadata and value not in metadata[name]
    if operator in ("=", "!="):
        return lambda metadata: name in metadata and (metadata[name] == value) is (operator == "=")
    raise _RefusedError(400, f"Invalid filter expression: {operator} {text}")


def _taken(tokens: list[tuple[str, str]], kind: str | None = None) -> tuple[str, str]:
    if not tokens or kind not in (None, tokens[0][0]):
        raise _RefusedError(400, "Invalid filter expression: it ends early")
    return tokens.pop(0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, index: UpstashVector) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.index = index


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        index = self.server.index
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        index.requests.append(self.path)
        if index.failing:
            status, text = index.failing.pop(0)
            self._send(status, text.encode())
        elif self.headers["authorization"] != f"Bearer {TOKEN}":
            self._send(401, b'{"error": "Unauthorized: Invalid auth token", "status": 401}')
        else:
            status, answer = index.answer(self.path, json.loads(raw) if raw else None)
            self._send(status, json.dumps(answer).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass
