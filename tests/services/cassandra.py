"""A fake of an Apache Cassandra 5 node: the native protocol v4, and the CQL of a knowledge store.

cassandra.apache.org, "CQL binary protocol v4". Not imitated: several nodes, consistency levels,
tombstones, approximate indexes. Types are encoded as custom types, by the names of their classes.
"""

from __future__ import annotations

import hashlib
import math
import operator
import re
import socketserver
import struct
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cassandra.cqltypes import lookup_casstype

__all__ = ["PASSWORD", "USER", "Cassandra"]

USER, PASSWORD = "user", "the-password"

_HEADER = struct.Struct(">BBhBI")
_ERROR, _STARTUP, _READY, _AUTHENTICATE, _OPTIONS, _SUPPORTED = 0, 1, 2, 3, 5, 6
_QUERY, _RESULT, _PREPARE, _EXECUTE, _REGISTER, _LOGIN, _LOGGED_IN = 7, 8, 9, 10, 11, 15, 16
_PROTOCOL, _BAD_LOGIN, _OVERLOADED, _SYNTAX, _INVALID, _UNPREPARED = (
    0x0A,
    0x100,
    0x1001,
    0x2000,
    0x2200,
    0x2500,
)
_VOID = struct.pack(">i", 1)
_NEAREST_MAX = 1000
_NAME = r'"(\w+)"\."(\w+)"'
_SIMPLE = {
    "text": "UTF8Type",
    "int": "Int32Type",
    "double": "DoubleType",
    "boolean": "BooleanType",
    "set<text>": "SetType(UTF8Type)",
    "uuid": "UUIDType",
    "inet": "InetAddressType",
}


class _RefusedError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class _Table:
    columns: dict[str, str]  # the first is the primary key
    indexes: dict[str, str] = field(default_factory=dict)  # column: similarity
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class _Rows:
    columns: list[tuple[str, str]]
    rows: list[list[Any]]
    state: bytes = b""


@dataclass
class _Statement:
    """A prepared statement: the types of its values, and what it does with values and paging."""

    types: list[str]
    run: Callable[[list[Any], int, bytes], _Rows | None]


class Cassandra:
    """A node on a port of its own, served by threads. The keyspace "praisonai" exists.

    Attributes:
        failing: how many of the next requests are answered that the node is overloaded.
    """

    def __init__(self) -> None:
        self.failing = 0
        self.lock = threading.RLock()
        self.prepared: dict[bytes, str] = {}
        self.keyspaces: dict[str, dict[str, _Table]] = {}
        self.empty()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        port: int = self._server.server_address[1]
        return port

    def empty(self) -> None:
        """Delete all tables."""
        with self.lock:
            self.failing = 0
            self.keyspaces = {"praisonai": {}}

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def parse(self, text: str) -> _Statement:
        """Return a statement."""
        kinds = (
            ("SELECT", self._select),
            ("INSERT", self._insert),
            ("DELETE", self._delete),
        )
        for word, kind in kinds:
            if text.startswith(word):
                return kind(text)
        return _Statement([], lambda *_: self._define(text))

    def _table(self, keyspace: str, name: str) -> _Table:
        if keyspace not in self.keyspaces:
            raise _RefusedError(_INVALID, f"keyspace {keyspace} does not exist")
        table = self.keyspaces[keyspace].get(name)
        if table is None:
            raise _RefusedError(_INVALID, f"table {name} does not exist")
        return table

    def _define(self, text: str) -> None:
        if found := re.match(r'CREATE KEYSPACE IF NOT EXISTS "(\w+)" WITH replication = ', text):
            self.keyspaces.setdefault(found[1], {})
        elif found := re.match(rf"CREATE TABLE IF NOT EXISTS {_NAME} \((.+)\)$", text):
            if found[1] not in self.keyspaces:
                raise _RefusedError(_INVALID, f"Keyspace '{found[1]}' does not exist")
            if len(found[2]) > 48:
                raise _RefusedError(_INVALID, "Table names shouldn't be more than 48 characters")
            parts = re.findall(r"(\w+) ((?:vector|set)<[^>]+>|\w+)", found[3])
            columns = {name: kind for name, kind in parts if name != "PRIMARY"}
            self.keyspaces[found[1]].setdefault(found[2], _Table(columns))
        elif found := re.match(
            rf"CREATE CUSTOM INDEX IF NOT EXISTS \"(\w+)\" ON {_NAME} \((\w+)\) "
            r"USING 'StorageAttachedIndex'(?: WITH OPTIONS = \{'similarity_function': '(\w+)'\})?$",
            text,
        ):
            table = self._table(found[2], found[3])
            _column(table, found[4])
            table.indexes.setdefault(found[4], found[5] or "")
        elif found := re.match(rf"DROP TABLE IF EXISTS {_NAME}$", text):
            self.keyspaces.get(found[1], {}).pop(found[2], None)
        else:
            raise _RefusedError(_SYNTAX, f"line 1:0 no viable alternative at input '{text[:30]}'")

    def _insert(self, text: str) -> _Statement:
        found = re.match(rf"INSERT INTO {_NAME} \((.+)\) VALUES \([?, ]+\)( IF NOT EXISTS)?$", text)
        if found is None:
            raise _RefusedError(_SYNTAX, "line 1:12 no viable alternative")
        table, names = self._table(found[1], found[2]), found[3].split(", ")
        types = [_column(table, name) for name in names]

        def run(values: list[Any], _size: int, _state: bytes) -> _Rows | None:
            row = dict(zip(names, values, strict=True))
            if found[4] and row[names[0]] in table.rows:
                return _Rows([("[applied]", "boolean")], [[False]])
            table.rows[row[names[0]]] = row
            return _Rows([("[applied]", "boolean")], [[True]]) if found[4] else None

        return _Statement(types, run)

    def _delete(self, text: str) -> _Statement:
        found = re.match(rf"DELETE FROM {_NAME} WHERE (\w+) = \?( IF EXISTS)?$", text)
        if found is None:
            raise _RefusedError(_SYNTAX, "line 1:12 no viable alternative")
        table = self._table(found[1], found[2])

        def run(values: list[Any], _size: int, _state: bytes) -> _Rows | None:
            gone = table.rows.pop(values[0], None)
            return _Rows([("[applied]", "boolean")], [[gone is not None]]) if found[4] else None

        return _Statement([_column(table, found[3])], run)

    def _select(self, text: str) -> _Statement:
        if found := re.match(r"SELECT (.+) FROM system\.(local|peers|peers_v2)\b", text):
            if found[2] == "peers_v2":
                raise _RefusedError(_INVALID, "unconfigured table peers_v2")
            peers = found[2] == "peers"
            return _Statement([], lambda *_: _local(peers=peers))
        found = re.match(
            rf"SELECT (.+) FROM {_NAME}(?: WHERE (\w+) (=|CONTAINS) \?)?"
            r"(?: ORDER BY (\w+) ANN OF \? LIMIT \?)?$",
            text,
        )
        if found is None:
            raise _RefusedError(_SYNTAX, "line 1:7 no viable alternative")
        table = self._table(found[2], found[3])
        columns = [(name, _column(table, name)) for name in found[1].split(", ")]
        types: list[str] = []
        if found[4]:
            kind = _column(table, found[4])
            if found[4] != next(iter(table.columns)) and found[4] not in table.indexes:
                raise _RefusedError(_INVALID, "... use ALLOW FILTERING")
            types.append("text" if found[5] == "CONTAINS" else kind)
        if found[6]:
            types += [_column(table, found[6]), "int"]
            if found[6] not in table.indexes:
                raise _RefusedError(_INVALID, "ANN ordering by vector requires an index")

        def run(values: list[Any], size: int, state: bytes) -> _Rows:
            rows = [table.rows[key] for key in sorted(table.rows)]
            if found[5] == "=":
                rows = [row for row in rows if row[found[4]] == values[0]]
            elif found[5] == "CONTAINS":
                rows = [row for row in rows if values[0] in (row[found[4]] or ())]
            more = b""
            if found[6]:
                rows = _nearest(table.indexes[found[6]], rows, found[6], *values[-2:])
            else:
                key = next(iter(table.columns))
                rows = [row for row in rows if row[key] > state.decode()]
                if 0 < size < len(rows):
                    rows = rows[:size]
                    more = rows[-1][key].encode()
            return _Rows(columns, [[row[name] for name, _ in columns] for row in rows], more)

        return _Statement(types, run)


def _nearest(
    similarity: str, rows: list[dict[str, Any]], column: str, vector: list[float], limit: int
) -> list[dict[str, Any]]:
    if limit > _NEAREST_MAX:
        raise _RefusedError(
            _INVALID, "Use of ANN OF in an ORDER BY clause requires a LIMIT not greater than 1000"
        )

    def far(row: dict[str, Any]) -> float:
        if similarity == "euclidean":
            return math.dist(row[column], vector)
        dot: float = sum(map(operator.mul, row[column], vector))
        return -dot / (math.hypot(*row[column]) * math.hypot(*vector))

    return sorted(rows, key=far)[:limit]


def _column(table: _Table, name: str) -> str:
    if name not in table.columns:
        raise _RefusedError(_INVALID, f"Undefined column name {name}")
    return table.columns[name]


def _local(*, peers: bool) -> _Rows:
    row = {
        "key": ("text", "local"),
        "cluster_name": ("text", "fake"),
        "data_center": ("text", "dc1"),
        "rack": ("text", "r1"),
        "release_version": ("text", "5.0.2"),
        "partitioner": ("text", "org.apache.cassandra.dht.Murmur3Partitioner"),
        "tokens": ("set<text>", {"0"}),
        "host_id": ("uuid", uuid.UUID(int=1)),
        "schema_version": ("uuid", uuid.UUID(int=2)),
        "rpc_address": ("inet", "127.0.0.1"),
    }
    columns = [(name, kind) for name, (kind, _) in row.items()]
    return _Rows(columns, [] if peers else [[value for _, value in row.values()]])


def _class(kind: str) -> str:
    if found := re.match(r"vector<float, (\d+)>", kind):
        prefix = "org.apache.cassandra.db.marshal."
        return f"{prefix}VectorType({prefix}FloatType, {found[1]})"
    return _SIMPLE[kind]


def _packed(kind: str, value: Any) -> bytes:
    if value is None:
        return struct.pack(">i", -1)
    codec: Any = lookup_casstype(_class(kind))
    data: bytes = codec.to_binary(value, 4)
    return struct.pack(">i", len(data)) + data


def _unpacked(kind: str, data: bytes) -> Any:
    if (found := re.match(r"vector<float, (\d+)>", kind)) and len(data) != 4 * int(found[1]):
        raise _RefusedError(_INVALID, f"Expected vector of {found[1]} elements")
    codec: Any = lookup_casstype(_class(kind))
    return codec.from_binary(data, 4)


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def _columns(columns: list[tuple[str, str]]) -> bytes:
    parts = (_text(name) + struct.pack(">H", 0) + _text(_class(kind)) for name, kind in columns)
    return b"".join(parts)


def _result(rows: _Rows | None) -> bytes:
    if rows is None:
        return _VOID
    flags = 1 | (2 if rows.state else 0)
    head = struct.pack(">iii", 2, flags, len(rows.columns))
    if rows.state:
        head += struct.pack(">i", len(rows.state)) + rows.state
    values = (
        _packed(kind, value)
        for row in rows.rows
        for (_, kind), value in zip(rows.columns, row, strict=True)
    )
    table = _text("fake") + _text("fake")
    return (
        head + table + _columns(rows.columns) + struct.pack(">i", len(rows.rows)) + b"".join(values)
    )


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, cassandra: Cassandra) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cassandra = cassandra


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True  # answers to several at once would wait for a delayed ACK

    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        self._cassandra = self.server.cassandra
        try:
            while len(header := self.rfile.read(_HEADER.size)) == _HEADER.size:
                version, _, stream, code, size = _HEADER.unpack(header)
                body = self.rfile.read(size)
                try:
                    with self._cassandra.lock:
                        answer, data = self._answer(version, code, body)
                except _RefusedError as error:
                    answer, data = _ERROR, struct.pack(">i", error.code) + _text(str(error))
                self.wfile.write(_HEADER.pack(0x84, 0, stream, answer, len(data)) + data)
        except ConnectionError:
            return

    def _answer(self, version: int, code: int, body: bytes) -> tuple[int, bytes]:
        if version != 4:
            raise _RefusedError(_PROTOCOL, "Invalid or unsupported protocol version")
        if code == _OPTIONS:
            one, none = struct.pack(">H", 1), struct.pack(">H", 0)
            versions = _text("CQL_VERSION") + one + _text("3.4.7")
            return _SUPPORTED, struct.pack(">H", 2) + versions + _text("COMPRESSION") + none
        if code == _STARTUP:
            return _AUTHENTICATE, _text("org.apache.cassandra.auth.PasswordAuthenticator")
        if code == _LOGIN:
            if body[4:] != f"\0{USER}\0{PASSWORD}".encode():
                raise _RefusedError(_BAD_LOGIN, "Provided username and/or password are incorrect")
            return _LOGGED_IN, struct.pack(">i", -1)
        if code == _REGISTER:
            return _READY, b""
        if code == _PREPARE:
            return _RESULT, self._prepare(body[4:].decode())
        if self._cassandra.failing:
            self._cassandra.failing -= 1
            raise _RefusedError(_OVERLOADED, "Too many requests")
        if code == _QUERY:
            (length,) = struct.unpack_from(">i", body)
            return _RESULT, self._run(body[4 : 4 + length].decode(), body[4 + length :])
        if code == _EXECUTE:
            digest = body[2:18]
            if digest not in self._cassandra.prepared:
                data = struct.pack(">i", _UNPREPARED) + _text("unprepared") + body[:18]
                return _ERROR, data
            return _RESULT, self._run(self._cassandra.prepared[digest], body[18:])
        raise _RefusedError(_PROTOCOL, f"unknown code {code}")

    def _prepare(self, text: str) -> bytes:
        statement = self._cassandra.parse(text)
        digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
        self._cassandra.prepared[digest] = text
        columns = [(f"c{number}", kind) for number, kind in enumerate(statement.types)]
        return (
            struct.pack(">iH", 4, len(digest))
            + digest
            + struct.pack(">iii", 1, len(columns), 0)
            + _text("fake")
            + _text("fake")
            + _columns(columns)
            + struct.pack(">ii", 4, 0)
        )

    def _run(self, text: str, parameters: bytes) -> bytes:
        statement = self._cassandra.parse(text)
        flags, at = parameters[2], 3
        values: list[Any] = []
        if flags & 0x01:
            (number,) = struct.unpack_from(">H", parameters, at)
            at += 2
            for kind in statement.types[:number]:
                (length,) = struct.unpack_from(">i", parameters, at)
                at += 4
                data = parameters[at : at + max(length, 0)]
                at += max(length, 0)
                values.append(None if length < 0 else _unpacked(kind, data))
        size, state = 0, b""
        if flags & 0x04:
            (size,) = struct.unpack_from(">i", parameters, at)
            at += 4
        if flags & 0x08:
            (length,) = struct.unpack_from(">i", parameters, at)
            state = parameters[at + 4 : at + 4 + length]
        return _result(statement.run(values, size, state))
