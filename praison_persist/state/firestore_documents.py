"""Documents of Firestore: their ids, their size, and what is asked about them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from google.cloud.firestore_v1.types import StructuredQuery, Value
from google.protobuf.timestamp_pb2 import (  # type: ignore[import-untyped]  # no types of its own
    Timestamp,
)

from praison_persist._json import dumps

__all__ = [
    "BATCH",
    "DOCUMENT_MAX",
    "ID",
    "ID_KEPT",
    "NULL",
    "batches",
    "document_id",
    "escaped",
    "expiry",
    "json_object",
    "names_query",
    "require",
    "size_of",
    "text_value",
]

# cloud.google.com/firestore/quotas
DOCUMENT_MAX = 1_048_576  # bytes
_ID_MAX = 1500  # bytes
ID_KEPT = 1400  # bytes of a longer one, before its hash

BATCH = 500  # documents a request
# Of the 10 MiB that a request may have; more takes long to send.
_REQUEST_BYTES = 3 * 2**20

# Document ids begin with this, so that they are none of those that Firestore refuses or that other
# programs chose by the key alone, and are of the printable ASCII characters but "/".
_MARK = "="
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).replace("/", "").replace("%", "")
ID = re.compile(f"{_MARK}[!-.0-~]{{0,{_ID_MAX - 1}}}")


def escaped(name: str) -> str:
    """Return a text that begins with another's if and only if the name begins with the other."""
    return _MARK + quote(name, safe=_PLAIN)


def document_id(name: str) -> str:
    """Return the id of the document of a name."""
    plain = escaped(name)
    if len(plain) <= _ID_MAX:
        return plain
    # The key itself is a field. No escaped name has "%%".
    return f"{plain[:ID_KEPT]}%%{sha256(name.encode()).hexdigest()}"


NULL = Value.pb()(null_value=0)


def text_value(text: str | None) -> Any:
    """Return a text as the value of a field."""
    return NULL if text is None else Value.pb()(string_value=text)


def json_object(texts: Mapping[str, str]) -> str:
    """Return the JSON object of values that are JSON."""
    return "{" + ",".join(f"{dumps(name)}:{text}" for name, text in texts.items()) + "}"


def expiry(document: Any) -> float | None:
    """Return when the entry of a document expires, None: never."""
    value = document.fields["expires_at"]
    expires_at: float = value.double_value
    return expires_at if value.HasField("double_value") else None


def size_of(document: Any) -> int:
    """Return the bytes that count. firebase.google.com/docs/firestore/storage-size."""
    path = document.name.split("/")[5:]
    size = 16 + sum(len(segment.encode()) + 1 for segment in path) + 32
    for name, value in document.fields.items():
        if value.HasField("string_value"):
            size += len(value.string_value.encode()) + 1
        else:
            size += 1 if value.HasField("null_value") else 8
        size += len(name) + 1
    return size


def require(write: Any, updated: Timestamp | None) -> None:
    """Let the write fail if another was ahead of it."""
    if updated is None:
        write.current_document.exists = False
    else:
        write.current_document.update_time.CopyFrom(updated)


def batches(writes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the writes in groups that one request may have."""
    batch: dict[str, Any] = {}
    size = 0
    for key, write in writes.items():
        bytes_ = write.ByteSize()
        if batch and (len(batch) == BATCH or size + bytes_ > _REQUEST_BYTES):
            yield batch
            batch, size = {}, 0
        batch[key] = write
        size += bytes_
    if batch:
        yield batch


def names_query(collection: str, begin: str, end: str, limit: int, *, after: bool) -> Any:
    """Return the query for the names of documents from `begin`, or after it, to before `end`."""
    query = StructuredQuery.pb()(limit={"value": limit})
    query.from_.add(collection_id=collection)
    for field in ("key", "expires_at"):
        query.select.fields.add(field_path=field)
    both = query.where.composite_filter
    both.op = StructuredQuery.CompositeFilter.Operator.AND
    compare = StructuredQuery.FieldFilter.Operator
    first = compare.GREATER_THAN if after else compare.GREATER_THAN_OR_EQUAL
    for operator, name in ((first, begin), (compare.LESS_THAN, end)):
        bound = both.filters.add().field_filter
        bound.field.field_path, bound.op = "__name__", operator
        bound.value.reference_value = name
    query.order_by.add(
        field={"field_path": "__name__"}, direction=StructuredQuery.Direction.ASCENDING
    )
    return query
