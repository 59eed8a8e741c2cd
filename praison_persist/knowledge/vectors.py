"""Embeddings in single precision, and how near two of them are. Uses NumPy where it is there."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import dist, sqrt
from operator import mul
from typing import Any

__all__ = ["DISTANCES", "pack", "score_of", "scores", "single", "unpack"]

DISTANCES = ("cosine", "euclidean", "dot")


def pack(vector: Sequence[float]) -> bytes:
    """Return four bytes a number, little-endian.

    Raises:
        OverflowError: a number that single precision cannot hold.
    """
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def unpack(packed: bytes) -> list[float]:
    """Undo `pack`."""
    numbers = array("f")
    numbers.frombytes(packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def single(vector: Sequence[float]) -> list[float]:
    """Return the numbers as single precision holds them."""
    return array("f", vector).tolist()


def score_of(distance: str, value: float) -> float:
    """Return the score of what vendors measure.

    Args:
        distance: of the collection.
        value: the cosine, the Euclidean distance (not squared), or the dot product.
    """
    if distance == "cosine":
        return min(1.0, max(-1.0, value))  # rounding may lead beyond
    return 1.0 / (1.0 + max(0.0, value)) if distance == "euclidean" else value


def scores(distance: str, query: Sequence[float], packed: Sequence[bytes]) -> list[float]:
    """Return the score of each packed vector with `query`, for vendors that measure nothing."""
    if not packed:
        return []
    numpy = _numpy()
    if numpy is None:
        values = [_measured(distance, query, unpack(each)) for each in packed]
    else:
        values = _measured_at_once(numpy, distance, query, packed)
    return [score_of(distance, value) for value in values]


@cache
def _numpy() -> Any:
    return import_module("numpy") if find_spec("numpy") else None


def _measured(distance: str, query: Sequence[float], vector: Sequence[float]) -> float:
    if distance == "euclidean":
        return dist(query, vector)
    dot: float = sum(map(mul, query, vector))
    if distance == "dot":
        return dot
    lengths: float = sqrt(sum(map(mul, query, query))) * sqrt(sum(map(mul, vector, vector)))
    return dot / lengths


def _measured_at_once(
    numpy: Any, distance: str, query: Sequence[float], packed: Sequence[bytes]
) -> list[float]:
    # In double precision, as the loop above: both then give the same scores.
    rows = numpy.frombuffer(b"".join(packed), dtype="<f4").reshape(len(packed), -1).astype("f8")
    wanted = numpy.asarray(query, dtype="f8")
    if distance == "euclidean":
        values = numpy.linalg.norm(rows - wanted, axis=1)
    else:
        values = rows @ wanted
        if distance == "cosine":
            values /= numpy.linalg.norm(rows, axis=1) * numpy.linalg.norm(wanted)
    found: list[float] = values.tolist()
    return found
