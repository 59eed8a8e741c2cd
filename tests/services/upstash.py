"""Upstash's REST API in front of a real Redis, as far as its SDK uses it.

upstash.com/docs/redis/features/restapi: a command is posted as a JSON array to `/`, several to
`/pipeline` or `/multi-exec`; the answer is `result` or `error`, its texts in base64 on request.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import redis
from redis.exceptions import NoScriptError

TOKEN = "the-token"


class Upstash:
    """The API on a port of its own, served by a thread.

    Attributes:
        requests: paths that were asked for.
        failing: status and body to answer the next requests with instead.
    """

    def __init__(self, redis_url: str) -> None:
        self.redis_url = redis_url
        self.redis = redis.Redis.from_url(redis_url, protocol=2)
        # Replies as the server sent them.
        self.redis.response_callbacks.clear()
        self.requests: list[str] = []
        self.failing: list[tuple[int, str]] = []
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        """Return status and answer of a request, its texts as bytes."""
        if path == "/":
            answer = self._run(body)
            return (400 if "error" in answer else 200), answer
        if path == "/pipeline":
            return 200, [self._run(command) for command in body]
        if path == "/multi-exec":
            with self.redis.pipeline(transaction=True) as transaction:
                run: Any = transaction.execute_command
                for command in body:
                    run(*map(_argument, command))
                try:
                    return 200, [{"result": reply} for reply in transaction.execute()]
                except redis.ResponseError as error:
                    return 400, {"error": str(error)}
        return 404, {"error": f"no such path: {path}"}

    def _run(self, command: list[Any]) -> dict[str, Any]:
        run: Any = self.redis.execute_command
        try:
            return {"result": run(*map(_argument, command))}
        except NoScriptError as error:
            return {"error": f"NOSCRIPT {error}"}
        except redis.ResponseError as error:
            return {"error": str(error)}

    def close(self) -> None:
        """End the server and its connections."""
        self._server.shutdown()
        self._server.server_close()
        self.redis.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstash: Upstash) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstash = upstash


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        upstash = self.server.upstash
        upstash.requests.append(self.path)
        body = self.rfile.read(int(self.headers["content-length"]))
        if upstash.failing:
            status, text = upstash.failing.pop(0)
            self._send(status, text.encode(), "text/html")
        elif self.headers["authorization"] != f"Bearer {TOKEN}":
            self._send(401, b'{"error": "Unauthorized"}')
        else:
            encoded = self.headers["upstash-encoding"] == "base64"
            status, answer = upstash.answer(self.path, json.loads(body))
            self._send(status, json.dumps(_encoded(answer, encoded)).encode())

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass


def _argument(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _encoded(answer: Any, as_base64: bool) -> Any:
    if isinstance(answer, bytes):
        # A status is sent as it is.
        plain = answer == b"OK" or not as_base64
        return answer.decode(errors="replace") if plain else base64.b64encode(answer).decode()
    if isinstance(answer, list):
        return [_encoded(each, as_base64) for each in answer]
    if isinstance(answer, dict):
        return {name: _encoded(each, as_base64) for name, each in answer.items()}
    return answer
