"""How far a copy came, in a file, so that the next one goes on from there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from praison_persist._durable import replace
from praison_persist._masked import masked
from praison_persist.errors import ConfigurationError

__all__ = ["Checkpoint", "address"]

_FORMAT = "praison_persist.copy/1"
_NOT_ONE = "is no checkpoint of a copy; name another file, or delete it"


class Checkpoint:
    """A file that says how far the copies between two places came, one entry for each kind.

    The file holds addresses without passwords, cursors and counts; no contents.

    Args:
        path: of the file. It is made by the first `save`.

    Raises:
        ConfigurationError: the file is there, and is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._entries: dict[str, Any] = {}
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"{str(self.path)!r} {_NOT_ONE}") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ConfigurationError(f"{str(self.path)!r} {_NOT_ONE}")
        self._entries = content["copies"]

    def load(self, kind: str, source: str, target: str) -> dict[str, Any]:
        """Return what was saved of this kind; {} if nothing was.

        Raises:
            ConfigurationError: it was of a copy between other places.
        """
        entry = self._entries.get(kind)
        if entry is None:
            return {}
        if [entry["source"], entry["target"]] != [source, target]:
            raise ConfigurationError(
                f"{str(self.path)!r} belongs to a copy from {entry['source']} to "
                f"{entry['target']}, not from {source} to {target}; name another file"
            )
        return dict(entry["position"])

    def save(self, kind: str, source: str, target: str, position: dict[str, Any]) -> None:
        """Note how far the copy of this kind came; it is on the disk when the call returns."""
        self._entries[kind] = {"source": source, "target": target, "position": position}
        content = {"format": _FORMAT, "copies": self._entries}
        replace(self.path, json.dumps(content).encode(), mode=0o600)

    def remove(self) -> None:
        """Delete the file, if it is there: the copy is done."""
        self.path.unlink(missing_ok=True)
        self._entries = {}


def address(place: object) -> str:
    """Return a URL without its password, or what a store says of itself."""
    return masked(os.fspath(place)) if isinstance(place, str | os.PathLike) else repr(place)
