"""When to try again, and how long to wait before it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter above a floor.

    Attributes:
        max_retries: tries after the first.
        retry_delay_s: upper bound of the first wait; each further one doubles it.
        max_delay_s: no wait is longer.
        uniform: the source of jitter.
    """

    max_retries: int = 3
    retry_delay_s: float = 0.1
    max_delay_s: float = 30.0
    uniform: Callable[[float, float], float] = field(default=random.uniform, compare=False)

    def delays(self) -> Iterator[float]:
        """Yield the seconds to wait before each further try."""
        bound = self.retry_delay_s
        for _ in range(self.max_retries):
            yield self.uniform(bound / 2, bound)
            bound = min(bound * 2, self.max_delay_s)
