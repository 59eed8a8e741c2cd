"""Cloud Storage for tests: what its SDK uses of the JSON API, with one bucket.

cloud.google.com/storage/docs/json_api/v1 and …/docs/request-preconditions. Each request is done
without anything between, as the real service does.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import google_crc32c

from tests.servers import free_port

BUCKET = "praison-test"
_PAGE = 1000  # objects a listing answers at most

Answer = tuple[int, bytes, Mapping[str, str]]


@dataclass(frozen=True)
class Object:
    """An object as it is stored.

    Attributes:
        given: what its writer said of it.
    """

    data: bytes
    generation: int
    given: Mapping[str, Any]

    def resource(self, name: str) -> dict[str, Any]:
        """Return its metadata."""
        return {
            **self.given,
            "kind": "storage#object",
            "bucket": BUCKET,
            "name": name,
            "generation": str(self.generation),
            "metageneration": "1",
            "size": str(len(self.data)),
            **self.hashes,
        }

    @property
    def hashes(self) -> dict[str, str]:
        """Its checksums, in base64."""
        crc32c = struct.pack(">I", google_crc32c.value(self.data))
        md5 = hashlib.md5(self.data, usedforsecurity=False).digest()
        return {
            "crc32c": base64.b64encode(crc32c).decode(),
            "md5Hash": base64.b64encode(md5).decode(),
        }


@dataclass
class _Upload:
    """A resumable upload under way."""

    name: str
    query: Mapping[str, str]
    given: Mapping[str, Any]
    data: bytes = b""


class _RefusedError(Exception):
    """What is answered with a status and the service's words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GCS:
    """The service. Objects outlive `stop`.

    Attributes:
        objects: name -> object of the bucket.
        requests: what was asked for, as "GET download", "GET list", "DELETE object", "POST upload".
        failing: statuses to answer the next requests with, instead of doing them.
        losing: for each request, whether to cut its connection once it is done.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[str] = []
        self.lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}
        self._numbers = itertools.count(1_700_000_000_000_000)
        self._server: _Server | None = None
        self._port = free_port()
        self.heal()
        self.start()

    @property
    def url(self) -> str:
        """The URL of the service, for STORAGE_EMULATOR_HOST."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self._server is not None

    def heal(self) -> None:
        """Fail no more."""
        self.failing: list[int] = []
        self.losing: Iterator[bool] = itertools.repeat(False)

    def start(self) -> None:
        """Listen, on the port of the time before."""
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Take no connections, and cut those there are when they are used."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do a request."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        found = re.fullmatch(r"(/upload|/download)?/storage/v1/b/([^/]+)/o(?:/(.+))?", parts.path)
        if parts.path == f"/storage/v1/b/{BUCKET}":
            # For the SDK's traces, in a thread of its own; without an answer it asks at each call.
            return _json({"kind": "storage#bucket", "name": BUCKET, "location": "EU"})
        if found is None:
            return _error(404, f"Not Found: {parts.path}")
        service, bucket, name = found[1], found[2], unquote(found[3] or "")
        kind = service[1:] if service else "object" if name else "list"
        self.requests.append(f"{method} {kind}")
        if self.failing:
            return _error(self.failing.pop(0), "The service is not available.")
        if bucket != BUCKET:
            return _error(404, "The specified bucket does not exist.")
        try:
            if service == "/upload":
                return self._upload(query, headers, body)
            if not name:
                return self._list(query)
            return self._object(method, name, query, media=query.get("alt") == "media")
        except _RefusedError as error:
            return _error(error.status, str(error))

    def _object(self, method: str, name: str, query: Mapping[str, str], *, media: bool) -> Answer:
        stored = self.objects.get(name)
        if stored is None or query.get("generation", str(stored.generation)) != str(
            stored.generation
        ):
            raise _RefusedError(404, f"No such object: {BUCKET}/{name}")
        _check(query, stored)
        if method == "DELETE":
            del self.objects[name]
            return 204, b"", {}
        if not media:
            return _json(stored.resource(name))
        hashes = stored.hashes
        return (
            200,
            stored.data,
            {
                "content-type": str(stored.given.get("contentType", "application/octet-stream")),
                "x-goog-generation": str(stored.generation),
                "x-goog-metageneration": "1",
                "x-goog-hash": f"crc32c={hashes['crc32c']},md5={hashes['md5Hash']}",
            },
        )

    def _list(self, query: Mapping[str, str]) -> Answer:
        size = min(int(query.get("maxResults", _PAGE)), _PAGE)
        start = query.get("startOffset", "")
        after = ""
        if "pageToken" in query:
            try:
                after = base64.b64decode(query["pageToken"], validate=True).decode()
            except ValueError:
                raise _RefusedError(400, "Invalid argument.") from None
        prefix = query.get("prefix", "")
        # In the order of their bytes in UTF-8, which is that of code points.
        names = sorted(name for name in self.objects if name.startswith(prefix))
        names = [name for name in names if name >= start and name > after]
        answer: dict[str, Any] = {"kind": "storage#objects"}
        answer["items"] = [self.objects[name].resource(name) for name in names[:size]]
        if len(names) > size:
            answer["nextPageToken"] = base64.b64encode(names[size - 1].encode()).decode()
        return _json(answer)

    def _upload(self, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Answer:
        if "upload_id" in query:
            return self._resume(query["upload_id"], headers["content-range"], body)
        kind = query.get("uploadType")
        if kind == "media":
            given = {"contentType": headers["content-type"]}
            return self._store(query["name"], query, given, body)
        if kind == "multipart":
            given, data = _parts(headers["content-type"], body)
            return self._store(query.get("name") or given["name"], query, given, data)
        given = json.loads(body or b"{}")
        upload_id = f"upload-{next(self._numbers)}"
        name = query.get("name") or given["name"]
        given.setdefault("contentType", headers.get("x-upload-content-type"))
        self._uploads[upload_id] = _Upload(name, query, given)
        place = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&upload_id={upload_id}"
        return 200, b"", {"location": self.url + place}

    def _resume(self, upload_id: str, content_range: str, body: bytes) -> Answer:
        upload = self._uploads[upload_id]
        upload.data += body
        total = content_range.rpartition("/")[2]
        if total == "*" or len(upload.data) < int(total):
            return 308, b"", {"range": f"bytes=0-{len(upload.data) - 1}"}
        del self._uploads[upload_id]
        return self._store(upload.name, upload.query, upload.given, upload.data)

    def _store(
        self, name: str, query: Mapping[str, str], given: Mapping[str, Any], data: bytes
    ) -> Answer:
        _check(query, self.objects.get(name))
        if not 1 <= len(name.encode()) <= 1024 or re.search(r"[\r\n]", name):
            raise _RefusedError(400, f"Invalid object name: {name!r}")
        stored = Object(data, next(self._numbers), {k: v for k, v in given.items() if k != "name"})
        for checksum, value in stored.hashes.items():
            if given.get(checksum, value) != value:
                raise _RefusedError(400, f"Provided {checksum} does not match")
        self.objects[name] = stored
        return _json(stored.resource(name))


def _check(query: Mapping[str, str], stored: Object | None) -> None:
    """Refuse what is conditional on another generation; 0 stands for no object."""
    generation = stored.generation if stored else 0
    expected = query.get("ifGenerationMatch")
    if expected is not None and int(expected) != generation:
        raise _RefusedError(412, "At least one of the pre-conditions you specified did not hold.")


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the description and the data of an object, of a body of type multipart/related."""
    found = re.search(r"boundary=[\"']?([^\"';]+)", content_type)
    assert found is not None
    _, _, rest = body.partition(b"\r\n\r\n")
    boundary = b"\r\n--" + found[1].encode()
    described, _, rest = rest.partition(boundary)
    _, _, rest = rest.partition(b"\r\n\r\n")
    return json.loads(described), rest[: rest.rindex(boundary)]


def _json(value: object) -> Answer:
    return 200, json.dumps(value).encode(), {"content-type": "application/json"}


def _error(status: int, message: str) -> Answer:
    answer = {"error": {"code": status, "message": message, "errors": [{"message": message}]}}
    return status, json.dumps(answer).encode(), {"content-type": "application/json"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, gcs: GCS, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.gcs = gcs


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        gcs = self.server.gcs
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with gcs.lock:
            if not gcs.is_running:
                self._cut()
                return
            status, answer, answered = gcs.answer(self.command, self.path, headers, body)
            if next(gcs.losing):
                self._cut()
                return
        self.send_response(status)
        for name, value in answered.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as the base class calls them

    def _cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass
