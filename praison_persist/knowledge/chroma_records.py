"""Documents as records of Chroma, and filters over their metadata."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, sqrt
from typing import Any

from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range, pushed_down
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.terms import exists_term, numbers_of, terms_of, token
from praison_persist.knowledge.vectors import score_of
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["documents_of", "length_of", "record_of", "scaled", "scored", "where_of"]

_TERMS = "terms"
_NEVER = "never"  # no term, which all have quotes or a colon
_OPERATORS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_OPPOSITES = {">": "$lte", ">=": "$lt", "<": "$gte", "<=": "$gt"}
# In between, squares are numbers of single precision.
_SHORT, _LONG = 1e-10, 1e15


def length_of(collection: KnowledgeCollection, vector: Sequence[float]) -> float:
    """Return what to divide a vector by, so that its angles can be measured."""
    length = hypot(*vector)
    return 1.0 if collection.distance != "cosine" or _SHORT < length < _LONG else length


def scaled(vector: Sequence[float], length: float) -> list[float]:
    """Return the vector, divided by a length."""
    return [each / length for each in vector]


def record_of(document: KnowledgeDocument, length: float) -> dict[str, Any]:
    """Return the content, and Chroma's metadata."""
    record = {
        **packed(document),
        "created_at": repr(document.created_at),  # what reads JSON may round
        "length": repr(length),
    }
    numbers = numbers_of(document.metadata)
    terms = [*terms_of(document.metadata), *map(_number_term, numbers)]
    if terms:
        record[_TERMS] = terms
    return record | {_number(key): number for key, number in numbers.items()}


def _number(key: str) -> str:
    return f"n_{token(key)}"


def _number_term(key: str) -> str:
    """Return the term of a document that has such a field."""
    return f"number:{exists_term(key)}"


def documents_of(found: Any) -> list[KnowledgeDocument]:
    """Return the documents of what a collection's `get` returned."""
    embeddings = found.get("embeddings")
    documents = []
    for place, name in enumerate(found["ids"]):
        payload = {**found["metadatas"][place], "content": found["documents"][place] or ""}
        embedding = None
        if embeddings is not None:
            length = float(payload["length"])
            embedding = [float(each) * length for each in embeddings[place]]
        documents.append(unpacked(name, payload, embedding=embedding))
    return documents


def scored(distance: str, measured: float) -> float:
    """Return the score of what Chroma measures (its documentation, "Configure Collections")."""
    if distance == "euclidean":
        return score_of(distance, sqrt(max(0.0, measured)))
    return score_of(distance, 1.0 - measured)


def where_of(where: Filter | None) -> dict[str, Any] | None:
    """Return a filter in Chroma's words."""
    return None if where is None else _compiled(pushed_down(where))


def _compiled(where: Filter) -> dict[str, Any]:
    match where:
        case Has(terms):
            return _joined("$or", [{_TERMS: {"$contains": each}} for each in terms or (_NEVER,)])
        case Not(Has(terms)):
            return _joined(
                "$and", [{_TERMS: {"$not_contains": each}} for each in terms or (_NEVER,)]
            )
        case Range(key, bounds):
            limits = [{_number(key): {_OPERATORS[name]: bound}} for name, bound in bounds]
            return _joined("$and", limits)
        case Not(Range(key, bounds)):
            # A document without the number is neither within nor beyond.
            beyond = [{_number(key): {_OPPOSITES[name]: bound}} for name, bound in bounds]
            return _joined("$or", [*beyond, _compiled(Not(Has((_number_term(key),))))])
        case And(parts):
            return _joined("$and", [_compiled(part) for part in parts])
        case Or(parts):
            return _joined("$or", [_compiled(part) for part in parts])
    raise AssertionError(where)  # pushed_down leaves no other


def _joined(operator: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the parts in pairs of pairs: SQLite takes no expression of a depth beyond 1000."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return {operator: [_joined(operator, parts[:middle]), _joined(operator, parts[middle:])]}
