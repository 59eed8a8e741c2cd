"""Modules that are made of a table instead of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from praison_persist._lazy import load
from praison_persist.compat import modules

__all__ = ["TableFinder"]


class TableFinder(MetaPathFinder):
    """Finds the modules of `modules.MODULES` below one parent.

    Args:
        parent: the package below which the table's names are: "praisonai", for instance.
    """

    def __init__(self, parent: str) -> None:
        self.parent = parent
        self._roots = tuple(f"{parent}.{root}" for root in modules.ROOTS)

    def owns(self, name: str) -> bool:
        """Whether a module of this full name is this finder's, whether there is one or not."""
        return any(name == root or name.startswith(f"{root}.") for root in self._roots)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the signature of a finder
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> ModuleSpec | None:
        """Return the spec of a module of the table, None for all others."""
        name = fullname.removeprefix(f"{self.parent}.")
        if not self.owns(fullname) or name not in modules.MODULES:
            return None  # nor will others find one: the packages of the table have no path
        below = f"{name}."
        children = {each[len(below) :] for each in modules.MODULES if each.startswith(below)}
        return ModuleSpec(
            fullname,
            _TableLoader(modules.MODULES[name], children),
            origin=modules.__file__,
            is_package=name in modules.PACKAGES,
        )


class _TableLoader(Loader):
    """Fills a module with the names of one row; what they stand for is imported on demand."""

    def __init__(self, places: Mapping[str, str], children: AbstractSet[str]) -> None:
        self._places = places
        self._children = children

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its `__getattr__`, `__dir__`, `__all__` and docstring."""
        places, children, namespace = self._places, self._children, vars(module)
        name = module.__name__

        def __getattr__(attribute: str) -> Any:  # noqa: N807 - a module's, PEP 562
            place = places.get(attribute)
            if attribute in children:
                return import_module(f"{name}.{attribute}")
            if place is None:
                raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
            namespace[attribute] = load(place, name=attribute)
            return namespace[attribute]

        def __dir__() -> list[str]:  # noqa: N807 - a module's, PEP 562
            return sorted({*namespace, *places})

        namespace |= {
            "__all__": sorted(attribute for attribute in places if not attribute.startswith("_")),
            "__dir__": __dir__,
            "__doc__": f"Names of praisonai, kept by praison_persist; see {modules.__name__}.",
            "__getattr__": __getattr__,
        }
