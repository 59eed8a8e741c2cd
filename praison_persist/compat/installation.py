"""praison_persist under the names of praisonai."""

from __future__ import annotations

import sys
import threading
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from praison_persist.compat.finder import TableFinder
from praison_persist.errors import ConfigurationError

__all__ = ["install", "is_installed", "uninstall"]

_PARENT = "praisonai"
_lock = threading.Lock()


def install() -> None:
    """Let `praisonai.persistence`, `praisonai.db` and `praisonai._registry` be those of here.

    If praisonai is installed, the rest of it stays what it is. Calling it again does nothing.

    Raises:
        ConfigurationError: a module that would be replaced was imported already; who did so keeps
            it. Call `install` first.
    """
    with _lock:
        if _installed() is not None:
            return
        finder = TableFinder(_PARENT)
        early = sorted(name for name in sys.modules if finder.owns(name))
        if early:
            raise ConfigurationError(
                f"{early[0]} was imported already, and {len(early) - 1} more modules of its tree; "
                "call praison_persist.compat.install() before anything imports them"
            )
        if _PARENT not in sys.modules and find_spec(_PARENT) is None:
            sys.modules[_PARENT] = _empty_package()
        sys.meta_path.insert(0, finder)


def uninstall() -> None:
    """Undo `install`: the next import finds what is installed. Objects in use stay usable."""
    with _lock:
        finder = _installed()
        if finder is None:
            return
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if finder.owns(name)]:
            module = sys.modules.pop(name)
            parent, _, child = name.rpartition(".")
            holder = sys.modules.get(parent)
            if holder is not None and vars(holder).get(child) is module:
                delattr(holder, child)
        if _is_ours(sys.modules.get(_PARENT)):
            del sys.modules[_PARENT]


def is_installed() -> bool:
    """Whether `install` is in effect."""
    return _installed() is not None


def _installed() -> TableFinder | None:
    for finder in sys.meta_path:
        if isinstance(finder, TableFinder) and finder.parent == _PARENT:
            return finder
    return None


def _empty_package() -> ModuleType:
    """Return a package `praisonai` with nothing in it but what the finder finds."""
    package = ModuleType(_PARENT, "Made by praison_persist.compat.install().")
    package.__path__ = []
    package.__spec__ = ModuleSpec(_PARENT, None, origin=__file__, is_package=True)
    return package


def _is_ours(module: ModuleType | None) -> bool:
    spec = getattr(module, "__spec__", None)
    return spec is not None and spec.origin == __file__
