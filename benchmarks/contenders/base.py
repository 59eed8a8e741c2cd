"""What a contender is: one way to keep messages, opened in a process of its own.

Methods may be coroutine functions: such a contender's agents are tasks, another's are threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["Contender", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender keeps its data: an empty database of its own.

    Attributes:
        engine: "sqlite", "postgresql", "mariadb" or "redis".
        url: with the bare scheme: sqlite:////file, postgresql://, mysql://, redis://.
    """

    engine: str
    url: str

    @property
    def path(self) -> Path:
        """The file of an SQLite database."""
        return Path(self.url.removeprefix("sqlite:///"))

    def with_driver(self, driver: str) -> str:
        """Return the URL as SQLAlchemy takes it: scheme+driver://…."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}+{driver}://{rest}"


class Contender(ABC):
    """One way to keep messages. What a call stored is durable when it returns.

    Args:
        place: an empty database.
    """

    capacity: ClassVar[int | None] = None
    """Messages after which a session is left for a new one, where each append costs more."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def open(self) -> Any:
        """Connect and make the tables."""

    @abstractmethod
    def session(self, name: str) -> Any:
        """Begin a session; return what the other methods take for it."""

    @abstractmethod
    def append(self, session: Any, text: str) -> Any:
        """Store one message."""

    @abstractmethod
    def read(self, session: Any) -> Any:
        """Return the texts of all messages of a session, in their order."""

    def append_many(self, session: Any, texts: Sequence[str]) -> Any:
        """Store messages in one transaction."""
        raise NotImplementedError

    def newest(self, session: Any, limit: int) -> Any:
        """Return the texts of the newest messages, oldest first."""
        raise NotImplementedError

    def seek(self, session: Any, position: int) -> Any:
        """Find where the page after this many messages begins; `page` then reads it."""
        raise NotImplementedError

    def page(self, session: Any, limit: int) -> Any:
        """Return the texts of the page that `seek` found."""
        raise NotImplementedError

    def turn(self, session: Any, texts: Sequence[str]) -> Any:
        """Resume a session with its newest 50 messages and store those of one turn."""
        raise NotImplementedError

    def gather(self, agents: int) -> Any:  # noqa: ARG002 - most need nothing
        """Make ready for so many agents at once; it is not measured."""
        return None

    def part(self) -> Any:
        """Give back what `gather` took: a server has connections for a hundred, of all together."""
        return None

    def fill(self, session: Any, texts: Sequence[str]) -> Any:
        """Store many messages however it is fastest; it is not measured."""
        return self.append_many(session, texts)

    def durability(self) -> Any:
        """Return the settings that decide what a power failure may take; names to values."""
        return {}

    def close(self) -> Any:
        """Disconnect."""
        return None
