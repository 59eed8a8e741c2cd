"""RediSearch in front of a real Redis: the commands FT.* are answered here, all others passed on.

redis.io, "FT.CREATE", "FT.SEARCH", "FT.DROPINDEX", "FT.INFO". An index is looked up in the hashes
themselves, one by one. Errors are worded as RediSearch 2.10 words them.
"""

from __future__ import annotations

import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from types import TracebackType
from typing import Any, BinaryIO, Self

import redis

from tests.services.redisearch_query import QueryError, parse, words

_KNN = re.compile(r"(?s)(.*)=>\s*\[KNN\s+(\d+)\s+@(\w+)\s+\$(\w+)(?:\s+AS\s+(\w+))?\]$")


@dataclass
class _Index:
    prefixes: list[str]
    kinds: dict[str, str] = field(default_factory=dict)
    vectors: dict[str, dict[str, str]] = field(default_factory=dict)


class RediSearch:
    """The server, on a port of its own, for as long as the context lasts.

    Attributes:
        searches: the arguments of FT.SEARCH that were asked.
        failing: errors to answer the next FT.SEARCH with instead.
    """

    def __init__(self, redis_url: str) -> None:
        self.redis: Any = redis.Redis.from_url(redis_url, protocol=2)
        settings = self.redis.connection_pool.connection_kwargs
        self.behind = (settings["host"], settings["port"])
        self.db: int = settings.get("db", 0)
        self.searches: list[list[bytes]] = []
        self.failing: list[str] = []
        self._indexes: dict[str, _Index] = {}
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.redis.close()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"redis://127.0.0.1:{self._server.server_address[1]}/{self.db}"

    def answer(self, command: list[bytes]) -> Any:
        """Return the reply to a command FT.*, as RESP2 has it."""
        name, arguments = command[0].decode().upper(), command[1:]
        known: dict[str, Callable[[list[bytes]], Any]] = {
            "FT.CREATE": self._create,
            "FT.SEARCH": self._search,
            "FT.DROPINDEX": self._drop,
            "FT.INFO": self._info,
            "FT._LIST": lambda _arguments: list(self._indexes),
        }
        if name not in known:
            raise QueryError(f"unknown command '{name}'")
        return known[name](arguments)

    def _index(self, name: bytes) -> _Index:
        if name.decode() not in self._indexes:
            raise QueryError(f"{name.decode()}: no such index")
        return self._indexes[name.decode()]

    def _create(self, arguments: list[bytes]) -> str:
        words = [each.decode() for each in arguments]
        name = words.pop(0)
        if name in self._indexes:
            raise QueryError("Index already exists")
        index = _Index([])
        while (word := words.pop(0).upper()) != "SCHEMA":
            if word == "PREFIX":
                size = int(words.pop(0))
                index.prefixes, words = words[:size], words[size:]
            elif word == "STOPWORDS":
                words = words[int(words[0]) + 1 :]
            elif word == "ON":
                assert words.pop(0).upper() == "HASH"
            elif word == "SCORE":
                words.pop(0)
            elif word != "SKIPINITIALSCAN":
                raise QueryError(f"Unknown argument `{word}`")
        while words:
            attribute, kind = words.pop(0), words.pop(0).upper()
            if attribute in index.kinds:
                raise QueryError(f"Duplicate field in schema - {attribute}")
            index.kinds[attribute] = kind
            if kind == "VECTOR":
                assert words.pop(0).upper() in ("FLAT", "HNSW")
                size = int(words.pop(0))
                pairs, words = words[:size], words[size:]
                index.vectors[attribute] = dict(zip(pairs[::2], pairs[1::2], strict=True))
            while words and words[0].upper() in ("SORTABLE", "SEPARATOR", "WEIGHT"):
                if words.pop(0).upper() != "SORTABLE":
                    assert words.pop(0) in (",", "1.0")
        self._indexes[name] = index
        return "OK"

    def _drop(self, arguments: list[bytes]) -> str:
        if self._indexes.pop(arguments[0].decode(), None) is None:
            raise QueryError("Unknown Index name")
        return "OK"

    def _info(self, arguments: list[bytes]) -> list[Any]:
        index = self._index(arguments[0])
        attributes = [
            ["identifier", name, "attribute", name, "type", kind]
            for name, kind in index.kinds.items()
        ]
        count = len(self._documents(index))
        return ["index_name", arguments[0], "attributes", attributes, "num_docs", count]

    def _documents(self, index: _Index) -> list[tuple[bytes, dict[str, bytes]]]:
        keys: set[bytes] = set()
        for prefix in index.prefixes:
            match = re.sub(r"([\\*?\[\]^])", r"\\\1", prefix) + "*"
            keys |= set(self.redis.scan_iter(match, count=10_000, _type="hash"))
        pipeline = self.redis.pipeline(transaction=False)
        for key in sorted(keys):
            pipeline.hgetall(key)
        found = zip(sorted(keys), pipeline.execute(), strict=True)
        return [
            (key, {name.decode(): value for name, value in fields.items()})
            for key, fields in found
            if fields
        ]

    def _search(self, arguments: list[bytes]) -> list[Any]:
        self.searches.append(arguments)
        if self.failing:
            raise QueryError(self.failing.pop(0))
        index, query = self._index(arguments[0]), arguments[1].decode()
        options = _Options(arguments[2:])
        nearest = _KNN.match(query)
        matches = parse(nearest[1] if nearest else query, index.kinds)
        rows = [row for row in self._documents(index) if matches(row[1])]
        if nearest:
            rows = _nearest(index, rows, nearest, options)
        elif options.sort:
            rows.sort(key=lambda row: float(row[1][options.sort]))
        else:
            wanted = re.findall(r"@content:(\w+)", query.lower())
            rows.sort(key=lambda row: -sum(map(words(row[1]["content"]).count, wanted)))
        reply: list[Any] = [len(rows)]
        for key, fields in rows[options.begin : options.begin + options.size]:
            reply.append(key)
            if options.content:
                shown = options.shown if options.shown is not None else list(fields)
                reply.append(
                    [part for each in shown if each in fields for part in (each, fields[each])]
                )
        return reply


class _Options:
    def __init__(self, words: list[bytes]) -> None:
        self.params: dict[str, bytes] = {}
        self.shown: list[str] | None = None
        self.sort, self.begin, self.size, self.content = "", 0, 10, True
        dialect = 1
        while words:
            word = words.pop(0).decode().upper()
            if word == "PARAMS":
                size = int(words.pop(0))
                pairs, words = words[:size], words[size:]
                names = [each.decode() for each in pairs[::2]]
                self.params = dict(zip(names, pairs[1::2], strict=True))
            elif word == "RETURN":
                size = int(words.pop(0))
                self.shown, words = [each.decode() for each in words[:size]], words[size:]
            elif word == "LIMIT":
                self.begin, self.size = int(words.pop(0)), int(words.pop(0))
            elif word == "SORTBY":
                self.sort = words.pop(0).decode()
                assert words.pop(0) == b"ASC"
            elif word == "NOCONTENT":
                self.content = False
            elif word == "TIMEOUT":
                words.pop(0)
            elif word == "DIALECT":
                dialect = int(words.pop(0))
            else:
                raise QueryError(f"Unknown argument `{word}` at position 1 for <main>")
        if dialect != 2:
            raise QueryError("the query is of dialect 2")


def _nearest(
    index: _Index,
    rows: list[tuple[bytes, dict[str, bytes]]],
    nearest: re.Match[str],
    options: _Options,
) -> list[tuple[bytes, dict[str, bytes]]]:
    size, name, param, alias = nearest.groups()[1:]
    if name not in index.vectors:
        raise QueryError(f"Unknown field: {name}")
    if param not in options.params:
        raise QueryError(f"No such parameter `{param}`")
    alias = alias or f"__{name}_score"
    settings, vector = index.vectors[name], options.params[param]
    expected = 4 * int(settings["DIM"])
    if len(vector) != expected:
        raise QueryError(
            f"Error parsing vector similarity query: query vector blob size ({len(vector)}) does "
            f"not match index's expected size ({expected})."
        )
    measured = []
    for key, fields in rows:
        stored = fields.get(name, b"")
        if len(stored) == expected:  # the server does not index documents of other sizes
            distance = _distance(settings["DISTANCE_METRIC"], vector, stored)
            measured.append((distance, key, {**fields, alias: repr(distance).encode()}))
    measured.sort(key=lambda row: row[:2])
    return [(key, fields) for _, key, fields in measured[: int(size)]]


def _distance(metric: str, one: bytes, other: bytes) -> float:
    xs, ys = (struct.unpack(f"<{len(each) // 4}f", each) for each in (one, other))
    pairs = list(zip(xs, ys, strict=True))
    if metric == "L2":
        return _single(sum((x - y) ** 2 for x, y in pairs))
    dot = sum(x * y for x, y in pairs)
    if metric == "COSINE":
        dot /= sqrt(sum(x * x for x in xs)) * sqrt(sum(y * y for y in ys))
    return _single(1 - dot)


def _single(number: float) -> float:
    return float(struct.unpack("f", struct.pack("f", number))[0])


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, search: RediSearch) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.search = search


class _Handler(socketserver.BaseRequestHandler):
    """A client: its commands one after the other, each answered before the next is read."""

    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        search = self.server.search
        upstream = socket.create_connection(search.behind)
        protocol = 2
        with upstream, upstream.makefile("rb") as replies, self.request.makefile("rb") as commands:
            while raw := _message(commands):
                command = _words(raw)
                if command[0].upper().startswith(b"FT."):
                    self.request.sendall(_answered(search, command, protocol))
                    continue
                if command[0].upper() == b"HELLO" and len(command) > 1:
                    protocol = int(command[1])
                upstream.sendall(raw)
                self.request.sendall(_message(replies))


def _answered(search: RediSearch, command: list[bytes], protocol: int) -> bytes:
    try:
        reply = search.answer(command)
    except QueryError as error:
        return f"-{error}\r\n".encode()
    if protocol == 3 and command[0].upper() == b"FT.SEARCH":
        reply = _as_map(reply, content=b"NOCONTENT" not in command)
    if protocol == 3 and command[0].upper() == b"FT.INFO":
        reply = _paired(reply)
        reply["attributes"] = [_paired(each) for each in reply["attributes"]]
    return _encoded(reply)


def _as_map(reply: list[Any], *, content: bool) -> dict[str, Any]:
    """Return a reply to FT.SEARCH as RESP3 has it."""
    step = 2 if content else 1
    results = []
    for at in range(1, len(reply), step):
        one: dict[str, Any] = {"id": reply[at], "values": []}
        if content:
            one["extra_attributes"] = _paired(reply[at + 1])
        results.append(one)
    return {
        "attributes": [],
        "warning": [],
        "total_results": reply[0],
        "format": "STRING",
        "results": results,
    }


def _paired(items: Any) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _message(stream: BinaryIO) -> bytes:
    """Return the next value, as it was sent; nothing at the end."""
    line = stream.readline()
    kind, rest = line[:1], line[1:-2]
    if kind in (b"$", b"="):
        return line if int(rest) < 0 else line + stream.read(int(rest) + 2)
    if kind in (b"*", b"~", b">", b"%"):
        count = int(rest) * (2 if kind == b"%" else 1)
        return line + b"".join(_message(stream) for _ in range(count))
    return line


def _words(raw: bytes) -> list[bytes]:
    """Return the words of a command."""
    found = []
    at = raw.index(b"\r\n") + 2
    while at < len(raw):
        end = raw.index(b"\r\n", at)
        size = int(raw[at + 1 : end])
        found.append(raw[end + 2 : end + 2 + size])
        at = end + 4 + size
    return found


def _encoded(value: Any) -> bytes:
    if isinstance(value, dict):
        parts = [_encoded(part) for pair in value.items() for part in pair]
        return b"%%%d\r\n" % len(value) + b"".join(parts)
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(_encoded, value))
    if isinstance(value, int):
        return b":%d\r\n" % value
    data = value.encode() if isinstance(value, str) else value
    return b"$%d\r\n%s\r\n" % (len(data), data)
