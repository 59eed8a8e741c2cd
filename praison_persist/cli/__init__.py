"""The command `praison-persist`."""

from __future__ import annotations

from praison_persist.cli.app import main

__all__ = ["main"]
