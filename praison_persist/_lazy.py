"""Imports on first use: naming a class costs nothing until somebody wants it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from praison_persist.errors import MissingDependencyError

__all__ = ["load"]


def load(path: str, *, name: str, extra: str = "") -> Any:
    """Import "module:attribute" and return the attribute.

    Raises:
        MissingDependencyError: a package it needs is not installed; names the extra.
    """
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        target = f"praison-persist[{extra}]" if extra else (error.name or "its dependencies")
        raise MissingDependencyError(
            f"{name!r} needs the package {error.name!r}, which is not installed. "
            f"Install it: pip install '{target}'"
        ) from error


def lazy_attribute(homes: Mapping[str, str], module: str, name: str) -> Any:
    """Return the attribute `name` of a package whose names live in the modules of `homes`.

    Raises:
        AttributeError: `homes` does not know the name.
    """
    home = homes.get(name)
    if home is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    return load(f"{home}:{name}", name=name)
