"""Sessions of many messages in the original's stores."""

from __future__ import annotations

from benchmarks.contenders.praisonai import Store
from benchmarks.messages import text_of

__all__ = ["Growing"]

_NEWEST = 50


class Growing(Store):
    """Its sync store, with sessions by their length."""

    def lengthen(self, count: int) -> None:
        """Make a session of this many messages."""
        self.session(f"of-{count}")
        self.fill(f"of-{count}", [text_of(number) for number in range(count)])

    def append_to(self, count: int) -> None:
        """Add a message to the session of this length."""
        self.append(f"of-{count}", text_of(0))

    def newest_of(self, count: int) -> None:
        """Read its newest 50."""
        assert len(self.newest(f"of-{count}", _NEWEST)) == _NEWEST
