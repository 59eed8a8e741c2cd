"""What an adapter needs is named by those who import it without."""

from __future__ import annotations

import pkgutil

import pytest

from praison_persist import integrations
from tests.programs import ROOT

MODULES = [module.name for module in pkgutil.iter_modules(integrations.__path__)]


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("_")])
def test_an_adapter_has_an_extra_of_its_name(module: str) -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = {module.replace("_", "-"), module.replace("_", "")}
    assert any(f"\n{name} = [" in declared for name in names)
