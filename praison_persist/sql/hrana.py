"""A driver of libSQL servers, sqld and Turso's: what SQLAlchemy needs of PEP 249, over HTTP.

Written for this package because no client on PyPI can be used beside other threads: `libsql` and
`libsql-experimental` hold the interpreter's lock while they wait for the server, without a limit,
which stops every thread and event loop of the process; they report errors without their codes,
and bind integers above 32 bits as floats.

The protocol is Hrana 3 over HTTP: github.com/tursodatabase/libsql, docs/HRANA_3_SPEC.md. A
*stream* is a connection of the server; requests go on with it by its *baton*. Here a stream lives
as long as a transaction: sqld ends one after ten seconds without a request. Rows are asked for with
a *cursor*, whose answer has no limit of size; that of a *pipeline* has.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import selectors
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["Connection", "Cursor", "connect"]

apilevel: Final = "2.0"
threadsafety: Final = 1
paramstyle: Final = "qmark"
# What libSQL servers are at least; SQLAlchemy chooses its statements by it.
sqlite_version: Final = "3.43.0"
sqlite_version_info: Final = (3, 43, 0)

_LEAST = -(2**63)
_TOO_MANY, _INTERNAL = 429, 500
_SHOWN = 200  # characters of an answer that is not the protocol's


class Error(Exception):
    """What went wrong.

    Attributes:
        hrana_code: the server's code, such as SQLITE_BUSY; empty where it gave none.
        lost: the stream, and with it the transaction, is gone.
    """

    def __init__(self, message: str, code: str = "", *, lost: bool = False) -> None:
        super().__init__(message)
        self.hrana_code = code
        self.lost = lost


class InterfaceError(Error):
    """The connection was used wrongly, after its end for example."""


class DatabaseError(Error):
    """The server refused."""


class DataError(DatabaseError):
    """A value that the protocol cannot carry."""


class OperationalError(DatabaseError):
    """The server cannot be reached, is busy, or ended the transaction."""


class IntegrityError(DatabaseError):
    """A constraint failed."""


class InternalError(DatabaseError):
    """The server answered what is not the protocol."""


class ProgrammingError(DatabaseError):
    """A statement that cannot be right."""


Binary = bytes  # PEP 249's name for what makes a blob

_PROGRAMMING = ("SQL_", "ARGS_")
_UNPARSED = "SQL string could not be parsed"
_TOO_LARGE = "string or blob too big"  # SQLite's own words; sqld's limit of a row is 5 MiB
_LOST = frozenset({"STREAM_EXPIRED", "TRANSACTION_TIMEOUT", "TRANSACTION_BUSY"})


def _error(error: dict[str, Any]) -> Error:
    """Return the exception for an error of the protocol."""
    code, message = str(error.get("code") or ""), str(error.get("message", error))
    if _TOO_LARGE in message:
        return DataError(message, code)
    if code.startswith("SQLITE_CONSTRAINT"):
        return IntegrityError(message, code)
    if code.startswith(_PROGRAMMING):
        return ProgrammingError(message, code)
    return OperationalError(message, code, lost=code in _LOST)


class Connection:
    """A connection. Not to be used by two threads at once.

    Attributes:
        isolation_level: how a transaction is begun where nobody said BEGIN; None: not at all.
    """

    def __init__(self, http: HTTPConnection, limits: _Limits, token: str | None) -> None:
        self.isolation_level: str | None = "DEFERRED"
        self._http, self._limits = http, limits
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._baton: str | None = None
        self._elsewhere: HTTPConnection | None = None  # of this stream, where the server says so
        self._settings: dict[str, str] = {}
        self._begin: str | None = None
        self._lost = False  # a transaction, and nobody has rolled it back yet
        self._used = self._closed = False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun."""
        return self._baton is not None or self._begin is not None

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Run a statement on a new cursor, as sqlite3 does."""
        cursor = self.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def commit(self) -> None:
        """End the transaction; what it wrote is kept when this returns."""
        if self._lost:
            raise OperationalError("The transaction was lost before its end", lost=True)
        self._begin = None
        if self._baton is not None:
            self._batch([{"sql": "COMMIT"}], close=True)

    def rollback(self) -> None:
        """End the transaction; nothing of it is kept."""
        self._begin = None
        try:
            if self._baton is not None:
                # Where the server has rolled back already, the statement fails, which is as well.
                rollback = {"type": "batch", "batch": _batched([{"sql": "ROLLBACK"}])}
                self._pipeline([rollback, {"type": "close"}])
        finally:
            self._lost = False

    def close(self) -> None:
        """End the connection; an open transaction is rolled back."""
        if not self._closed:
            with contextlib.suppress(Error):
                self.rollback()
            self._closed = True
            self._http.close()

    def run(self, sql: str, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """Run a statement with each row of parameters. Return the results that the server gave."""
        if self._closed:
            raise InterfaceError("The connection is closed", lost=True)
        word = sql.lstrip()[:8].upper()
        if word.startswith("BEGIN"):
            self._begin = sql  # sent along with the next statement
            return [{}]
        if self._lost:
            raise OperationalError("The transaction was lost; roll it back", lost=True)
        if word.startswith("PRAGMA") and "=" in sql and not self.in_transaction:
            self._settings[sql.partition("=")[0]] = sql
            return [{}]
        if self.isolation_level is not None and not self.in_transaction:
            self._begin = f"BEGIN {self.isolation_level}"
        prelude = [] if self._baton else [*self._settings.values(), *filter(None, [self._begin])]
        steps: list[dict[str, Any]] = [{"sql": text} for text in prelude]
        steps += [{"sql": sql, "args": [_encoded(value) for value in row]} for row in rows]
        lasting = self.in_transaction
        self._begin = None
        return self._batch(steps, close=not lasting)[len(prelude) :]

    def _batch(self, statements: list[dict[str, Any]], *, close: bool) -> list[dict[str, Any]]:
        """Run statements one after the other, up to the first that fails."""
        if not close:
            return self._cursor(_batched(statements))
        batch = {"type": "batch", "batch": _batched(statements)}
        result = self._pipeline([batch, {"type": "close"}])[0]["result"]
        for error in result["step_errors"]:
            if error is not None:
                raise _error(error)
        found: list[dict[str, Any]] = result["step_results"]
        return found

    def _cursor(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        self._lost = True  # until the whole answer is there
        _head, *entries = self._send("cursor", {"batch": batch})
        results: list[dict[str, Any]] = []
        for entry in entries:
            match entry["type"]:
                case "step_begin":
                    results.append({"cols": entry["cols"], "rows": []})
                case "row":
                    results[-1]["rows"].append(entry["row"])
                case "step_end":
                    results[-1] |= entry
                case "step_error" | "error":
                    error = _error(entry["error"])
                    self._lost = error.lost
                    raise error
        self._lost = False
        return results

    def _pipeline(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._lost = self._baton is not None  # as above
        results = self._send("pipeline", {"requests": requests})[0]["results"]
        for result in results:
            if result["type"] != "ok":
                raise _error(result["error"])
        self._lost = False
        return [result["response"] for result in results]

    def _send(self, kind: str, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Go on with the stream, or begin one. Return the objects of the answer."""
        body = json.dumps({"baton": self._baton, **request}).encode()
        fresh, self._baton = self._baton is None, None
        status, answer = self._post(f"/v3/{kind}", body, fresh=fresh)
        if status != 200:  # noqa: PLR2004 - HTTP's OK
            raise _refusal(status, answer, fresh=fresh)
        try:
            entries: list[dict[str, Any]] = [json.loads(line) for line in answer.splitlines()]
            self._baton, base_url = entries[0]["baton"], entries[0].get("base_url")
        except (ValueError, LookupError, TypeError, AttributeError):
            what = f"The server does not speak Hrana 3; it answered {answer[:_SHOWN]!r}"
            raise InternalError(what, lost=True) from None
        self._follow(base_url if self._baton else None)
        return entries

    def _post(self, path: str, body: bytes, *, fresh: bool) -> tuple[int, bytes]:
        http = self._elsewhere or self._http
        try:
            if fresh and self._used and http.sock is not None and _ended(http):
                http.close()  # the next request connects again
            self._used = True
            http.request("POST", path, body, self._headers)
            response = http.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException) as error:
            http.close()
            self._follow(None)
            text = str(error) or type(error).__name__
            raise OperationalError(f"The connection failed: {text}", lost=True) from error

    def _follow(self, base_url: str | None) -> None:
        """Send what comes next to where the server wants the rest of the stream."""
        if base_url is None:
            if self._elsewhere is not None:
                self._elsewhere.close()
            self._elsewhere = None
        elif self._elsewhere is None:
            parts = urlsplit(base_url)
            tls = isinstance(self._http, HTTPSConnection)
            port = parts.port or self._http.default_port
            if (parts.hostname, port) == (self._http.host, self._http.port):
                return
            if parts.hostname is None or (tls and parts.scheme != "https"):
                raise OperationalError("The server names a place without TLS", lost=True)
            self._elsewhere = _http(parts.hostname, port, tls=tls, limits=self._limits)


def _batched(statements: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the batch that runs statements up to the first that fails."""
    steps: list[dict[str, Any]] = [{"stmt": statement} for statement in statements]
    for index, step in enumerate(steps[1:]):
        step["condition"] = {"type": "ok", "step": index}
    return {"steps": steps}


def _refusal(status: int, answer: bytes, *, fresh: bool) -> Error:
    """Return the exception for an HTTP status that is not OK."""
    text = answer.decode(errors="replace")
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = {}
    if isinstance(parsed, dict) and parsed.get("code"):
        return _error(parsed)
    told = parsed.get("error") if isinstance(parsed, dict) else None
    message = f"HTTP {status}: {str(told or text)[:_SHOWN]}"
    if _UNPARSED in message:  # a statement that the server does not allow: HTTP 500
        return ProgrammingError(message, "SQL_PARSE_ERROR")
    if status in (_TOO_MANY, 408) or status >= _INTERNAL or not fresh:
        # A server that was started again does not know the batons of before.
        return OperationalError(message, lost=True)
    return OperationalError(message, f"HTTP_{status}")


def _ended(http: HTTPConnection) -> bool:
    """Whether the server has closed a connection that waits for no answer."""
    with selectors.DefaultSelector() as selector:
        selector.register(http.sock, selectors.EVENT_READ)
        return bool(selector.select(0))


class Cursor:
    """A cursor. Its rows are there when `execute` returns."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self._rows: Iterator[tuple[Any, ...]] = iter(())

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement."""
        result = self.connection.run(sql, [parameters])[-1]
        columns = result.get("cols", ())
        self.description = [(column["name"],) + (None,) * 6 for column in columns] or None
        self.rowcount = -1 if self.description else result.get("affected_row_count", -1)
        self.lastrowid = int(result.get("last_insert_rowid") or 0) or None
        self._rows = iter([tuple(map(_decoded, row)) for row in result.get("rows", ())])

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement with each row of parameters, in one request."""
        results = self.connection.run(sql, rows)
        self.description, self._rows = None, iter(())
        self.rowcount = sum(result.get("affected_row_count", 0) for result in results)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Return the next rows."""
        return list(islice(self._rows, size or self.arraysize))

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all further rows."""
        return list(self._rows)

    def close(self) -> None:
        """Forget the rows."""
        self._rows = iter(())

    def setinputsizes(self, sizes: Any) -> None:
        """Do nothing, as PEP 249 allows."""

    def setoutputsize(self, size: Any, column: Any = None) -> None:
        """Do nothing, as PEP 249 allows."""


def _encoded(value: Any) -> dict[str, Any]:
    if value is None:
        return {"type": "null"}
    if isinstance(value, int):
        if not _LEAST <= value < -_LEAST:
            raise DataError("An integer does not fit into 64 bits")
        return {"type": "integer", "value": str(int(value))}
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DataError(f"Hrana cannot carry the number {value}")
        return {"type": "float", "value": value}
    if isinstance(value, str):
        if not value.isascii():
            _check_encodable(value)
        return {"type": "text", "value": value}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"type": "blob", "base64": base64.b64encode(value).decode()}
    raise InterfaceError(f"A parameter of type {type(value).__name__} cannot be bound")


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError("A text with a lone surrogate is not Unicode") from None


def _decoded(value: dict[str, Any]) -> Any:
    match value["type"]:
        case "integer":
            return int(value["value"])
        case "blob":
            padded = value["base64"] + "=" * (-len(value["base64"]) % 4)
            return base64.b64decode(padded)
        case _:
            return value.get("value")


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class _Limits:
    """Seconds that connecting may take, and that a server may be silent afterwards."""

    connect_s: float
    answer_s: float


def _http(host: str, port: int | None, *, tls: bool, limits: _Limits) -> HTTPConnection:
    made: HTTPConnection
    # Without a port, the last part of an IPv6 address would be taken for it.
    if tls:
        port = port or HTTPSConnection.default_port
        made = HTTPSConnection(host, port, timeout=limits.connect_s, context=_context())
    else:
        port = port or HTTPConnection.default_port
        made = HTTPConnection(host, port, timeout=limits.connect_s)
    connected = made.connect

    def connect_and_limit() -> None:
        connected()
        made.sock.settimeout(limits.answer_s)

    made.connect = connect_and_limit  # type: ignore[method-assign]  # for both classes at once
    return made


def connect(
    host: str,
    port: int | None = None,
    *,
    auth_token: str | None = None,
    tls: bool = True,
    connect_timeout: float = 10,
    timeout: float = 60,
) -> Connection:
    """Connect to a server.

    Args:
        host: its name. The databases of one server differ in it.
        port: None is that of HTTPS, or of HTTP.
        auth_token: a JWT.
        tls: encrypt, and verify the server.
        connect_timeout: seconds to wait for the connection.
        timeout: seconds that the server may be silent while an answer is waited for.

    Raises:
        OperationalError: it cannot be reached.
    """
    limits = _Limits(connect_timeout, timeout)
    http = _http(host, port, tls=tls, limits=limits)
    try:
        http.connect()
    except OSError as error:
        raise OperationalError(f"The connection failed: {error}", lost=True) from error
    return Connection(http, limits, auth_token)
