"""Documents as points of Qdrant, and filters over their payload."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot
from typing import Any
from uuid import UUID, uuid5

from qdrant_client import models

from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.terms import exists_term, numbers_of, terms_of
from praison_persist.knowledge.vectors import score_of
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = [
    "INDEXES",
    "PREFIX",
    "decoded",
    "document_of",
    "encoded",
    "filter_of",
    "length_of",
    "point_ids",
    "point_of",
    "scaled",
]

PREFIX = "praison_"
# Of the ids of points, which are UUIDs or numbers, made of those of documents.
_NAMESPACE = UUID("6f2b7f0e-63d2-4d0a-9c1b-7a5c1f3e8d42")
_TERMS, _NUMBERS = "terms", "numbers"
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
INDEXES = {
    _TERMS: models.PayloadSchemaType.KEYWORD,
    f"{_NUMBERS}[].key": models.PayloadSchemaType.KEYWORD,
    f"{_NUMBERS}[].value": models.PayloadSchemaType.FLOAT,
}


def encoded(name: str) -> str:
    """Return the collection's name: folders of that name may differ in more than case only."""
    return PREFIX + "".join(f"-{each.lower()}" if each.isupper() else each for each in name)


def decoded(name: str) -> str:
    """Undo `encoded`."""
    first, *others = name[len(PREFIX) :].split("-")
    return first + "".join(f"{each[:1].upper()}{each[1:]}" for each in others)


def point_ids(ids: Iterable[str]) -> list[Any]:
    """Return the ids of points, which are UUIDs or numbers, for those of documents."""
    return [str(uuid5(_NAMESPACE, each)) for each in ids]


def length_of(collection: KnowledgeCollection, vector: Sequence[float]) -> float:
    """Return what a vector is divided by before it is sent."""
    # Qdrant divides vectors that are compared by their angle by their length, in single precision,
    # in which it may be 0 or infinite. So this is done here, and undone with what is read.
    return hypot(*vector) if collection.distance == "cosine" else 1.0


def scaled(vector: Sequence[float], length: float) -> list[float]:
    """Return the vector, divided by a length."""
    return [each / length for each in vector]


def point_of(collection: KnowledgeCollection, document: KnowledgeDocument) -> models.PointStruct:
    """Return the point of a document."""
    (point,) = point_ids([document.id])
    vector = document.embedding or ()
    length = length_of(collection, vector)
    numbers = numbers_of(document.metadata)
    payload = {
        **packed(document),
        "id": document.id,
        "created_at": repr(document.created_at),  # what reads JSON may round
        "length": repr(length),
        _TERMS: terms_of(document.metadata),
        _NUMBERS: [{"key": exists_term(key), "value": value} for key, value in numbers.items()],
    }
    return models.PointStruct(id=point, vector=scaled(vector, length), payload=payload)


def document_of(
    point: models.Record | models.ScoredPoint, distance: str | None = None
) -> KnowledgeDocument:
    """Return the document of a point; with its score, if it was found by a distance."""
    payload: Any = point.payload
    vector: Any = point.vector
    score = None
    length = float(payload["length"])
    if isinstance(point, models.ScoredPoint) and distance is not None:
        score = score_of(distance, point.score)
    return unpacked(
        payload["id"],
        payload,
        embedding=scaled(vector, 1 / length) if isinstance(vector, list) else None,
        score=score,
    )


def filter_of(where: Filter | None) -> models.Filter | None:
    """Return a filter in Qdrant's words."""
    return None if where is None else models.Filter(must=[_compiled(where)])


def _compiled(where: Filter) -> Any:
    match where:
        case Has(()):
            return models.HasIdCondition(has_id=[])
        case Has(terms):
            return _match(_TERMS, terms)
        case Range(key, bounds):
            limits = [
                models.FieldCondition(key="value", range=models.Range(**{_BOUNDS[name]: bound}))
                for name, bound in bounds
            ]
            inner = models.Filter(must=[_match("key", [exists_term(key)]), *limits])
            return models.NestedCondition(nested=models.Nested(key=_NUMBERS, filter=inner))
        case And(parts):
            return models.Filter(must=[_compiled(part) for part in parts])
        case Or(parts):
            return models.Filter(should=[_compiled(part) for part in parts])
        case Not(part):
            return models.Filter(must_not=[_compiled(part)])


def _match(field: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))
