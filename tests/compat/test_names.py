"""The module tree of praisonai 4.7.19, name for name.

`original_names.json` lists its modules, their names, and of each class the parameters of its
constructor and its public methods.
"""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from praison_persist import MissingDependencyError
from praison_persist.compat.modules import MODULES

from .left_out import EVERYWHERE, MEMBERS

Names = dict[str, Any]

ORIGINAL: dict[str, Names] = json.loads((Path(__file__).parent / "original_names.json").read_text())
CLASSES = {
    name: (module, facts)
    for module, names in ORIGINAL.items()
    for name, facts in names.items()
    if facts is not None and "members" in facts
}
STORES = sorted(name for name in CLASSES if name.endswith("Store"))


def ours(module: str) -> Any:
    return importlib.import_module(module.replace("praisonai", "praison_persist.compat", 1))


def usable(cls: Any) -> bool:
    """Whether the client of a store is installed; else making one says so."""
    if "__new__" not in vars(cls):
        return True
    with pytest.raises(MissingDependencyError, match="pip install"):
        cls()
    return False


@pytest.mark.parametrize("module", ORIGINAL)
def test_every_name_of_the_original_is_there_or_left_out_for_a_reason(module: str) -> None:
    found = ours(module)
    missing = {name for name in ORIGINAL[module] if not hasattr(found, name)}
    assert {name for name in missing if not EVERYWHERE.get(name)} == set()
    assert {name for name in ORIGINAL[module] if name not in missing} <= set(dir(found))


def test_what_is_left_out_is_there_nowhere_else() -> None:
    """A reason outlives what it was about."""
    named = {name for names in ORIGINAL.values() for name in names}
    assert set(EVERYWHERE) <= named
    for name, members in MEMBERS.items():
        assert set(members) <= set(CLASSES[name][1]["members"])


def test_only_documented_modules_are_added() -> None:
    theirs = {name.removeprefix("praisonai.") for name in ORIGINAL}
    assert set(MODULES) - theirs == {"persistence.conversation.mysql_new"}


@pytest.mark.parametrize("name", STORES)
def test_a_constructor_takes_what_the_original_takes_in_its_order(name: str) -> None:
    module, facts = CLASSES[name]
    cls = getattr(ours(module), name)
    if not usable(cls) or inspect.isabstract(cls):
        return
    signature = inspect.signature(cls)
    expected = facts["parameters"]
    positional = signature.bind(*expected).arguments
    assert dict(zip(expected, expected, strict=True)) == positional
    signature.bind(**dict.fromkeys(expected))


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_has_the_methods_of_the_original(name: str) -> None:
    module, facts = CLASSES[name]
    cls = getattr(ours(module), name)
    if not usable(cls):
        return
    left_out = MEMBERS.get(name, {})
    renamed = {each.removeprefix("async_") for each in facts["members"] if "async_" in each}
    expected = {each for each in facts["members"] if each.removeprefix("async_") == each}
    missing = {each for each in expected | renamed if not hasattr(cls, each)}
    assert missing == set(left_out) & missing
    assert all(left_out[each] for each in missing)
