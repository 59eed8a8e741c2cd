"""A stand-in for CockroachDB: a proxy before PostgreSQL that differs from it where that does.

It is PostgreSQL in all that is not named here; it is no proof that CockroachDB takes a statement.

* It reports `crdb_version`, and `version()` is CockroachDB's.
* Every transaction is serializable, so that PostgreSQL's own 40001 come.
* A number in text has 15 digits unless a client asks for more.
* DDL is refused in a transaction, as are advisory locks, LISTEN, NOTIFY, LOCK, DO and COLLATE "C".
* `json` in DDL is `jsonb`, and CONCURRENTLY no word.
* The answer to a COMMIT can be an error: 40001, or 40003, "result is ambiguous". So can that to any
  other statement.

PostgreSQL manual, 55.7, "Message Formats".
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from tests.proxying import TcpProxy, Ways

VERSION = "CockroachDB CCL v25.2.0 (x86_64-pc-linux-gnu, built 2025/05/09 13:45:53, go1.23.7)"
RETRY = "40001", "restart transaction: TransactionRetryWithProtoRefreshError"
AMBIGUOUS = "40003", "result is ambiguous: error=rpc error [exhausted]"

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_SETTINGS = "-c default_transaction_isolation=serializable -c extra_float_digits=0"

_DDL = re.compile(r"\s*(CREATE|ALTER|DROP|TRUNCATE)\b", re.IGNORECASE)
_WRITE = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_COMMIT = re.compile(r"\s*(COMMIT|END)\b", re.IGNORECASE)
_VERSION_CALL = re.compile(r"(pg_catalog\.)?\bversion\(\)", re.IGNORECASE)
_ADVISORY = re.compile(r"\bpg_(?:try_)?advisory\w*", re.IGNORECASE)
_JSON = re.compile(r"\bJSON\b", re.IGNORECASE)
_CONCURRENTLY = re.compile(r"\bINDEX CONCURRENTLY\b", re.IGNORECASE)
_LEVEL = re.compile(r"\bREPEATABLE READ\b", re.IGNORECASE)
_REFUSED = (
    (re.compile(r"\s*(LISTEN|NOTIFY|UNLISTEN|LOCK|DO)\b", re.IGNORECASE), "0A000", "unimplemented"),
    (re.compile(r"\bCOLLATE\s+\"C\"", re.IGNORECASE), "42601", "invalid locale C"),
)


@dataclass
class _Fault:
    """What the COMMIT of a transaction that wrote is answered with, after `after` others."""

    code: str
    message: str
    committed: bool
    after: int


@dataclass
class _Session:
    """One connection of a client.

    Attributes:
        status: as the server last said: b"I" idle, b"T" in a transaction, b"E" in a failed one.
        wrote: in the present transaction.
        texts: name of a prepared statement -> its text.
        fault: which the next answer is replaced by.
    """

    client: socket.socket
    server: socket.socket
    status: bytes = b"I"
    wrote: bool = False
    greeted: bool = False
    changes_schema: bool = False
    texts: dict[bytes, str] = field(default_factory=dict)
    fault: _Fault | None = None


class Cockroach(TcpProxy):
    """Serves clients for as long as the context lasts.

    Args:
        url: of the PostgreSQL database behind it.
    """

    def __init__(self, url: str) -> None:
        self.behind = url
        behind = sa.make_url(url)
        super().__init__(behind.host or "127.0.0.1", behind.port or 5432)
        own = behind.set(drivername="cockroachdb", host="127.0.0.1", port=self.port)
        self.url: str = own.render_as_string(hide_password=False)
        self.commits: list[str] = []  # what each transaction that wrote was answered
        self.options: list[str] = []  # that clients asked for when they connected
        self._faults: list[_Fault] = []
        self._refused: list[tuple[str, str, str]] = []  # beginning of a statement, code, message
        # CREATE … IF NOT EXISTS has a race on PostgreSQL.
        self._schema_changes = threading.Lock()

    def fail_commit(
        self, error: tuple[str, str] = RETRY, *, committed: bool = False, after: int = 0
    ) -> None:
        """Answer the COMMIT of a transaction that wrote with an error, after `after` others."""
        with self.lock:
            self._faults.append(_Fault(*error, committed=committed, after=after))

    def refuse(self, beginning: str, error: tuple[str, str] = RETRY) -> None:
        """Answer the next statement that begins so with an error."""
        with self.lock:
            self._refused.append((beginning, *error))

    def ways(self, client: socket.socket, server: socket.socket) -> Ways:
        """Pass messages on as CockroachDB would take and give them."""
        session = _Session(client, server)
        reader = _Reader(client)
        server.sendall(self._greeting(session, reader))

        def to_server() -> None:
            for kind, body in reader.messages():
                server.sendall(_message(kind, self._asked(session, kind, body)))

        def to_client() -> None:
            try:
                for kind, body in _Reader(server).messages():
                    client.sendall(self._answered(session, kind, body))
            finally:
                self._settled(session)

        return to_server, to_client

    def _greeting(self, session: _Session, reader: _Reader) -> bytes:
        """Return what to send the server for the client's first message."""
        while True:
            body = reader.exactly(struct.unpack("!I", reader.exactly(4))[0] - 4)
            code = struct.unpack("!I", body[:4])[0]
            if code in (_SSL, _GSS):
                session.client.sendall(b"N")
                continue
            if code != _CANCEL:
                words = body[4:].rstrip(b"\0").decode().split("\0")
                asked = dict(zip(words[::2], words[1::2], strict=True))
                self.options.append(asked.get("options", ""))
                asked["options"] = _SETTINGS
                text = "".join(f"{key}\0{value}\0" for key, value in asked.items())
                body = body[:4] + text.encode() + b"\0"
            return struct.pack("!I", len(body) + 4) + body

    def _asked(self, session: _Session, kind: bytes, body: bytes) -> bytes:
        """Return a client's message as the server is to have it."""
        if kind == b"Q":
            text = body[:-1].decode()
            self._begins(session, text)
            return self._instead(session, text).encode() + b"\0"
        if kind == b"P":
            name, text_, rest = body.split(b"\0", 2)
            session.texts[name] = text_.decode()
            return b"\0".join([name, self._translated(session, text_.decode()).encode(), rest])
        if kind == b"B":
            self._begins(session, session.texts.get(body.split(b"\0", 2)[1], ""))
        return body

    def _begins(self, session: _Session, text: str) -> None:
        if _WRITE.match(text):
            session.wrote = True
        if _DDL.match(text) and not session.changes_schema:
            self._schema_changes.acquire()
            session.changes_schema = True

    def _instead(self, session: _Session, text: str) -> str:
        if not _COMMIT.match(text) or session.status != b"T" or not session.wrote:
            return self._translated(session, text)
        with self.lock:
            fault = self._faults[0] if self._faults else None
            if fault is not None and fault.after > 0:
                fault.after -= 1
            elif fault is not None:
                session.fault = self._faults.pop(0)
            self.commits.append(session.fault.code if session.fault else "")
        return "ROLLBACK" if session.fault and not session.fault.committed else text

    def _translated(self, session: _Session, text: str) -> str:
        with self.lock:
            for refused in self._refused:
                if text.lstrip().startswith(refused[0]):
                    self._refused.remove(refused)
                    return _refusal(*refused[1:])
        return _translated(session, text)

    def _answered(self, session: _Session, kind: bytes, body: bytes) -> bytes:
        """Return a server's message as the client is to have it."""
        if kind == b"C" and session.fault is not None:
            fault, session.fault = session.fault, None
            fields = (f"S{'ERROR'}", f"V{'ERROR'}", f"C{fault.code}", f"M{fault.message}", "")
            return _message(b"E", "\0".join(fields).encode() + b"\0")
        if kind == b"S" and body.startswith(b"server_version\0"):
            return _message(b"S", b"server_version\x0013.0.0\0")
        if kind == b"Z":
            session.status = body
            if body == b"I":
                session.wrote = False
            self._settled(session)
            if not session.greeted:
                session.greeted = True
                report = f"crdb_version\0{VERSION}\0".encode()
                return _message(b"S", report) + _message(kind, body)
        return _message(kind, body)

    def _settled(self, session: _Session) -> None:
        if session.changes_schema:
            session.changes_schema = False
            self._schema_changes.release()


class _Reader:
    """Reads messages; EOFError at the end."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rb")

    def exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        while True:
            kind, length = struct.unpack("!cI", self.exactly(5))
            yield kind, self.exactly(length - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _translated(session: _Session, text: str) -> str:
    for pattern, code, message in _REFUSED:
        if pattern.search(text) if pattern.pattern.startswith(r"\b") else pattern.match(text):
            return _refusal(code, message)
    if _DDL.match(text):
        if session.status != b"I":
            return _refusal("0A000", "schema change within a transaction")
        text = _CONCURRENTLY.sub("INDEX", _JSON.sub("JSONB", text))
    text = _VERSION_CALL.sub(f"'{VERSION}'::text", text)
    text = _ADVISORY.sub(r"unknown_\g<0>", text)  # 42883, as there
    return _LEVEL.sub("SERIALIZABLE", text)


def _refusal(code: str, message: str) -> str:
    """Return a statement that fails so."""
    raised = f"RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = '{message}'"
    return f"DO $refusal$ BEGIN {raised}; END $refusal$"
