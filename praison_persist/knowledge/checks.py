"""Checks of what callers hand to a knowledge store, before anything is written."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from praison_persist._checks import check_id, check_time
from praison_persist._json import check_json, dumps, loads
from praison_persist.errors import ConfigurationError, InvalidDataError
from praison_persist.knowledge.vectors import DISTANCES
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = [
    "LIMIT_MAX",
    "check_collection",
    "check_count",
    "check_ids",
    "check_name",
    "check_threshold",
    "check_vector",
    "checked_document",
    "distance_named",
    "validate_dimension",
    "validate_identifier",
]

LIMIT_MAX = 10_000  # documents of one search: what Pinecone and Weaviate return at most

_NAME = re.compile(r"[A-Za-z0-9_]{1,48}")
_DIMENSION_MAX = 65_536
_HASH_MAX = 64  # characters: a whole SHA-256
_SYNONYMS = {
    "l2": "euclidean",
    "euclid": "euclidean",
    "ip": "dot",
    "inner_product": "dot",
    "dot_product": "dot",
    "dotproduct": "dot",
}
# Its square still is a number of single precision, in which some vendors compute.
_SQUARE_MIN = 1e-30


def validate_identifier(value: str, name: str) -> str:
    """Return `value` if it is of ASCII letters, digits and underscores, one at least.

    Raises:
        ConfigurationError: it is not.
    """
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_]+", value):
        raise ConfigurationError(
            f"{name} {value!r} must be of ASCII letters, digits and underscores"
        )
    return value


def validate_dimension(
    dimension: int, *, name: str = "dimension", max_dim: int = _DIMENSION_MAX
) -> int:
    """Return `dimension` if it is a whole number from 1 to `max_dim`.

    Raises:
        InvalidDataError: it is not.
    """
    whole = isinstance(dimension, int) and not isinstance(dimension, bool)
    if not whole or not 1 <= dimension <= max_dim:
        raise InvalidDataError(
            f"{name} must be a whole number from 1 to {max_dim}, not {dimension!r}"
        )
    return dimension


def check_name(name: object) -> str:
    """Return the name of a collection.

    Raises:
        InvalidDataError: it cannot be one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidDataError(
            "The name of a collection is 1 to 48 ASCII letters, digits and underscores, "
            f"not {name!r}"
        )
    return name


def distance_named(distance: object) -> str:
    """Return which of `DISTANCES` is meant.

    Raises:
        InvalidDataError: none; lists them.
    """
    word = distance.lower() if isinstance(distance, str) else ""
    word = _SYNONYMS.get(word, word)
    if word not in DISTANCES:
        known = ", ".join((*DISTANCES, *_SYNONYMS))
        raise InvalidDataError(f"There is no distance {distance!r}; there are {known}")
    return word


def check_collection(
    name: object, dimension: int, distance: object, metadata: dict[str, Any] | None, max_dim: int
) -> KnowledgeCollection:
    """Return a collection to create.

    Raises:
        InvalidDataError: it cannot be; says why.
    """
    checked = check_name(name)
    validate_dimension(dimension, name=f"The dimension of {checked!r}", max_dim=max_dim)
    copy = _document(metadata, f"The metadata of {checked!r}")
    return KnowledgeCollection(checked, dimension, distance_named(distance), copy)


def check_vector(vector: object, collection: KnowledgeCollection, what: str) -> list[float]:
    """Return the vector as floats.

    Raises:
        InvalidDataError: not numbers, another dimension, NaN, too large for single precision, or
            of length 0 where angles are compared; names what it is.
    """
    if isinstance(vector, bytes | bytearray | memoryview):
        raise InvalidDataError(f"{what} must be a list of numbers, not {type(vector).__name__}")
    try:
        numbers: list[float] = array("f", vector).tolist()  # type: ignore[call-overload]  # or it raises
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidDataError(f"{what} must be a list of numbers: {error}") from error
    if len(numbers) != collection.dimension:
        raise InvalidDataError(
            f"{what} has {len(numbers)} dimensions, the collection {collection.name!r} "
            f"{collection.dimension}"
        )
    if not all(map(isfinite, numbers)):
        raise InvalidDataError(f"{what} has a number that single precision cannot hold")
    if collection.distance == "cosine" and sum(x * x for x in numbers) < _SQUARE_MIN:
        raise InvalidDataError(
            f"{what} is of length 0, and has no direction that could be compared; "
            "leave it out, or use the distance euclidean"
        )
    return numbers


def checked_document(document: object, seen: set[str]) -> KnowledgeDocument:
    """Return a copy of a document, its embedding aside, whose id is not yet among those seen.

    Raises:
        InvalidDataError: it could not be read back as it is; names its id.
    """
    if not isinstance(document, KnowledgeDocument):
        raise InvalidDataError(
            f"Documents are KnowledgeDocument objects, not {type(document).__name__}"
        )
    check_id(document.id, "document.id")
    what = f"The document {document.id!r}"
    if document.id in seen:
        raise InvalidDataError(f"{what} is there twice; hand in each id once")
    seen.add(document.id)
    if not isinstance(document.content, str):
        raise InvalidDataError(
            f"{what}: content must be a string, not {type(document.content).__name__}"
        )
    digest = document.content_hash
    if digest is not None and not (isinstance(digest, str) and len(digest) <= _HASH_MAX):
        raise InvalidDataError(f"{what}: content_hash is at most {_HASH_MAX} characters")
    check_time(document.created_at, f"{what}: created_at")
    metadata = _document(document.metadata, f"{what}: metadata")
    return replace(document, metadata=metadata, score=None)


def _document(metadata: object, what: str) -> dict[str, Any] | None:
    """Return a deep copy of a JSON object."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise InvalidDataError(f"{what} must be a dict, not {type(metadata).__name__}")
    check_json(metadata, what)
    copy: dict[str, Any] = loads(dumps(metadata))
    return copy


def check_ids(ids: Sequence[str]) -> list[str]:
    """Return the ids, each once, in their order.

    Raises:
        InvalidDataError: a string in place of a list, or what cannot be an id.
    """
    if isinstance(ids, str):
        raise InvalidDataError(f"ids must be a list of ids, not the string {ids!r}")
    for each in ids:
        check_id(each, "ids")
    return list(dict.fromkeys(ids))


def check_count(limit: object) -> int:
    """Return how many documents are wanted.

    Raises:
        InvalidDataError: no whole number, negative, or more than vendors return.
    """
    whole = isinstance(limit, int) and not isinstance(limit, bool)
    if not whole or not 0 <= limit <= LIMIT_MAX:  # type: ignore[operator]  # an int
        raise InvalidDataError(f"limit must be a whole number from 0 to {LIMIT_MAX}, not {limit!r}")
    return limit  # type: ignore[return-value]  # as above


def check_threshold(threshold: object) -> None:
    """Refuse what scores cannot be compared with.

    Raises:
        InvalidDataError: no number, or NaN.
    """
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold is not None and (not number or threshold != threshold):  # noqa: PLR0124 - NaN
        raise InvalidDataError(f"score_threshold must be a number or None, not {threshold!r}")
