"""SingleStore's SQL in front of a real MariaDB, as far as its documentation tells.

Speaks MySQL's protocol, as SingleStore does. What only SingleStore knows (SHARD KEY, SORT KEY) is
taken out of a statement, or done with functions that `FUNCTIONS` makes (vectors, JSON); what it
refuses and MariaDB would accept is refused. How it shards, sorts, plans and locks a columnstore is
not imitated.
"""

from __future__ import annotations

import re
import socket

from tests.proxying import TcpProxy, Ways

VERSION = b"5.7.32"  # what SELECT VERSION() says: of MySQL; @@memsql_version is its own

_QUERY = 0x03  # MySQL client/server protocol, COM_QUERY
_MAX_PACKET = 0xFFFFFF
_NOT_SUPPORTED = 1706  # "Feature '…' is not supported by SingleStore"

_KEY = r"\s*(?:`?\w*`?\s*)?\(([^)]*)\)"
_DATA = re.compile(r"(?i)\s*(?:INSERT|UPDATE|DELETE)\b")  # nothing in it is to be rewritten
_CREATE_TABLE = re.compile(r"(?is)^\s*CREATE TABLE (?:IF NOT EXISTS )?([`\w.]+)")
_UNIQUE = re.compile(rf"(?i)\b(?:PRIMARY KEY|UNIQUE(?: KEY| INDEX)?){_KEY}")
_PRIMARY = re.compile(rf"(?i)\bPRIMARY KEY{_KEY}")
_SHARD = re.compile(rf"(?i),?\s*\bSHARD KEY{_KEY}")
_SORT = re.compile(rf"(?i),?\s*\bSORT KEY{_KEY}")
_UPDATE = re.compile(r"(?is)^\s*UPDATE ([`\w.]+) SET (.*?)(?: WHERE |$)")
_UPSERT = re.compile(r"(?is)^\s*INSERT INTO ([`\w.]+) .*ON DUPLICATE KEY UPDATE (.*)$")
_ASSIGNED = re.compile(r"(?:^|,)\s*(?:[`\w]+\.)?`?(\w+)`?\s*=")
_TEXT = re.compile(r"'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'", re.DOTALL)

# What SingleStore's reference does not have, or says not to have.
_REFUSED = {
    "FOREIGN KEY": re.compile(r"(?i)\bFOREIGN KEY\b|\bREFERENCES\b"),
    "CHECK": re.compile(r"(?i)^\s*(?:CREATE|ALTER) TABLE .*\bCHECK\s*\("),
    "named locks": re.compile(r"(?i)\b(?:GET|RELEASE|IS_USED|IS_FREE)_LOCK\s*\("),
    "FOR UPDATE with options": re.compile(r"(?i)\bFOR UPDATE (?:SKIP|NOWAIT|OF)\b|\bFOR SHARE\b"),
    "RETURNING": re.compile(r"(?i)\bRETURNING\b"),
    "VALUES alias": re.compile(r"(?i)\bAS new ON DUPLICATE KEY\b"),
    "isolation level": re.compile(r"(?i)\bISOLATION LEVEL (?!READ COMMITTED)"),
    "collation of another server": re.compile(r"(?i)utf8mb4_(?:nopad_bin|0900\w*)"),
    "ALTER TABLE of a key": re.compile(r"(?i)^\s*ALTER TABLE .*\b(?:ADD|DROP) PRIMARY KEY\b"),
    "index without HASH on a columnstore": re.compile(
        r"(?i)^\s*CREATE (?:UNIQUE )?INDEX (?!.*\bUSING HASH\b)"
    ),
    "LAST_INSERT_ID of an expression": re.compile(r"(?i)\bLAST_INSERT_ID\s*\(\s*[^)\s]"),
}
# What stands for vectors in MariaDB is their JSON, of the right length.
_VECTOR = re.compile(r"(?i)([`\w]+) VECTOR\((\d+)\)( NOT NULL)?")
_OPERAND = r"((?:`\w+`\.)?`?\w+`?(?:\.`?\w+`?)*|'[^']*')"
_REWRITTEN = (
    (re.compile(rf"{_OPERAND} <\*> {_OPERAND}"), r"DOT_PRODUCT(\1, \2)"),
    (re.compile(rf"{_OPERAND} <-> {_OPERAND}"), r"EUCLIDEAN_DISTANCE(\1, \2)"),
    (re.compile(r"(?i) :> JSON\b"), ""),
    (re.compile(r"(?i)\bSELECT VERSION\(\)"), f"SELECT '{VERSION.decode()}'"),
    (re.compile(r"@@transaction_isolation\b"), "@@tx_isolation"),  # MySQL's name since 5.7.20
    # Assumed of SingleStore: its binary collation ignores no trailing spaces.
    (re.compile(r"(?i)\butf8mb4_bin\b"), "utf8mb4_nopad_bin"),
    # Its only isolation level; asked for with the first statement of each connection.
    (
        re.compile(r"(?i)^SET AUTOCOMMIT = 0$"),
        "SET SESSION tx_isolation = 'READ-COMMITTED', autocommit = 0",
    ),
    # There it is the limit for rows, which is another variable here.
    (
        re.compile(r"(?i)^SET lock_wait_timeout = (\d+)$"),
        r"SET lock_wait_timeout = \1, innodb_lock_wait_timeout = \1",
    ),
)

_PAIRS = (
    "JSON_TABLE(a, '$[*]' COLUMNS (i FOR ORDINALITY, v DOUBLE PATH '$')) x JOIN "
    "JSON_TABLE(b, '$[*]' COLUMNS (i FOR ORDINALITY, v DOUBLE PATH '$')) y USING (i)"
)
# SingleStore reference, "Vector Functions" and "JSON Functions".
FUNCTIONS = (
    (
        "CREATE FUNCTION DOT_PRODUCT(a LONGTEXT, b LONGTEXT) RETURNS DOUBLE DETERMINISTIC "
        f"RETURN (SELECT SUM(x.v * y.v) FROM {_PAIRS})"
    ),
    (
        "CREATE FUNCTION EUCLIDEAN_DISTANCE(a LONGTEXT, b LONGTEXT) RETURNS DOUBLE DETERMINISTIC "
        f"RETURN (SELECT SQRT(SUM(POW(x.v - y.v, 2))) FROM {_PAIRS})"
    ),
    (
        "CREATE FUNCTION JSON_ARRAY_CONTAINS_STRING(a LONGTEXT, b LONGTEXT) RETURNS TINYINT "
        "DETERMINISTIC RETURN JSON_CONTAINS(a, JSON_QUOTE(b))"
    ),
    (
        "CREATE FUNCTION JSON_EXTRACT_DOUBLE(a LONGTEXT, b LONGTEXT) RETURNS DOUBLE DETERMINISTIC "
        "RETURN JSON_VALUE(a, CONCAT('$.\"', b, '\"'))"
    ),
)


class Refused(Exception):  # noqa: N818 - an answer, and no error of the proxy
    """What SingleStore would not do."""


class SingleStore(TcpProxy):
    """A proxy of MariaDB. See `TcpProxy`."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._shard_keys: dict[str, list[str]] = {}

    def translated(self, statement: str) -> str:
        """Return what MariaDB is asked for.

        Raises:
            Refused: SingleStore would refuse the statement.
        """
        bare = _TEXT.sub("''", statement).replace("\n", " ")
        for what, pattern in _REFUSED.items():
            if pattern.search(bare):
                raise Refused(what)
        for changing in (_UPDATE, _UPSERT):
            match = changing.match(bare)
            assigned = set(_ASSIGNED.findall(match[2])) if match else set()
            if match and not assigned.isdisjoint(self._shard_key(match[1])):
                raise Refused("updating a column of the shard key")
        if _DATA.match(bare):
            return statement
        statement = self._table(statement)
        for pattern, replacement in _REWRITTEN:
            statement = pattern.sub(replacement, statement)
        return statement

    def _table(self, statement: str) -> str:
        """Take out of CREATE TABLE what only SingleStore knows, once it is right."""
        created = _CREATE_TABLE.match(statement)
        if created is None:
            return statement
        shard, primary = _SHARD.search(statement), _PRIMARY.search(statement)
        sharding = shard or primary
        key = _columns(sharding[1]) if sharding else []
        for unique in _UNIQUE.finditer(statement):
            if not set(key) <= set(_columns(unique[1])):
                raise Refused("unique key that does not contain the shard key")
        if shard is None and _UNIQUE.search(statement) and primary is None:
            raise Refused("unique key without a shard key")
        self._shard_keys[_name(created[1])] = key
        statement = _SORT.sub("", _SHARD.sub("", statement))
        return _VECTOR.sub(r"\1 LONGTEXT\3 CHECK (JSON_LENGTH(\1) = \2)", statement)

    def _shard_key(self, table: str) -> list[str]:
        return self._shard_keys.get(_name(table), [])

    def ways(self, client: socket.socket, server: socket.socket) -> Ways:
        """Translate statements, or refuse them."""
        self._greet(client, server)

        def to_client() -> None:
            while data := server.recv(65_536):
                client.sendall(data)

        return lambda: self._to_server(client, server), to_client

    def _greet(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on the server's first packet, with another version in it."""
        number, greeting = _packet(server.makefile("rb", buffering=0))
        protocol, rest = greeting[:1], greeting[1:].partition(b"\0")[2]
        client.sendall(_framed(number, protocol + VERSION + b"\0" + rest))

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with client.makefile("rb") as stream:
            while True:
                number, body = _packet(stream)
                # Numbered 0: a command, and no part of the login.
                if number == 0 and body[:1] == bytes([_QUERY]) and len(body) < _MAX_PACKET:
                    try:
                        text = self.translated(body[1:].decode("utf-8", "surrogateescape"))
                    except Refused as refused:
                        client.sendall(_framed(1, _error(str(refused))))
                        continue
                    body = body[:1] + text.encode("utf-8", "surrogateescape")
                server.sendall(_framed(number, body))


def _columns(text: str) -> list[str]:
    return [column.strip(" `") for column in text.split(",") if column.strip()]


def _name(table: str) -> str:
    return table.replace("`", "").rpartition(".")[2]


def _packet(stream: object) -> tuple[int, bytes]:
    header = _exactly(stream, 4)
    return header[3], _exactly(stream, int.from_bytes(header[:3], "little"))


def _exactly(stream: object, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more: bytes = stream.read(size - len(data))  # type: ignore[attr-defined]  # a binary file
        if not more:
            raise EOFError
        data += more
    return data


def _framed(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def _error(what: str) -> bytes:
    message = f"Feature '{what}' is not supported by SingleStore"
    return b"\xff" + _NOT_SUPPORTED.to_bytes(2, "little") + b"#HY000" + message.encode()
