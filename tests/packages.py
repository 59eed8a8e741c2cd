"""Packages that only the extras `knowledge` and `integrations` install."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NoReturn

import pytest

__all__ = ["INTEGRATIONS", "KNOWLEDGE", "needs", "not_installed"]

# Variables that make of a missing package a failure.
KNOWLEDGE = "PRAISON_REQUIRE_KNOWLEDGE"
INTEGRATIONS = "PRAISON_REQUIRE_INTEGRATIONS"


def needs(*modules: str, extra: str, required_by: str = KNOWLEDGE) -> None:
    """Skip the test module that calls this, if one of the modules is not installed."""
    for module in modules:
        if _is_installed(module):
            continue
        reason = f"{module} is not installed: pip install 'praison-persist[{extra}]'"
        if os.environ.get(required_by):
            pytest.fail(f"{reason} ({required_by} is set)", pytrace=False)
        pytest.skip(reason, allow_module_level=True)


def _is_installed(module: str) -> bool:
    """Whether it can be found. Of a namespace as `google` others may have installed a part."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it is in
        return False


def not_installed(error: ModuleNotFoundError) -> NoReturn:
    """Skip the test that met this, unless it is a module of ours that does not exist."""
    missing = error.name or ""
    if os.environ.get(KNOWLEDGE) or missing.partition(".")[0] in ("praison_persist", "tests"):
        raise error
    pytest.skip(f"{missing.partition('.')[0]} is not installed: see make test-knowledge")
