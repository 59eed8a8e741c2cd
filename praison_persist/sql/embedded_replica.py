"""An embedded replica: a local file that libSQL's own client keeps equal to a server's database.

That client runs in a process of its own, `replica_process`: while it waits for the server it stops
every thread of its interpreter, without a limit, and two libraries of SQLite in one process break
each other's file locks (sqlite.org/howtocorrupt.html, 2.2.1). This process only reads the file.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from praison_persist.errors import ConfigurationError, MissingDependencyError

__all__ = ["EmbeddedReplica"]

_SYNC_TIMEOUT_S = 60  # of which the client's own retries take some
_END_TIMEOUT_S = 10


class EmbeddedReplica:
    """Keeps a file up to date, when told to. Shared by threads; of one process at a time.

    Args:
        path: the file. Beside it there are others, whose names begin with its name.
        server: its URL, of http or https.
        auth_token: a JWT; it is handed over where no other process can see it.

    Raises:
        MissingDependencyError: libSQL's client is not installed.
    """

    def __init__(self, path: Path, server: str, auth_token: str | None) -> None:
        if find_spec("libsql_experimental") is None:
            raise MissingDependencyError(
                "No client for embedded replicas is installed (libsql-experimental). "
                "Install it: pip install 'praison-persist[turso]'"
            )
        self.path = path
        self._request = {"path": str(path), "url": server, "auth_token": auth_token or ""}
        import filelock  # noqa: PLC0415 - takes a while, and is for those who keep a replica

        self._timeout = filelock.Timeout
        self._guard = filelock.FileLock(f"{path}.lock", timeout=0, thread_local=False)
        self._lock = threading.Lock()
        self._client: _Client | None = None
        self._pid = os.getpid()
        self._begun = self._done = 0  # synchronisations

    def sync(self) -> str | None:
        """Let the file hold all that was committed before the call. Return why it does not.

        Raises:
            ConfigurationError: another store or process keeps this file.
        """
        wanted = self._begun + 1  # one that has begun already may have read before our commit
        with self._lock:
            if self._done >= wanted:
                return None
            self._begun += 1
            failure = self._tried()
            if failure is None:
                self._done = self._begun
            return failure

    def _tried(self) -> str | None:
        if os.getpid() != self._pid:
            return "it belongs to the process that this one was forked from"
        try:
            if self._client is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._guard.acquire()
                self._client = _Client(self._request)
            failure = self._client.sync()
        except self._timeout:
            raise ConfigurationError(
                f"The embedded replica {self.path} is kept by another store or process; "
                "give each process a local_path of its own"
            ) from None
        except OSError as error:
            failure = f"its client cannot be started: {error}"
        if failure is not None:
            self._end()
        return failure

    def close(self) -> None:
        """End the client; the file stays."""
        if os.getpid() == self._pid:
            with self._lock:
                self._end()

    def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.end()
        self._guard.release()


class _Client:
    """The process with libSQL's client."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._token = request["auth_token"]
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and a file of this package
            [sys.executable, "-P", Path(__file__).with_name("replica_process.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process
        )
        self._listener = threading.Thread(target=self._listen, name="praison-replica", daemon=True)
        self._listener.start()
        self._tell(json.dumps(request))

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(ValueError):  # closed meanwhile
            for line in self._process.stdout:
                self._answers.put(line)
        self._answers.put("")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError):  # it has ended, which _listen sees
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()

    def sync(self) -> str | None:
        """Return what went wrong, in the client's words without the token."""
        self._tell("sync")
        try:
            answer = self._answers.get(timeout=_SYNC_TIMEOUT_S)
        except queue.Empty:
            return f"the server did not answer in {_SYNC_TIMEOUT_S} s"
        if not answer:
            return "its client ended"
        failure: str | None = json.loads(answer)
        return failure.replace(self._token, "***") if failure and self._token else failure

    def end(self) -> None:
        """End the process."""
        self._process.kill()  # what it had not committed to the file, it asks for again
        self._process.wait(_END_TIMEOUT_S)
        self._listener.join(_END_TIMEOUT_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
