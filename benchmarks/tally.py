"""What became of the messages: those acknowledged are compared with those read back."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Counts of messages.

    Attributes:
        acknowledged: appends that returned.
        lost: acknowledged, and not read back.
        duplicated: read back more often than once, each surplus copy.
        out_of_order: read back before one that was acknowledged earlier in the session.
        unacknowledged: read back though the append had raised: allowed, the caller cannot know.
        errors: what appends raised, and how often.
    """

    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    unacknowledged: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, acknowledged: Sequence[int], stored: Sequence[int]) -> Self:
        """Compare the messages of one session, each in its order."""
        copies = Counter(stored)
        place = {number: index for index, number in reversed([*enumerate(stored)])}
        places = [place[number] for number in acknowledged if number in place]
        return cls(
            acknowledged=len(acknowledged),
            lost=len(acknowledged) - len(places),
            duplicated=sum(count - 1 for count in copies.values()),
            out_of_order=sum(b < a for a, b in itertools.pairwise(places)),
            unacknowledged=len(copies.keys() - set(acknowledged)),
        )

    def add(self, other: Tally) -> None:
        """Count the other's too."""
        self.acknowledged += other.acknowledged
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.out_of_order += other.out_of_order
        self.unacknowledged += other.unacknowledged
        self.raised(other.errors)

    def raised(self, errors: Mapping[str, int]) -> None:
        """Count errors."""
        for error, count in errors.items():
            self.errors[error] = self.errors.get(error, 0) + count

    @property
    def any(self) -> bool:
        """Whether anything was counted."""
        return bool(self.acknowledged or self.errors)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return asdict(self)
