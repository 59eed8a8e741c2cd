"""What searches, lists and imports of sessions answer with."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["ImportReport", "SessionHit", "SessionSummary"]


@dataclass
class SessionHit:
    """A session that a search found, and where.

    Attributes:
        when: when the session was last written to (ISO 8601).
        snippet: the text around the match.
        score: higher is better; comparable within one search only.
        anchor_index: index of the best message among the archived and then the active ones.
        messages: the messages around the anchor.
        bookends: {"opening": [...], "closing": [...]}: the first and last turns of the session.
    """

    session_id: str
    title: str = ""
    when: str | None = None
    snippet: str = ""
    score: float = 0.0
    anchor_index: int = -1
    messages: list[dict[str, Any]] = field(default_factory=list)
    bookends: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a new dict of JSON values; the bookends only if there are any."""
        data = {f.name: deepcopy(getattr(self, f.name)) for f in fields(self)}
        if not self.bookends:
            del data["bookends"]
        return data


@dataclass
class SessionSummary:
    """A line of a list of sessions."""

    session_id: str
    title: str = ""
    when: str | None = None
    message_count: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as a new dict."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        imported: how many sessions are now stored.
        skipped: `{"session_id": ..., "reason": ...}` of each that is not.
        version: the payload version that this library writes.
    """

    imported: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    version: int = 1

    @property
    def skipped_count(self) -> int:
        """How many sessions were not imported."""
        return len(self.skipped)

    def skip(self, session_id: str, reason: str) -> None:
        """Note a session that is not imported."""
        self.skipped.append({"session_id": session_id, "reason": reason})

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a new dict of JSON values."""
        return {
            "imported": self.imported,
            "skipped": [dict(entry) for entry in self.skipped],
            "skipped_count": self.skipped_count,
            "version": self.version,
        }
