"""Entries as items of DynamoDB.

Attributes of an item: "pk", "sk", and "name", the key, where "sk" is not it; "text", the value, and
"members", the hash, as JSON or its zlib; "version" of the value; "rev", new with each write of the
item; "expires_at", seconds since the epoch, and "ttl", the same for DynamoDB.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from praison_persist._json import dumps
from praison_persist.errors import BackendError, InvalidDataError
from praison_persist.state.entries import Entry

__all__ = [
    "SHARDS",
    "Item",
    "Items",
    "cut",
    "number",
    "packed",
    "revision",
    "transactions",
    "weight",
]

Item = dict[str, Any]  # attribute -> {type: value}

SHARDS = 4  # for ever: another number would look for keys where they are not
# Developer Guide, "Constraints in Amazon DynamoDB".
_ITEM_MAX = 409_600  # bytes, with the names of attributes
_SORT_MAX = 1024  # bytes of a sort key
_WRITE_MAX, _WRITE_BYTES_MAX = 100, 4_000_000  # of TransactWriteItems
_SORT_CUT = 900  # bytes that a longer key begins its sort key with
_PLAIN_MAX = 4096  # characters that stay readable; longer text is compressed


class Items:
    """The items of one store.

    Args:
        prefix: tells them from those of others in the table.
        address: of the table, for errors.
    """

    def __init__(self, prefix: str, address: str) -> None:
        self._prefix, self._address = prefix, address

    def partition(self, shard: int) -> Item:
        """Return the partition key of a shard."""
        return {"S": f"{self._prefix}{shard}"}

    def place(self, key: str) -> Item:
        """Return the primary key of a key's item."""
        encoded = key.encode()
        shard = zlib.crc32(encoded) % SHARDS
        # NUL is in no key, so that what is cut meets no other.
        sort = key if len(encoded) <= _SORT_MAX else f"{cut(key)}\0{_digest(encoded)}"
        return {"pk": self.partition(shard), "sk": {"S": sort}}

    def item(self, key: str, entry: Entry) -> Item:
        """Return an entry as an item. Raises InvalidDataError: it is too large."""
        item = self.place(key)
        if item["sk"]["S"] != key:
            item["name"] = {"S": key}
        item["rev"] = revision()
        if entry.text is not None:
            item |= {"text": packed(entry.text), "version": {"N": str(entry.version)}}
        if entry.fields:
            item["members"] = {"M": {name: packed(text) for name, text in entry.fields.items()}}
        if entry.answers:
            item["answers"] = {"S": dumps(entry.answers)}
        if entry.expires_at is not None:
            item["expires_at"] = {"N": repr(entry.expires_at)}
            # Never before expires_at, which a longer expiry may yet replace.
            item["ttl"] = {"N": str(ceil(entry.expires_at))}
        if _size(item) > _ITEM_MAX:
            raise self.too_large(key)
        return item

    def too_large(self, key: str) -> InvalidDataError:
        """Return what to raise for an item that DynamoDB would not keep."""
        return InvalidDataError(
            f"{key!r} with its fields takes more than the 400 KB of an item in {self._address}; "
            "store it in parts, or elsewhere"
        )

    def entry(self, key: str, item: Item) -> Entry:
        """Return an item as an entry. Raises BackendError: another program wrote it."""
        try:
            item["rev"]["S"]  # without one it could not be replaced
            fields = item["members"]["M"] if "members" in item else {}
            answers = item["answers"]["S"] if "answers" in item else "[]"
            return Entry(
                _unpacked(item["text"]) if "text" in item else None,
                int(item["version"]["N"]) if "text" in item else 0,
                {name: _unpacked(text) for name, text in fields.items()},
                number(item.get("expires_at")),
                tuple((version, answer) for version, answer in json.loads(answers)),
            )
        except (KeyError, ValueError, zlib.error) as error:
            raise BackendError(
                f"{self._address}: the item of {key!r} was written by another program; use another "
                f"prefix= than {self._prefix!r}, or delete the item"
            ) from error


def weight(item: Item, write: dict[str, Any]) -> int:
    """Return the bytes that a write counts in a transaction at most."""
    return max(_size(item), _size(write["Put"]["Item"]) if "Put" in write else 0)


def transactions(weights: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the keys whose writes one transaction holds."""
    group: list[str] = []
    left = _WRITE_BYTES_MAX
    for key, size in weights.items():
        if group and (len(group) == _WRITE_MAX or size > left):
            yield group
            group, left = [], _WRITE_BYTES_MAX
        group.append(key)
        left -= size
    if group:
        yield group


def cut(text: str) -> str:
    """Return what text begins with, in as many bytes as every sort key keeps of its key."""
    return text.encode()[:_SORT_CUT].decode(errors="ignore")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def revision() -> Item:
    """Return what no other write has."""
    return {"S": secrets.token_hex(8)}


def packed(text: str) -> Item:
    """Return an attribute for JSON text."""
    if len(text) > _PLAIN_MAX:
        compressed = zlib.compress(text.encode("ascii"))
        if len(compressed) < len(text):
            return {"B": compressed}
    return {"S": text}


def _unpacked(attribute: Item) -> str:
    if "B" in attribute:
        return zlib.decompress(attribute["B"]).decode("ascii")
    text: str = attribute["S"]
    return text


def number(attribute: Item | None) -> float | None:
    """Return what a numeric attribute holds."""
    return None if attribute is None else float(attribute["N"])


def _size(item: Item) -> int:
    """Return the bytes of an item at most; Developer Guide, "DynamoDB item sizes and formats"."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(attribute: Item) -> int:
    ((kind, value),) = attribute.items()
    if kind == "M":
        return 3 + len(value) + _size(value)
    return len(value.encode() if kind == "S" else value) + 1
