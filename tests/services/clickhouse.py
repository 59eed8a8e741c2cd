"""ClickHouse's HTTP interface in front of its real engine, chdb, which has none.

ClickHouse docs, "HTTP Interface": a statement in the query string or the body, values of its
parameters as param_…, the error's code in X-ClickHouse-Exception-Code. The engine is one to a
process and answers one statement at a time, so that it runs in a process of its own:

    python -m tests.services.clickhouse PORT FOLDER
"""

from __future__ import annotations

import base64
import email
import email.policy
import gzip
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PASSWORD = "the-password"

_AUTHENTICATION_FAILED = 516
_NOT_FOUND = (60, 81)  # UNKNOWN_TABLE, UNKNOWN_DATABASE
_CODE = re.compile(r"Code: (\d+)")
_FORMAT = re.compile(r"(?is)\sFORMAT\s+(\w+)\s*;?\s*$")
_INSERT = re.compile(rb"(?is)\s*(INSERT\s+INTO\s+.*?)\s+FORMAT\s+(\w+)\s?\r?\n(.*)$")


class ClickHouse:
    """A server of a port.

    Attributes:
        port: of its HTTP interface.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def run(self, statement: str) -> str:
        """Run a statement and return its answer as text."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            key = base64.b64encode(f"default:{PASSWORD}".encode()).decode()
            connection.request("POST", "/", statement.encode(), {"Authorization": f"Basic {key}"})
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, text
            return text
        finally:
            connection.close()

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + 120
        while not self._answers():
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)

    def clear(self) -> None:
        """Drop what tests made."""
        for database in ("default", "apart"):
            self.run(f"DROP DATABASE IF EXISTS {database}")
        self.run("CREATE DATABASE default")


@contextmanager
def clickhouse(port: int) -> Iterator[ClickHouse]:
    """Yield a server that runs."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(port), folder],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            server = ClickHouse(port)
            server.wait(process)
            yield server
        finally:
            process.kill()
            process.wait(30)


class _Engine:
    """chdb, a statement at a time."""

    def __init__(self, folder: str) -> None:
        # Not at the top: it is for the process of the server alone.
        session: Any = import_module("chdb.session")
        self._session = session.Session(f"{folder}/data")
        self._folder = Path(folder)
        self._lock = threading.Lock()

    def run(self, sql: bytes, form: str, parameters: dict[str, str], database: str | None) -> bytes:
        with self._lock:
            if database:
                self._session.query(f"USE `{database}`")
            insert = _INSERT.match(sql)
            if insert and insert[2].lower() != b"values":
                # The engine takes data from files, and not from the statement.
                file = self._folder / uuid.uuid4().hex
                file.write_bytes(insert[3])
                select = f" SELECT * FROM file('{file}', '{insert[2].decode()}')"
                sql = insert[1] + select.encode()
            text = sql.decode()
            written = _FORMAT.search(text)
            if written:
                form, text = written[1], text[: written.start()]
            return bytes(self._session.query(text, form, params=parameters).bytes() or b"")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK
    engine: _Engine

    def do_GET(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        if url.path == "/ping":
            self._answer(200, b"Ok.\n")
            return
        if not self._is_known():
            self._refuse(403, _AUTHENTICATION_FAILED, "Authentication failed")
            return
        if "multipart/form-data" in self.headers.get("content-type", ""):
            fields = self._fields(body)
            body = fields.pop("query", b"")
            query |= {name: value.decode() for name, value in fields.items()}
        statement = (query.get("query", "") + "\n").encode() + body if "query" in query else body
        parameters = {
            name.removeprefix("param_"): value
            for name, value in query.items()
            if name.startswith("param_")
        }
        form = self.headers.get("x-clickhouse-format") or "TabSeparated"
        form = query.get("default_format", form)
        try:
            answer = self.engine.run(statement, form, parameters, query.get("database"))
        except RuntimeError as error:
            found = _CODE.search(str(error))
            code = int(found[1]) if found else 1
            self._refuse(404 if code in _NOT_FOUND else 500, code, str(error))
        else:
            self._answer(200, answer)

    def do_POST(self) -> None:
        self.do_GET()

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        match self.headers.get("content-encoding"):
            case "gzip":
                return gzip.decompress(body)
            case "deflate":
                return zlib.decompress(body)
            case "lz4":
                lz4: Any = import_module("lz4.frame")
                return bytes(lz4.decompress(body))
            case "zstd":
                zstandard: Any = import_module("zstandard")
                return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(body))
            case _:
                return body

    def _fields(self, body: bytes) -> dict[str, bytes]:
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        message: Any = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        return {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
            for part in message.iter_parts()
        }

    def _is_known(self) -> bool:
        key = self.headers.get("x-clickhouse-key")
        scheme, _, given = self.headers.get("authorization", "").partition(" ")
        if key is None and scheme == "Basic":
            key = base64.b64decode(given).decode().partition(":")[2]
        return key == PASSWORD

    def _refuse(self, status: int, code: int, text: str) -> None:
        message = text if text.startswith("Code:") else f"Code: {code}. DB::Exception: {text}"
        self._answer(status, message.encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Query-Id", str(uuid.uuid4()))
        self.send_header("X-ClickHouse-Summary", json.dumps({"read_rows": "0"}))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass


if __name__ == "__main__":
    _Handler.engine = _Engine(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
