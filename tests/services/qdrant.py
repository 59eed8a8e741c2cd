"""A fake of Qdrant's REST API, as far as a knowledge store uses it.

Behind it is the local mode of qdrant-client. What the server refuses, and in which words, is
written here as its OpenAPI description and its answers have it: names and status codes are the
server's, indexes and replicas are not there.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from pydantic import BaseModel, ValidationError
from qdrant_client import QdrantClient, models

KEY = "the-key"


class Qdrant:
    """The API on a port of its own, served by a thread.

    Attributes:
        requests: method and path of each.
        indexes: fields of each collection that have one, and of which kind.
        failing: status, headers and body to answer the next requests with instead.
        engine: what has the data.
    """

    def __init__(self) -> None:
        self.engine = QdrantClient(":memory:")
        self.requests: list[tuple[str, str]] = []
        self.indexes: dict[str, dict[str, Any]] = {}
        self.failing: list[tuple[int, dict[str, str], str]] = []
        self.turn = threading.Lock()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The URL of the API."""
        return f"http://127.0.0.1:{self.port}"

    def empty(self) -> None:
        """Delete all collections, and forget what was asked."""
        with self.turn:
            for each in self.engine.get_collections().collections:
                self.engine.delete_collection(each.name)
            self.requests.clear()
            self.indexes.clear()
            self.failing.clear()

    def close(self) -> None:
        """End the server and its connections."""
        self._server.shutdown()
        self._server.server_close()
        self.engine.close()

    def answer(self, method: str, path: list[str], body: Any) -> Any:
        """Return the result of a request.

        Raises:
            RefusedError: the server would refuse it.
        """
        match method, path:
            case "GET", ["collections"]:
                return self.engine.get_collections()
            case "PUT", ["collections", name]:
                return self._create(name, models.CreateCollection.model_validate(body))
            case "DELETE", ["collections", name]:
                return self.engine.delete_collection(name)
        if path[0] != "collections" or not self.engine.collection_exists(path[1]):
            raise RefusedError(404, f"Not found: Collection `{path[1]}` doesn't exist!")
        return self._of_collection(f"{method} {'/'.join(path[2:])}", path[1], body)

    def _create(self, name: str, wanted: models.CreateCollection) -> bool:
        if self.engine.collection_exists(name):
            raise RefusedError(409, f"Wrong input: Collection `{name}` already exists!")
        assert isinstance(wanted.vectors, models.VectorParams)
        self.engine.create_collection(name, wanted.vectors, metadata=wanted.metadata)
        return True

    def _of_collection(self, operation: str, name: str, body: Any) -> Any:
        engine = self.engine
        match operation:
            case "GET ":
                return engine.get_collection(name)
            case "PUT index":
                self.indexes.setdefault(name, {})[body["field_name"]] = body["field_schema"]
            case "PUT points":
                engine.upsert(name, [self._point(name, each) for each in body["points"]])
            case "POST points":
                ids = [_id(each) for each in body["ids"]]
                return engine.retrieve(name, ids, body["with_payload"], body["with_vector"])
            case "POST points/query":
                query = models.QueryRequest.model_validate(body)
                assert isinstance(query.query, models.NearestQuery)
                self._check(name, query.query.nearest)
                return engine.query_points(
                    name,
                    query.query,
                    query_filter=query.filter,
                    limit=query.limit or 10,
                    with_payload=bool(query.with_payload),
                    with_vectors=bool(query.with_vector),
                )
            case "POST points/scroll":
                scroll = models.ScrollRequest.model_validate(body)
                points, following = engine.scroll(
                    name, scroll.filter, limit=scroll.limit or 10, offset=scroll.offset
                )
                return {"points": list(map(_plain, points)), "next_page_offset": following}
            case "POST points/count":
                return engine.count(name, models.CountRequest.model_validate(body).filter)
            case "POST points/delete":
                points_list = models.PointIdsList.model_validate(body)
                engine.delete(name, points_list)
            case _:
                raise RefusedError(404, f"the fake does not know {operation}")
        return {"operation_id": 1, "status": "completed"}

    def _point(self, name: str, given: dict[str, Any]) -> models.PointStruct:
        self._check(name, given["vector"])
        return models.PointStruct.model_validate(given | {"id": _id(given["id"])})

    def _check(self, name: str, vector: Any) -> None:
        vectors = self.engine.get_collection(name).config.params.vectors
        assert isinstance(vectors, models.VectorParams)
        if len(vector) != vectors.size:
            told = f"expected dim: {vectors.size}, got {len(vector)}"
            raise RefusedError(400, f"Wrong input: Vector dimension error: {told}")


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


def _id(given: Any) -> int | str:
    if isinstance(given, int):
        return given
    try:
        return str(UUID(str(given)))
    except ValueError:
        raise RefusedError(
            400,
            f"Format error in JSON body: value {given} is not a valid point ID, valid values are "
            "either an unsigned integer or a UUID",
        ) from None


def _plain(result: Any) -> Any:
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json", exclude_none=True)
    return [_plain(each) for each in result] if isinstance(result, list) else result


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, qdrant: Qdrant) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.qdrant = qdrant


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        qdrant = self.server.qdrant
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        path = urlsplit(self.path).path
        qdrant.requests.append((self.command, path))
        if qdrant.failing:
            self._send(*qdrant.failing.pop(0))
            return
        if self.headers["api-key"] not in (None, KEY):
            self._send(401, {"content-type": "text/plain"}, "Invalid API key or JWT")
            return
        parts = [unquote(each) for each in path.strip("/").split("/")]
        try:
            with qdrant.turn:
                answer = qdrant.answer(self.command, parts, json.loads(body) if body else None)
            status, content = 200, {"result": _plain(answer), "status": "ok", "time": 0.001}
        except RefusedError as error:
            status, content = error.status, {"status": {"error": str(error)}, "time": 0.001}
        except ValidationError as error:
            told = f"Format error in JSON body: {error.errors()[0]['msg']}"
            status, content = 400, {"status": {"error": told}, "time": 0.001}
        self._send(status, {"content-type": "application/json"}, json.dumps(content))

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def _send(self, status: int, headers: dict[str, str], text: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass
