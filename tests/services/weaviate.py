"""Weaviate's REST and gRPC APIs, as far as its client is used, with what they refuse.

The gRPC messages are the client's own. Written from docs.weaviate.io ("Collection definition",
"Filters", "Cursor API", "Naming conventions") and the client's source. Searches are exact; BM25 is
a count of words. Classes that differ by case only share their files, and are refused here.
"""

from __future__ import annotations

import json
import math
import re
import struct
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped]  # it has no stubs
from google.protobuf.json_format import (  # type: ignore[import-untyped]  # nor has it
    MessageToDict,
)
from weaviate.proto.v1 import (
    aggregate_pb2,
    base_pb2,
    batch_delete_pb2,
    batch_pb2,
    properties_pb2,
    search_get_pb2,
    weaviate_pb2_grpc,
)

__all__ = ["KEY", "Weaviate"]

KEY = "the-weaviate-key"

_VERSION = "1.36.0"
_CLASS = re.compile(r"[A-Z][_0-9A-Za-z]{0,254}")
_PROPERTY = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,230}")
_RESERVED = {"id", "_id", "_additional", "vector"}
_MAXIMUM = 10_000
_HNSW = {  # the defaults of a server, which it describes a class with
    "distance": "cosine",
    "skip": False,
    "cleanupIntervalSeconds": 300,
    "maxConnections": 32,
    "efConstruction": 128,
    "ef": -1,
    "dynamicEfMin": 100,
    "dynamicEfMax": 500,
    "dynamicEfFactor": 8,
    "vectorCacheMaxObjects": 1_000_000_000_000,
    "flatSearchCutoff": 40_000,
}
_NUMBERS: dict[str, Callable[[float, float], bool]] = {
    "OPERATOR_GREATER_THAN": lambda a, b: a > b,
    "OPERATOR_GREATER_THAN_EQUAL": lambda a, b: a >= b,
    "OPERATOR_LESS_THAN": lambda a, b: a < b,
    "OPERATOR_LESS_THAN_EQUAL": lambda a, b: a <= b,
}


class _RefusedError(Exception):
    pass


@dataclass
class _Class:
    config: dict[str, Any]
    objects: dict[str, _Object] = field(default_factory=dict)
    dimension: int | None = None

    def property(self, name: str) -> dict[str, Any]:
        for each in self.config["properties"]:
            if each["name"] == name:
                found: dict[str, Any] = each
                return found
        raise _RefusedError(
            f"no such prop with name '{name}' found in class '{self.config['class']}' in the schema"
        )


@dataclass
class _Object:
    id: str
    vector: list[float]
    properties: dict[str, Any]


class Weaviate:
    """A server on two ports of its own, served by threads.

    Attributes:
        failing: statuses to answer the next REST requests with instead.
        requests: method and path of each REST request.
    """

    def __init__(self) -> None:
        self.failing: list[int] = []
        self.requests: list[str] = []
        self.classes: dict[str, _Class] = {}
        self.lock = threading.RLock()
        self._http = _Server(self)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self._grpc = grpc.server(ThreadPoolExecutor(8))
        add: Any = weaviate_pb2_grpc.add_WeaviateServicer_to_server
        add(_Servicer(self), self._grpc)
        self.grpc_port: int = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()

    @property
    def url(self) -> str:
        """The URL of the REST API."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def empty(self) -> None:
        """Forget everything."""
        with self.lock:
            self.classes.clear()
            self.failing.clear()
            self.requests.clear()

    def close(self) -> None:
        """End both servers."""
        self._grpc.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        """Return status and answer of a REST request."""
        if parts == ["meta"]:
            return 200, {"version": _VERSION, "modules": {}, "hostname": self.url}
        if parts[:1] == [".well-known"]:
            return (404 if "openid-configuration" in parts else 200), {}
        if parts[:1] != ["schema"]:
            return 404, None
        with self.lock:
            try:
                return self._schema(method, parts[1:], body)
            except _RefusedError as refused:
                return 422, {"error": [{"message": str(refused)}]}

    def _schema(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        if not parts:
            if method == "GET":
                return 200, {"classes": [each.config for each in self.classes.values()]}
            return 200, self._create(body)
        name = _folded(parts[0])
        if method == "DELETE":
            self.classes.pop(name, None)
            return 200, None
        if name not in self.classes:
            return 404, None
        kept = self.classes[name]
        if parts[1:] == ["properties"]:
            known = {each["name"].lower() for each in kept.config["properties"]}
            if body["name"].lower() in known:
                raise _RefusedError(
                    f'class "{name}": conflict for property "{body["name"]}": already in use or '
                    "provided multiple times"
                )
            kept.config["properties"].append(_property(body))
            return 200, body
        return 200, kept.config

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        name = _folded(body["class"])
        if not _CLASS.fullmatch(name):
            raise _RefusedError(f"'{name}' is not a valid class name")
        if name in self.classes:
            raise _RefusedError(f"class name {name} already exists")
        if name.lower() in {each.lower() for each in self.classes}:
            raise _RefusedError(f"class name {name} already exists in another case")
        config = {
            **body,
            "class": name,
            "properties": [_property(each) for each in body.get("properties") or []],
            "multiTenancyConfig": {"enabled": False},
        }
        for vector in config.get("vectorConfig", {}).values():
            index = vector["vectorIndexConfig"] = _HNSW | (vector.get("vectorIndexConfig") or {})
            if index["distance"] not in ("cosine", "l2-squared", "dot"):
                raise _RefusedError(f"unrecognized distance metric {index['distance']!r}")
        self.classes[name] = _Class(config)
        return config


def _folded(name: str) -> str:
    return name[:1].upper() + name[1:]


def _property(body: dict[str, Any]) -> dict[str, Any]:
    if not _PROPERTY.fullmatch(body["name"]) or body["name"] in _RESERVED:
        raise _RefusedError(f"'{body['name']}' is not a valid property name")
    text = body["dataType"][0].startswith("text")
    given = {key: value for key, value in body.items() if value is not None}
    defaults = {"indexFilterable": True, "indexSearchable": text, "indexRangeFilters": False}
    return {**defaults, "tokenization": "word" if text else None, **given}


class _Servicer(weaviate_pb2_grpc.WeaviateServicer):  # type: ignore[misc]  # untyped
    def __init__(self, server: Weaviate) -> None:
        self._server = server

    def _checked(self, context: Any) -> None:
        if ("authorization", f"Bearer {KEY}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "unauthorized: invalid api key")

    def _class(self, name: str) -> _Class:
        if name not in self._server.classes:
            raise _RefusedError(f"could not find class {name} in schema")
        return self._server.classes[name]

    def _answered(self, context: Any, answer: Callable[[], Any]) -> Any:
        self._checked(context)
        with self._server.lock:
            try:
                return answer()
            except _RefusedError as refused:
                message = str(refused)
        return context.abort(grpc.StatusCode.UNKNOWN, message)

    def BatchObjects(self, request: Any, context: Any) -> Any:  # noqa: N802 - of gRPC
        return self._answered(context, lambda: self._batch(request))

    def BatchDelete(self, request: Any, context: Any) -> Any:  # noqa: N802 - of gRPC
        return self._answered(context, lambda: self._delete(request))

    def Aggregate(self, request: Any, context: Any) -> Any:  # noqa: N802 - of gRPC
        return self._answered(context, lambda: self._aggregate(request))

    def Search(self, request: Any, context: Any) -> Any:  # noqa: N802 - of gRPC
        return self._answered(context, lambda: self._search(request))

    def _batch(self, request: Any) -> Any:
        errors = []
        for index, each in enumerate(request.objects):
            try:
                self._put(each)
            except _RefusedError as refused:
                error = batch_pb2.BatchObjectsReply.BatchError(index=index, error=str(refused))
                errors.append(error)
        return batch_pb2.BatchObjectsReply(took=0.001, errors=errors)

    def _put(self, given: Any) -> None:
        kept = self._class(given.collection)
        (packed,) = [each.vector_bytes for each in given.vectors] or [given.vector_bytes]
        vector = _unpacked(packed)
        kept.dimension = kept.dimension or len(vector)
        if len(vector) != kept.dimension:
            raise _RefusedError(
                f"new node has a vector with length {len(vector)}. Existing nodes have vectors "
                f"with length {kept.dimension}"
            )
        properties = MessageToDict(given.properties.non_ref_properties)
        for each in given.properties.text_array_properties:
            properties[each.prop_name] = list(each.values)
        for name in properties:
            kept.property(name)  # as without automatic schemas
        kept.objects[given.uuid] = _Object(given.uuid, vector, properties)

    def _delete(self, request: Any) -> Any:
        kept = self._class(request.collection)
        found = [each.id for each in kept.objects.values() if _matches(kept, request.filters, each)]
        for each in found[:_MAXIMUM]:
            del kept.objects[each]
        return batch_delete_pb2.BatchDeleteReply(
            took=0, matches=len(found), successful=len(found[:_MAXIMUM]), failed=0
        )

    def _aggregate(self, request: Any) -> Any:
        count = len(self._found(request))
        single = aggregate_pb2.AggregateReply.Single(objects_count=count)
        return aggregate_pb2.AggregateReply(took=0, single_result=single)

    def _found(self, request: Any) -> list[_Object]:
        kept = self._class(request.collection)
        everything = list(kept.objects.values())
        if not request.HasField("filters"):
            return everything
        _matches(kept, request.filters, _Object("", [], {}))  # what is no filter is refused
        return [each for each in everything if _matches(kept, request.filters, each)]

    def _search(self, request: Any) -> Any:
        kept = self._class(request.collection)
        found = self._found(request)
        measured: dict[str, float] = {}
        if request.HasField("near_vector"):
            measured = _distances(kept, request.near_vector, found)
            found.sort(key=lambda each: measured[each.id])
        elif request.HasField("bm25_search"):
            measured = _words(kept, request.bm25_search, found)
            found = [each for each in found if measured[each.id]]
            found.sort(key=lambda each: -measured[each.id])
        else:
            if request.after and request.HasField("filters"):
                raise _RefusedError("cursor api: filters cannot be combined with after")
            found = sorted(
                (each for each in found if each.id > request.after), key=lambda each: each.id
            )
        if request.offset + request.limit > _MAXIMUM:
            raise _RefusedError("query maximum results exceeded")
        results = [
            _result(request, each, measured.get(each.id)) for each in found[: request.limit or 10]
        ]
        return search_get_pb2.SearchReply(took=0.001, results=results)


def _unpacked(packed: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _distances(kept: _Class, near: Any, found: list[_Object]) -> dict[str, float]:
    packed = near.vector_bytes or (near.vectors[0].vector_bytes if near.vectors else b"")
    for each in near.vector_for_targets:
        packed = each.vector_bytes or each.vectors[0].vector_bytes
    query = _unpacked(packed)
    if kept.dimension not in (None, len(query)):
        raise _RefusedError(f"vector lengths don't match: {kept.dimension} vs {len(query)}")
    (vector,) = kept.config["vectorConfig"].values()
    metric = vector["vectorIndexConfig"]["distance"]
    return {each.id: _distance(metric, query, each.vector) for each in found}


def _distance(metric: str, one: list[float], other: list[float]) -> float:
    if metric == "l2-squared":
        return math.dist(one, other) ** 2
    dot = sum(x * y for x, y in zip(one, other, strict=True))
    if metric == "dot":
        return -dot
    return 1 - dot / (math.hypot(*one) * math.hypot(*other))


def _words(kept: _Class, search: Any, found: list[_Object]) -> dict[str, float]:
    for name in search.properties:
        if not kept.property(name)["indexSearchable"]:
            raise _RefusedError(f"property '{name}' is not indexed for bm25")
    wanted = set(re.findall(r"\w+", search.query.lower()))
    if not wanted:
        raise _RefusedError("bm25: the query has no words")
    scores = {}
    for each in found:
        words = [
            word
            for name in search.properties
            for word in re.findall(r"\w+", str(each.properties.get(name, "")).lower())
        ]
        scores[each.id] = float(sum(word in wanted for word in words))
    return scores


def _matches(kept: _Class, where: Any, each: _Object) -> bool:
    operator = base_pb2.Filters.Operator.Name(where.operator)
    if operator in ("OPERATOR_AND", "OPERATOR_OR"):
        parts = [_matches(kept, part, each) for part in where.filters]
        return all(parts) if operator == "OPERATOR_AND" else any(parts)
    name = where.target.property
    values = list(where.value_text_array.values)
    if name == "_id":
        return each.id in (values or [where.value_text])
    declared = kept.property(name)
    if not declared["indexFilterable"]:
        raise _RefusedError(f"Filtering by property '{name}' requires inverted index")
    value = each.properties.get(name)
    if operator in _NUMBERS:
        if declared["dataType"] != ["number"]:
            raise _RefusedError(f"data type filter cannot use number on type {declared}")
        return value is not None and _NUMBERS[operator](value, where.value_number)
    if operator == "OPERATOR_CONTAINS_ANY":
        return bool({*values} & {*(value or ())})
    if operator == "OPERATOR_CONTAINS_NONE":
        return not {*values} & {*(value or ())}
    raise _RefusedError(f"unknown operator {operator}")


def _result(request: Any, each: _Object, measured: float | None) -> Any:
    metadata = search_get_pb2.MetadataResult(id=each.id, id_as_bytes=uuid.UUID(each.id).bytes)
    if measured is not None and request.HasField("near_vector"):
        metadata.distance, metadata.distance_present = measured, True
    elif measured is not None:
        metadata.score, metadata.score_present = measured, True
    if request.metadata.vector or request.metadata.vectors:
        packed = struct.pack(f"<{len(each.vector)}f", *each.vector)
        kind = base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32
        metadata.vectors.add(name="default", vector_bytes=packed, type=kind)
    wanted = request.properties.non_ref_properties
    fields = {name: _value(each.properties[name]) for name in wanted if name in each.properties}
    properties = search_get_pb2.PropertiesResult(
        non_ref_props=properties_pb2.Properties(fields=fields),
        target_collection=request.collection,
    )
    return search_get_pb2.SearchResult(metadata=metadata, properties=properties)


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return properties_pb2.Value(text_value=value)
    return properties_pb2.Value(number_value=value)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, weaviate: Weaviate) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.weaviate = weaviate


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def _any(self) -> None:
        assert isinstance(self.server, _Server)
        weaviate = self.server.weaviate
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        weaviate.requests.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")[1:]
        if weaviate.failing:
            self._send(weaviate.failing.pop(0), {"error": [{"message": "busy"}]})
        elif parts[:1] != [".well-known"] and self.headers["authorization"] != f"Bearer {KEY}":
            self._send(401, {"error": [{"message": "unauthorized: invalid api key"}]})
        else:
            body: Mapping[str, Any] | None = json.loads(raw) if raw else None
            self._send(*weaviate.answer(self.command, parts, body))

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _any  # noqa: N815 - names of the base class

    def _send(self, status: int, answer: Any) -> None:
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass
