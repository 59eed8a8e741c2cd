"""A fake of a Couchbase node: key-value, query and cluster management, as far as the SDK uses them.

github.com/couchbase/kv_engine, "Binary Protocol", and docs.couchbase.com, "REST API reference".
Not imitated: several nodes, durability, indexes (each statement reads everything, and sees it).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import socketserver
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.services.couchbase_sql import BadStatementError, Row, keyspace, parse

__all__ = ["BUCKET", "PASSWORD", "USER", "Couchbase"]

USER, PASSWORD, BUCKET = "user", "the-password", "knowledge"

_HEADER = struct.Struct(">BBHBBHIIQ")
_HELLO, _ERRORS, _LIST, _AUTH, _STEP = 0x1F, 0xFE, 0x20, 0x21, 0x22
_SELECT, _CONFIG, _MANIFEST, _COLLECTION = 0x89, 0xB5, 0xBA, 0xBB
_GET, _SET, _ADD, _DELETE, _NOOP = 0x00, 0x01, 0x02, 0x04, 0x0A
_OK, _NO_KEY, _EXISTS, _REFUSED, _CONTINUE, _NO_ACCESS = 0x00, 0x01, 0x02, 0x20, 0x21, 0x24
_UNKNOWN, _NO_COLLECTION, _NO_SCOPE, _BUSY = 0x81, 0x88, 0x8C, 0x86
# XERROR, SELECT BUCKET, JSON, collections and the like: see "HELLO" of the protocol.
_FEATURES = frozenset({0x04, 0x06, 0x07, 0x08, 0x0B, 0x10, 0x12})
_FLEXIBLE = 0x08  # the magic of a frame with extras of its own


class _NoIndexError(Exception):
    """The statement needs an index."""


@dataclass
class _Collection:
    number: int
    items: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    indexes: set[str] = field(default_factory=set)


class Couchbase:
    """A node on ports of its own, served by threads.

    Attributes:
        failing: how many of the next key-value operations are answered that the server is busy.
        refusing: code and message to answer the next statements with.
    """

    def __init__(self) -> None:
        self.failing = 0
        self.refusing: list[tuple[int, str]] = []
        self.lock = threading.RLock()
        self._numbers = count(8)
        self._scopes: dict[str, dict[str, _Collection]] = {}
        self.empty()
        self._keys = _Keys(self)
        self._http = _Http(self)
        for server in (self._keys, self._http):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The connection string."""
        return f"couchbase://127.0.0.1:{self._keys.server_address[1]}"

    def documents(self, collection: str, scope: str = "_default") -> dict[str, Any]:
        """Return the documents of a collection."""
        items = self._scopes[scope][collection].items
        return {key: json.loads(value) for key, (value, _) in items.items()}

    def collections(self, scope: str = "_default") -> set[str]:
        """Return the names of the collections."""
        return set(self._scopes[scope])

    def empty(self) -> None:
        """Delete all documents and collections."""
        with self.lock:
            self._scopes = {"_default": {"_default": _Collection(0)}}
            self.failing, self.refusing = 0, []

    def close(self) -> None:
        """End the servers."""
        for server in (self._keys, self._http):
            server.shutdown()
            server.server_close()

    def config(self, *, bucket: bool) -> bytes:
        """Return the configuration of the cluster, with that of the bucket."""
        http, keys = self._http.server_address[1], self._keys.server_address[1]
        services = {"mgmt": http, "n1ql": http, "kv": keys}
        config: dict[str, Any] = {
            "rev": 1,
            "revEpoch": 1,
            "nodesExt": [{"services": services, "thisNode": True, "hostname": "127.0.0.1"}],
            "clusterCapabilitiesVer": [1, 0],
            "clusterCapabilities": {},
        }
        if bucket:
            config |= {
                "name": BUCKET,
                "nodeLocator": "vbucket",
                "uuid": "1",
                "bucketCapabilities": ["collections", "xattr", "cccp", "nodesExt"],
                "nodes": [{"hostname": f"127.0.0.1:{http}", "ports": {"direct": keys}}],
                "vBucketServerMap": {
                    "hashAlgorithm": "CRC",
                    "numReplicas": 0,
                    "serverList": [f"127.0.0.1:{keys}"],
                    "vBucketMap": [[0]] * 64,
                },
            }
        return json.dumps(config).encode()

    def collection_number(self, path: str) -> tuple[int, int]:
        """Return the status and the number of scope.collection."""
        scope, _, name = path.partition(".")
        if scope not in self._scopes:
            return _NO_SCOPE, 0
        found = self._scopes[scope].get(name)
        return (_NO_COLLECTION, 0) if found is None else (_OK, found.number)

    def on_key(self, code: int, number: int, key: str, value: bytes, flags: int) -> _Answer:
        """Do a key-value operation."""
        with self.lock:
            found = [c for s in self._scopes.values() for c in s.values() if c.number == number]
            if not found:
                return _Answer(_NO_COLLECTION)
            if self.failing:
                self.failing -= 1
                return _Answer(_BUSY)
            items = found[0].items
            if code == _ADD and key in items:
                return _Answer(_EXISTS)
            if code in (_GET, _DELETE) and key not in items:
                return _Answer(_NO_KEY)
            cas = next(self._numbers)
            if code == _GET:
                return _Answer(
                    extras=struct.pack(">I", items[key][1]), value=items[key][0], cas=cas
                )
            if code == _DELETE:
                del items[key]
            else:
                items[key] = (value, flags)
            return _Answer(cas=cas, extras=struct.pack(">QQ", 1, 1))

    def query(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a statement."""
        try:
            with self.lock:
                if self.refusing:
                    code, message = self.refusing.pop(0)
                    return 500, _failed(code, message)
                results = self._results(body)
        except BadStatementError as error:
            return 400, _failed(3000, str(error))
        except _NoIndexError:
            return 404, _failed(4000, "No index available on keyspace")
        except KeyError as error:
            return 404, _failed(12003, f"Keyspace not found in CB datastore: {error}")
        metrics = {
            "elapsedTime": "1ms",
            "executionTime": "1ms",
            "resultCount": len(results),
            "resultSize": 1,
        }
        return 200, {"requestID": "1", "results": results, "status": "success", "metrics": metrics}

    def _results(self, body: dict[str, Any]) -> list[Any]:
        statement = body["statement"]
        if statement.startswith("CREATE"):
            self._reached(keyspace(statement)).indexes.add(statement.partition(" ON ")[0])
            return []
        select = parse(statement, body)
        collection = self._reached(select.source)
        if not collection.indexes:
            raise _NoIndexError
        if body.get("scan_consistency") != "request_plus":
            return []  # as if the index had not seen anything yet
        rows: list[Row] = [(key, json.loads(value)) for key, (value, _) in collection.items.items()]
        return select.run(rows)

    def _reached(self, path: list[str]) -> _Collection:
        bucket, scope, name = path
        if bucket != BUCKET:
            raise KeyError(bucket)
        return self._scopes[scope][name]

    def manage(self, verb: str, path: list[str], form: dict[str, list[str]]) -> tuple[int, Any]:
        """Answer a request of the cluster's management."""
        with self.lock:
            match verb, path:
                case "GET", []:
                    return 200, self._manifest()
                case "POST", []:
                    return self._make(self._scopes, form["name"][0], {}, "Scope")
                case _, [scope, "collections", *_] if scope not in self._scopes:
                    return 404, _wrong(f'Scope with name "{scope}" is not found')
                case "POST", [scope, "collections"]:
                    new = _Collection(next(self._numbers))
                    return self._make(self._scopes[scope], form["name"][0], new, "Collection")
                case "DELETE", [scope, "collections", name]:
                    if self._scopes[scope].pop(name, None) is None:
                        told = f'Collection with name "{name}" in scope "{scope}" is not found'
                        return 404, _wrong(told)
                    return 200, {"uid": "2"}
        return 404, _wrong("no such path")

    def _make(self, where: dict[str, Any], name: str, new: Any, kind: str) -> tuple[int, Any]:
        if name in where:
            return 400, _wrong(f'{kind} with name "{name}" already exists')
        if not re.fullmatch(r"[A-Za-z0-9-][A-Za-z0-9_%-]{0,250}", name):
            return 400, _wrong("First character must not be _ or %")
        where[name] = new
        return 200, {"uid": "2"}

    def _manifest(self) -> dict[str, Any]:
        scopes = [
            {
                "name": scope,
                "uid": "0",
                "collections": [
                    {"name": name, "uid": f"{each.number:x}"} for name, each in collections.items()
                ],
            }
            for scope, collections in self._scopes.items()
        ]
        return {"uid": "1", "scopes": scopes}

    def manifest(self) -> bytes:
        """Return the scopes and collections."""
        return json.dumps(self._manifest()).encode()


def _failed(code: int, message: str) -> dict[str, Any]:
    return {"requestID": "1", "errors": [{"code": code, "msg": message}], "status": "fatal"}


def _wrong(message: str) -> dict[str, Any]:
    return {"errors": {"_": message}}


@dataclass
class _Answer:
    status: int = _OK
    extras: bytes = b""
    value: bytes = b""
    cas: int = 0
    kind: int = 0


class _Keys(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, couchbase: Couchbase) -> None:
        super().__init__(("127.0.0.1", 0), _KeyHandler)
        self.couchbase = couchbase


class _KeyHandler(socketserver.StreamRequestHandler):
    """A connection of the binary protocol."""

    disable_nagle_algorithm = True  # answers to several at once would wait for a delayed ACK

    def setup(self) -> None:
        super().setup()
        assert isinstance(self.server, _Keys)
        self._couchbase = self.server.couchbase
        self._bucket = False
        self._user = ""
        self._login: _Login | None = None

    def handle(self) -> None:
        while len(header := self.rfile.read(_HEADER.size)) == _HEADER.size:
            magic, code, keys, extras, _, _, size, opaque, _ = _HEADER.unpack(header)
            frame = 0
            if magic == _FLEXIBLE:
                frame, keys = keys >> 8, keys & 0xFF
            body = self.rfile.read(size)
            begin = frame + extras
            answer = self._answer(
                code, body[frame:begin], body[begin : begin + keys], body[begin + keys :]
            )
            length = len(answer.extras) + len(answer.value)
            self.wfile.write(
                _HEADER.pack(
                    0x81,
                    code,
                    0,
                    len(answer.extras),
                    answer.kind,
                    answer.status,
                    length,
                    opaque,
                    answer.cas,
                )
                + answer.extras
                + answer.value
            )

    def _answer(self, code: int, extras: bytes, key: bytes, value: bytes) -> _Answer:
        if code == _HELLO:
            wanted = struct.unpack(f">{len(value) // 2}H", value)
            known = [feature for feature in wanted if feature in _FEATURES]
            return _Answer(value=struct.pack(f">{len(known)}H", *known))
        if code == _ERRORS:
            return _Answer(value=b'{"version": 1, "revision": 1, "errors": {}}')
        if code == _LIST:
            return _Answer(value=b"SCRAM-SHA512")
        if code == _AUTH:
            self._login = _Login(value.decode())
            return _Answer(_CONTINUE, value=self._login.challenge.encode())
        if code == _STEP and self._login is not None:
            signature = self._login.verified(value.decode())
            return _Answer(_REFUSED) if signature is None else _Answer(value=signature)
        if code == _SELECT:
            self._bucket = key.decode() == BUCKET
            return _Answer(_OK if self._bucket else _NO_ACCESS)
        if code == _CONFIG:
            return _Answer(value=self._couchbase.config(bucket=self._bucket), kind=1)
        if code == _COLLECTION:
            status, number = self._couchbase.collection_number((value or key).decode())
            return _Answer(status, struct.pack(">QI", 1, number) if status == _OK else b"")
        if code == _MANIFEST:
            return _Answer(value=self._couchbase.manifest())
        if code == _NOOP:
            return _Answer()
        if code in (_GET, _SET, _ADD, _DELETE):
            number, name = _leb128(key)
            flags = struct.unpack(">II", extras)[0] if code in (_SET, _ADD) else 0
            return self._couchbase.on_key(code, number, name.decode(), value, flags)
        return _Answer(_UNKNOWN)


class _Login:
    """SCRAM-SHA-512: RFC 5802."""

    def __init__(self, first: str) -> None:
        self._bare = first.split(",", 2)[2]
        fields = dict(each.split("=", 1) for each in self._bare.split(","))
        self._user, self._salt = fields["n"], os.urandom(12)
        salt = base64.b64encode(self._salt).decode()
        nonce = fields["r"] + base64.b64encode(os.urandom(9)).decode()
        self.challenge = f"r={nonce},s={salt},i=4096"

    def verified(self, final: str) -> bytes | None:
        """Return the server's signature, None if the password is wrong."""
        without, _, proof = final.rpartition(",p=")
        message = f"{self._bare},{self.challenge},{without}".encode()
        salted = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), self._salt, 4096)
        client = _hmac(salted, b"Client Key")
        signed = _hmac(hashlib.sha512(client).digest(), message)
        expected = bytes(a ^ b for a, b in zip(client, signed, strict=True))
        if self._user != USER or base64.b64decode(proof) != expected:
            return None
        return b"v=" + base64.b64encode(_hmac(_hmac(salted, b"Server Key"), message))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha512).digest()


def _leb128(key: bytes) -> tuple[int, bytes]:
    """Return the number of the collection that begins a key, and the rest."""
    number = 0
    for place, byte in enumerate(key):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, key[place + 1 :]
    return number, b""


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, couchbase: Couchbase) -> None:
        super().__init__(("127.0.0.1", 0), _HttpHandler)
        self.couchbase = couchbase


class _HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: header and body apart would wait for a delayed ACK

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        assert isinstance(self.server, _Http)
        couchbase = self.server.couchbase
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = [unquote(part) for part in urlsplit(self.path).path.split("/") if part]
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers["authorization"] != f"Basic {expected}":
            status, body = 401, _failed(13014, "User does not have credentials")
        elif path == ["query", "service"]:
            status, body = couchbase.query(json.loads(raw))
        elif path[:5] == ["pools", "default", "buckets", BUCKET, "scopes"]:
            status, body = couchbase.manage(self.command, path[5:], parse_qs(raw.decode()))
        else:
            status, body = 404, _wrong("no such path")
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        pass
