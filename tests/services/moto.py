"""DynamoDB for tests: moto's, on a port of its own, which can be told to fail.

Requests are served one at a time, because moto checks the condition of a write and writes in two
steps, between which another thread could write.
"""

from __future__ import annotations

import copy
import itertools
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import boto3  # type: ignore[import-untyped]  # it has no types
import boto3.session  # type: ignore[import-untyped]  # as boto3
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import create_backend_app

from tests.servers import free_port

REGION = "eu-west-1"


class Moto:
    """The service. Tables outlive `stop`.

    Attributes:
        requests: names of the operations that were asked for.
        failing: status and body to answer the next requests with, instead of doing them.
        failing_of: the same for those of an operation.
        losing: for each request, whether to cut its connection once it is done.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.heal()
        self.application: Any = create_backend_app("dynamodb")
        self.lock = threading.Lock()
        self._server: _Server | None = None
        self._port = free_port()
        self.start()

    def heal(self) -> None:
        """Fail no more."""
        self.failing: list[tuple[int, str]] = []
        self.failing_of: dict[str, list[tuple[int, str]]] = {}
        self.losing: Iterator[bool] = itertools.repeat(False)

    @property
    def url(self) -> str:
        """The URL of the service."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self._server is not None

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

    @cached_property
    def client(self) -> Any:
        """A client of the tests' own."""
        session = boto3.session.Session("test", "test", region_name=REGION)
        return session.client("dynamodb", endpoint_url=self.url)

    def items(self, table: str) -> list[Any]:
        """Return what is in a table."""
        found: list[Any] = self.client.scan(TableName=table)["Items"]
        return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, moto: Moto, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.moto = moto


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        moto = self.server.moto
        body = self.rfile.read(int(self.headers["content-length"]))
        with moto.lock:
            if not moto.is_running:
                self._cut()
                return
            operation = self.headers["x-amz-target"].rpartition(".")[2]
            moto.requests.append(operation)
            failing = moto.failing or moto.failing_of.get(operation)
            status, answer = failing.pop(0) if failing else self._ask(moto, body)
            if next(moto.losing):
                self._cut()
                return
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def _ask(self, moto: Moto, body: bytes) -> tuple[int, str]:
        environ: dict[str, Any] = {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()
        }
        environ |= {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers["content-type"],
            "wsgi.input": BytesIO(body),
            "wsgi.url_scheme": "http",
        }
        statuses: list[int] = []
        parts = moto.application(
            environ, lambda status, headers: statuses.append(int(status.split()[0]))
        )
        answer = b"".join(parts).decode()
        return statuses[0], answer

    def _cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass


def _snapshot(table: Table, memo: object) -> Table:
    # moto copies a table for each action of a transaction, to return to if it fails. The puts and
    # deletes of tests replace items and change none, so that the items need not be copied.
    new = copy.copy(table)
    new.items = defaultdict(dict, {key: dict(items) for key, items in table.items.items()})
    return new


Table.__deepcopy__ = _snapshot  # type: ignore[attr-defined]  # see above
