"""How knowledge is laid out in Milvus's collections, and how its filters are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import sqrt
from typing import Any

from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from praison_persist.errors import InvalidDataError
from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.terms import numbers_of, safe_key, terms_of, token
from praison_persist.knowledge.vectors import score_of
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = [
    "COLUMNS",
    "DIMENSION_MAX",
    "METRICS",
    "PREFIX",
    "PROPERTY",
    "condition",
    "create_collection",
    "described",
    "document_of",
    "key_of",
    "keys_in",
    "row_of",
]

PREFIX = "praison_"  # of collections, as Milvus's names begin with no digit
PROPERTY = "praison_persist"  # of a collection, which it describes
METRICS = {"cosine": "COSINE", "euclidean": "L2", "dot": "IP"}
COLUMNS = ["document_id", "content", "metadata", "content_hash", "created_at"]

# Milvus, "Milvus Limits".
DIMENSION_MAX = 32_768
_ELEMENTS_MAX = 4096  # of an array
_BYTES_MAX = 65_535  # of a string
_PIECE = 16_000  # characters: in UTF-8 they are less than that
_ID_BYTES = 1020  # of 255 characters
_KEY = 32  # characters of `token`

_NO_INDEX = 700  # IndexNotFound: github.com/milvus-io/milvus, pkg/util/merr/errors.go
_TRIES = 5


def create_collection(
    client: MilvusClient, collection: KnowledgeCollection, timeout: float
) -> None:
    """Create a collection with its index, and load it. If there is one, nothing is done.

    PyMilvus waits for the index by asking for its state, which Milvus and Milvus Lite may not know
    yet while others ask too.
    """
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    text = {"element_type": DataType.VARCHAR, "max_capacity": _ELEMENTS_MAX}
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=_KEY)
    schema.add_field("document_id", DataType.VARCHAR, max_length=_ID_BYTES)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=collection.dimension)
    schema.add_field("content", DataType.ARRAY, max_length=_BYTES_MAX, **text)
    schema.add_field("metadata", DataType.ARRAY, max_length=_BYTES_MAX, **text)
    schema.add_field("content_hash", DataType.VARCHAR, max_length=256)
    schema.add_field("created_at", DataType.DOUBLE)
    schema.add_field("terms", DataType.ARRAY, max_length=_KEY, **text)
    schema.add_field("numbers", DataType.JSON)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type=METRICS[collection.distance])
    about = {
        "dimension": collection.dimension,
        "distance": collection.distance,
        "metadata": collection.metadata,
    }
    try:
        client.create_collection(
            PREFIX + collection.name,
            schema=schema,
            index_params=index,
            consistency_level="Strong",
            properties={PROPERTY: json.dumps(about)},
            timeout=timeout,
        )
    except MilvusException as error:
        if error.code == _NO_INDEX:
            _add_index(client, PREFIX + collection.name, index, timeout)
        elif not any(words in str(error.message) for words in ("already exist", "duplicate coll")):
            raise


def _add_index(client: MilvusClient, name: str, index: Any, timeout: float) -> None:
    """Add the index to a collection that may have it, and load it."""
    for left in reversed(range(_TRIES)):
        try:
            client.create_index(name, index, timeout=timeout)
        except MilvusException as error:
            if error.code != _NO_INDEX or not left:
                raise
        else:
            break
    client.load_collection(name, timeout=timeout)


def described(name: str, properties: dict[str, str]) -> KnowledgeCollection | None:
    """Return what a collection was created with; None: by another program."""
    about = properties.get(PROPERTY)
    return None if about is None else KnowledgeCollection(name, **json.loads(about))


def key_of(document_id: str) -> str:
    """Return the primary key of a document, which needs no quoting and sorts evenly."""
    return token(document_id)


def row_of(document: KnowledgeDocument) -> dict[str, Any]:
    """Return what is kept of a document.

    Raises:
        InvalidDataError: more than Milvus holds; names the document.
    """
    payload = packed(document)
    terms = terms_of(document.metadata)
    row = {
        "id": key_of(document.id),
        "document_id": document.id,
        "vector": document.embedding,
        **payload,
        "content": _pieces(payload["content"]),
        "metadata": _pieces(payload["metadata"]),
        "terms": [token(each) for each in terms],
        "numbers": {safe_key(key): number for key, number in numbers_of(document.metadata).items()},
    }
    for name in ("content", "metadata", "terms"):
        if len(row[name]) > _ELEMENTS_MAX:
            raise InvalidDataError(
                f"The document {document.id!r} has more {name} than Milvus holds: "
                f"{_ELEMENTS_MAX} values of fields, or {_ELEMENTS_MAX * _PIECE} characters"
            )
    return row


def document_of(
    row: dict[str, Any], distance: str = "", value: float | None = None
) -> KnowledgeDocument:
    """Undo `row_of`. With what was measured by a distance, the document has a score."""
    if value is not None:
        # Milvus, "Metric Types": the Euclidean distance is squared.
        measured = sqrt(max(0.0, value)) if distance == "euclidean" else value
        value = score_of(distance, measured)
    payload = row | {name: "".join(row[name]) for name in ("content", "metadata")}
    return unpacked(row["document_id"], payload, embedding=row.get("vector"), score=value)


def _pieces(text: str) -> list[str]:
    """Return the text as strings that each fit into an element."""
    return [text[begin : begin + _PIECE] for begin in range(0, len(text), _PIECE)]


def keys_in(slot: int, slots: int) -> str:
    """Return the filter for one of so many equal slices of all primary keys."""
    return (
        f'id >= "{slot * 16**_KEY // slots:0{_KEY}x}"'
        if slot == slots - 1
        else f'(id >= "{slot * 16**_KEY // slots:0{_KEY}x}" and '
        f'id < "{(slot + 1) * 16**_KEY // slots:0{_KEY}x}")'
    )


def condition(where: Filter) -> str:
    """Return the filter of a filter in which Not is at the leaves.

    Nothing in it has to be quoted: terms are tokens, fields safe keys, the rest numbers. Each part
    is in parentheses, as "exists" and "not" bind otherwise in some versions than in others.
    """
    match where:
        case Has(()):
            return '(id == "")'
        case Has(terms):
            return f"array_contains_any(terms, [{_tokens(terms)}])"
        case Range(key, bounds):
            return f"({_there(key)} and {_compared(key, bounds)})"
        case Not(Range(key, bounds)):
            return f"((not {_there(key)}) or (not ({_compared(key, bounds)})))"
        case And(parts):
            return "(" + " and ".join(map(condition, parts)) + ")"
        case Or(parts):
            return "(" + " or ".join(map(condition, parts)) + ")"
        case Not(part):
            return f"(not ({condition(part)}))"


def _there(key: str) -> str:
    return f'(exists numbers["{safe_key(key)}"])'


def _compared(key: str, bounds: Sequence[tuple[str, float]]) -> str:
    place = f'numbers["{safe_key(key)}"]'
    return " and ".join(f"({place} {name} {bound!r})" for name, bound in bounds)


def _tokens(terms: Sequence[str]) -> str:
    return ", ".join(f'"{token(each)}"' for each in terms)
