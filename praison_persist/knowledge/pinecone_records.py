"""How collections and documents are written in Pinecone, and filters in its query language.

Limits are those of docs.pinecone.io, "Database limits", "Manage indexes" and "Filter by metadata".
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from praison_persist._json import dumps, loads
from praison_persist.errors import BackendError, InvalidDataError
from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range, pushed_down
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.terms import numbers_of, safe_key, terms_of, token
from praison_persist.knowledge.vectors import score_of
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = [
    "METADATA_BYTES",
    "METRICS",
    "PREFIX_MAX",
    "Record",
    "compiled",
    "described",
    "document_of",
    "index_name",
    "part_ids",
    "record_id",
    "record_of",
    "score",
    "tags_of",
]

METRICS = {"cosine": "cosine", "euclidean": "euclidean", "dot": "dotproduct"}
METADATA_BYTES = 40_960  # of a record
PREFIX_MAX = 15  # characters: the name of an index has 45

_MARGIN = 2_000  # bytes: how Pinecone counts the 40 KB is not written
_PART_BYTES = 20_000  # which escaping may double
_TAG_CHARACTERS = 120
_TAGS = 18  # of 20
_DISTANCES = {metric: distance for distance, metric in METRICS.items()}
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
# Terms begin with a quote or "sha256:". Each record has the first of these, so that no record is
# without the field, and none has the other: an empty $in is not allowed.
_ALWAYS, _NEVER = "*", "!"
_LARGEST = 1.7976931348623157e308
_OPERATORS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_OPPOSITE = {">": "$lte", ">=": "$lt", "<": "$gte", "<=": "$gt"}


@dataclass(frozen=True, slots=True)
class Record:
    """A document as Pinecone keeps it.

    Attributes:
        parts: by id, the pieces of a payload that is too large for the record's metadata.
    """

    id: str
    metadata: dict[str, Any]
    parts: dict[str, str] = field(default_factory=dict)


def index_name(prefix: str, name: str) -> str:
    """Return the name of a collection's index: lowercase letters, digits and hyphens, up to 45."""
    readable = re.sub("[^a-z0-9]", "", name.lower())[:12] or "x"
    return f"{prefix}-{readable}-{token(name)[:16]}"


def tags_of(collection: KnowledgeCollection) -> dict[str, str]:
    """Return the tags of a collection's index.

    Raises:
        InvalidDataError: its metadata does not fit.
    """
    packed_up = zlib.compress(dumps(collection.metadata).encode("ascii"), 9)
    text = base64.urlsafe_b64encode(packed_up).decode("ascii").rstrip("=")
    pieces = list(_pieces(text, _TAG_CHARACTERS))
    if len(pieces) > _TAGS:
        raise InvalidDataError(
            f"The metadata of the collection {collection.name!r} does not fit into the tags of a "
            f"Pinecone index, which hold {_TAGS * _TAG_CHARACTERS * 3 // 4} bytes, compressed; "
            "keep it in a document"
        )
    return {
        "praison-collection": collection.name,
        **{f"praison-metadata-{number}": piece for number, piece in enumerate(pieces)},
    }


def described(
    tags: Mapping[str, str] | None, dimension: int | None, metric: str
) -> KnowledgeCollection | None:
    """Undo `tags_of`. None: another program's index."""
    tags = tags or {}
    name = tags.get("praison-collection")
    if name is None or dimension is None:
        return None
    text = "".join(tags.get(f"praison-metadata-{number}", "") for number in range(_TAGS))
    try:
        metadata = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, zlib.error) as error:
        raise BackendError(
            f"The tags praison-metadata-… of the Pinecone index of {name!r} were changed; "
            "restore them, or delete the index"
        ) from error
    return KnowledgeCollection(name, dimension, _DISTANCES[metric], loads(metadata.decode("ascii")))


def record_id(document_id: str) -> str:
    """Return the id of a document's record: ASCII, and short, since ids are sent in URLs."""
    if _PLAIN_ID.fullmatch(document_id):
        return document_id
    return f"~{token(document_id)}"


def record_of(document: KnowledgeDocument) -> Record:
    """Return what to keep with a document's embedding.

    Raises:
        InvalidDataError: more is to be filtered by than Pinecone keeps with a record.
    """
    record = record_id(document.id)
    payload = packed(document)
    text = dumps(payload)
    filterable = {
        "id": document.id,
        "write": token(document.id + text),
        "terms": [_ALWAYS, *terms_of(document.metadata)],
        **{
            f"n_{safe_key(key)}": max(-_LARGEST, min(_LARGEST, number))
            for key, number in numbers_of(document.metadata).items()
        },
    }
    if _size(filterable) + _size(payload) + _MARGIN <= METADATA_BYTES:
        return Record(record, filterable | payload)
    if _size(filterable) + _MARGIN > METADATA_BYTES:
        raise InvalidDataError(
            f"The document {document.id!r}: the fields of its metadata take more than the 40 KB "
            "that Pinecone filters by; put what is not filtered by into a nested object"
        )
    pieces = list(_pieces(text, _PART_BYTES))
    metadata = filterable | {"parts": len(pieces)}
    return Record(record, metadata, dict(zip(part_ids(record, metadata), pieces, strict=True)))


def part_ids(record: str, metadata: Mapping[str, Any]) -> list[str]:
    """Return the ids of the pieces of a record's payload; none, if it is whole."""
    return [
        f"{record}.{metadata['write']}.{number}" for number in range(int(metadata.get("parts", 0)))
    ]


def document_of(
    metadata: Mapping[str, Any],
    pieces: Sequence[str],
    *,
    embedding: Sequence[float] | None = None,
    score: float | None = None,
) -> KnowledgeDocument:
    """Return the document of a record and the pieces of its payload."""
    payload = loads("".join(pieces)) if pieces else metadata
    return unpacked(metadata["id"], payload, embedding=embedding, score=score)


def score(distance: str, value: float) -> float:
    """Return the score of what Pinecone measures: of "euclidean" the square of the distance."""
    return score_of(distance, max(0.0, value) ** 0.5 if distance == "euclidean" else value)


def compiled(where: Filter) -> dict[str, Any]:
    """Return a metadata filter. It has no $not; each record has `terms`, not each has a number."""
    return _compiled(pushed_down(where))


def _compiled(where: Filter) -> dict[str, Any]:
    match where:
        case Has(terms):
            return {"terms": {"$in": list(terms) or [_NEVER]}}
        case Not(Has(terms)):
            return {"terms": {"$nin": list(terms) or [_NEVER]}}
        case Range(key, bounds):
            name = f"n_{safe_key(key)}"
            return {"$and": [{name: {_OPERATORS[sign]: bound}} for sign, bound in bounds]}
        case Not(Range(key, bounds)):
            name = f"n_{safe_key(key)}"
            outside = [{name: {_OPPOSITE[sign]: bound}} for sign, bound in bounds]
            return {"$or": [{name: {"$exists": False}}, *outside]}
        case And(parts):
            return {"$and": [_compiled(part) for part in parts]}
        case Or(parts):
            return {"$or": [_compiled(part) for part in parts]}
        case Not():
            raise AssertionError(where)  # pushed down to the leaves


def _size(metadata: Mapping[str, Any]) -> int:
    return len(dumps(metadata).encode("ascii"))


def _pieces(text: str, size: int) -> Iterator[str]:
    for begin in range(0, len(text), size):
        yield text[begin : begin + size]
