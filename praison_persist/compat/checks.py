"""The checks of names and dimensions that praisonai's modules offer."""

from __future__ import annotations

import re

from praison_persist.errors import InvalidDataError

__all__ = ["validate_collection", "validate_dimension", "validate_identifier"]

_WORD = re.compile(r"[A-Za-z0-9_]*")


def validate_identifier(value: str, name: str = "identifier") -> str:
    """Return a prefix or part of a table's name, which may be empty.

    Raises:
        InvalidDataError: it has other characters than ASCII letters, digits and underscores.
    """
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise InvalidDataError(
            f"{name} must contain only alphanumeric characters and underscores, not {value!r}"
        )
    return value


def validate_collection(value: str, name: str = "identifier") -> str:
    """Return a collection's name; as `validate_identifier`, and it must not be empty."""
    if value == "":
        raise InvalidDataError(
            f"{name} must be non-empty and contain only alphanumerics and underscores"
        )
    return validate_identifier(value, name)


def validate_dimension(dimension: int, *, name: str = "dimension", max_dim: int = 65_536) -> int:
    """Return the number of dimensions of an embedding.

    Raises:
        InvalidDataError: it is no integer from 1 to `max_dim`.
    """
    if isinstance(dimension, bool) or not isinstance(dimension, int):
        raise InvalidDataError(f"{name} must be a positive integer, not {dimension!r}")
    if not 1 <= dimension <= max_dim:
        raise InvalidDataError(f"{name} must be between 1 and {max_dim}, not {dimension}")
    return dimension
