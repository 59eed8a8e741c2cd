"""Redis for tests: databases on the server that can be reached, and servers of one's own."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from praison_persist.testing.state_contract import Advance
from tests.servers import free_port, missing
from tests.services.process import OwnProcess

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


class OwnRedis(OwnProcess):
    """A Redis server that a test may kill and start as it likes. It keeps nothing."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        super().__init__()
        self._folder, self._options = folder, options
        self.port = port or free_port()

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run(
            [
                program("redis-server"),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
                *("--save", "", "--appendonly", "no", *self._options),
            ]
        )
        self._wait_until(self._answers)

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


def program(name: str) -> str:
    """Return the path of a program of Redis."""
    folder = os.environ.get("PRAISON_TEST_REDIS_BIN")
    found = shutil.which(name, path=folder)
    if found is None:
        missing("PRAISON_TEST_REDIS_BIN", f"{name} was not found")
    return found


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    """Yield a server that runs."""
    server = OwnRedis(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
