"""Redis for tests: databases on the server that can be reached, and servers of one's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from praison_persist.testing.state_contract import Advance
from tests.servers import free_port, missing

_VARIABLE, _DEFAULT = "PRAISON_TEST_REDIS_URL", "redis://127.0.0.1:6379/15"


@contextmanager
def namespace() -> Iterator[tuple[str, str]]:
    """Yield the URL of a Redis server and a prefix of the test's own, whose keys are deleted."""
    url = os.environ.get(_VARIABLE, _DEFAULT)
    prefix = f"praison_test_{uuid.uuid4().hex[:12]}:"
    with redis.Redis.from_url(url) as client:
        try:
            client.ping()
        except redis.ConnectionError as error:
            missing(_VARIABLE, error)
        yield url, prefix
        for key in client.scan_iter(f"{prefix}*", count=1000):
            client.delete(key)


def time_machine(client: redis.Redis, prefix: str) -> Advance:
    """Return a function that brings all expiries nearer: a server's own clock cannot be set."""

    def advance(seconds: float) -> None:
        for key in list(client.scan_iter(f"{prefix}*", count=1000)):
            left_ms = client.pttl(key)
            if left_ms < 0:
                continue
            left_ms -= round(seconds * 1000)
            if left_ms > 0:
                client.pexpire(key, left_ms)
            else:
                client.delete(key)

    return advance


class OwnRedis:
    """A Redis server that a test may kill and start as it likes. It keeps nothing."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self._folder, self._options = folder, options
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [
                program("redis-server"),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
                *("--save", "", "--appendonly", "no", *self._options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers, "the server does not answer")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the server ended"
        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None


def program(name: str) -> str:
    """Return the path of a program of Redis."""
    folder = os.environ.get("PRAISON_TEST_REDIS_BIN")
    found = shutil.which(name, path=folder)
    if found is None:
        missing("PRAISON_TEST_REDIS_BIN", f"{name} was not found")
    return found


def until(condition: object, message: str, seconds: float = 30) -> None:
    """Wait until a function returns true."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.05)
