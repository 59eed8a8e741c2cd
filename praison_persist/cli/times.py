"""Times, ages and counts as people write and read them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from praison_persist.errors import ConfigurationError

__all__ = ["counted", "duration", "moment", "when"]

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str, option: str) -> float:
    """Return the seconds since the epoch of an age before now, or of a date or time, UTC.

    Args:
        text: such as 90d, 12h, 2026-01-31 or 2026-01-31T12:00.
        option: what it was given to, for messages.

    Raises:
        ConfigurationError: it is neither.
    """
    age = _AGE.fullmatch(text.strip().lower())
    if age is not None:
        return time.time() - float(age[1]) * _SECONDS[age[2]]
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{option} {text!r} is no age, such as 90d or 12h, and no date, such as 2026-01-31"
        ) from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def when(seconds: float) -> str:
    """Return a time as `2026-01-31 12:00:59`, UTC; "" of what is beyond a calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return ""


def duration(seconds: float) -> str:
    """Return seconds as `850 ms`, `12.3 s`, `4 min 5 s` or `2 h 3 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - of a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - of an hour
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def counted(count: int, noun: str) -> str:
    """Return `1 session`, `2 sessions` or `1,000 sessions`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
