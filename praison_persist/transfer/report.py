"""What a copy tells while it runs, and at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["SHOWN", "CopyReport", "OnProgress", "Progress"]

SHOWN = 100  # differences that a report names; the others it counts


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is.

    Attributes:
        kind: "conversation", "state" or "knowledge".
        phase: "copy" or "verify".
        name: the session, key or collection that was worked on last.
        done: how many messages, keys or documents were worked on in this phase.
        total: how many there are in the source; None if it is not known.
    """

    kind: str
    phase: str
    name: str
    done: int
    total: int | None


OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class CopyReport:
    """What was copied, or, of a dry run, what would be.

    Attributes:
        kind: "conversation", "state" or "knowledge".
        found: how many the source has, by what they are: sessions and messages, keys, or
            collections and documents.
        written: how many of these were written; the others were there. Of a dry run, nothing.
        left_out: how many sessions lost what was to be left out, by what that is.
        differences: what verifying found to differ, in a line each, `SHOWN` of them at most.
        different: how many differ.
        verified: the target was compared with the source.
        dry_run: nothing was written.
    """

    kind: str
    found: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    different: int = 0
    verified: bool = False
    dry_run: bool = False

    @property
    def is_fine(self) -> bool:
        """Nothing was found to differ."""
        return not self.different

    def differ(self, what: str) -> None:
        """Note that something differs."""
        self.different += 1
        if len(self.differences) < SHOWN:
            self.differences.append(what)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        counts = ("found", "written", "left_out")
        return asdict(self) | {name: dict(getattr(self, name)) for name in counts}
