"""Chroma's own server, `chroma run`, and a gateway before it that asks for a token."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.servers import free_port

TOKEN = "the-token"


@contextmanager
def chroma_server(folder: Path) -> Iterator[int]:
    """Yield the port of a server that runs."""
    port = free_port()
    program = Path(sys.executable).with_name("chroma")
    command: list[str | Path] = [program, "run", "--path", folder]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not _answers(port):
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.05)
            yield port
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=5).is_success
    except httpx.TransportError:
        return False


class Gateway:
    """Passes requests with the token on, and answers others by itself.

    Attributes:
        failing: status, content type and body to answer the next requests with instead.
        requests: how many there were.
        hanging_s: seconds to wait before each answer.
    """

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.failing: list[tuple[int, str, str]] = []
        self.requests = 0
        self.hanging_s = 0.0
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """End the gateway and its connections."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gateway = gateway


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        gateway = self.server.gateway
        gateway.requests += 1
        time.sleep(gateway.hanging_s)
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        if gateway.failing:
            status, kind, text = gateway.failing.pop(0)
            self._send(status, kind, text.encode())
        elif self.headers["x-chroma-token"] != TOKEN:
            self._send(401, "application/json", b'{"error": "AuthError", "message": "Forbidden"}')
        else:
            connection = http.client.HTTPConnection("127.0.0.1", gateway.behind)
            connection.request(self.command, self.path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            self._send(answer.status, "application/json", answer.read())
            connection.close()

    def do_POST(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass
