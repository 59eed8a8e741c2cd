"""Client libraries of vendors, which only the extra `knowledge` installs."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NoReturn

import pytest

__all__ = ["needs", "not_installed"]

_VARIABLE = "PRAISON_REQUIRE_KNOWLEDGE"


def needs(*modules: str, extra: str) -> None:
    """Skip the test module that calls this, if one of the modules is not installed."""
    for module in modules:
        if find_spec(module.partition(".")[0]) is not None:
            continue
        reason = f"{module} is not installed: pip install 'praison-persist[{extra}]'"
        if os.environ.get(_VARIABLE):
            pytest.fail(f"{reason} ({_VARIABLE} is set)", pytrace=False)
        pytest.skip(reason, allow_module_level=True)


def not_installed(error: ModuleNotFoundError) -> NoReturn:
    """Skip the test that met this, unless it is a module of ours that does not exist."""
    missing = error.name or ""
    if os.environ.get(_VARIABLE) or missing.partition(".")[0] in ("praison_persist", "tests"):
        raise error
    pytest.skip(f"{missing.partition('.')[0]} is not installed: see make test-knowledge")
