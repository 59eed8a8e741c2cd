"""What a vendor's driver of state does: few hooks, on values that were checked and encoded."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence

from praison_persist._flow import Flow
from praison_persist._vendor import Vendor, done
from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.protocols import StateCapability
from praison_persist.state.keys import Glob

__all__ = ["StateDriver", "added", "bad_cursor", "done", "not_a_counter", "out_of_range"]


class StateDriver(Vendor):
    """The hooks of a vendor. See `praison_persist.state.base`.

    Keys and fields are checked strings, texts are ASCII JSON, times to live are seconds above 0 or
    None, which is for ever. What has expired is as if it had been deleted.

    Attributes:
        capabilities: what of `StateCapability` it can do.
    """

    capabilities: frozenset[StateCapability] = frozenset(StateCapability)

    @abstractmethod
    def read(self, keys: Sequence[str]) -> Flow[dict[str, str]]:
        """Return key -> text for those of the keys that have a value."""

    @abstractmethod
    def read_versioned(self, key: str) -> Flow[tuple[str, int] | None]:
        """Return the text and version of the key's value, None if it has none."""

    @abstractmethod
    def write(self, texts: Mapping[str, str], version: int, ttl: float | None) -> Flow[int]:
        """Set the values, their version and the expiry of their keys; return the version.

        Hashes stay, unless the key had expired. `version` is random, and new for each call. A
        vendor that counts its own may return that instead.
        """

    @abstractmethod
    def write_if(
        self, key: str, text: str, version: int, ttl: float | None, expected: int
    ) -> Flow[int | None]:
        """`write` one value over the version `expected` (0: over none); return None if it differs.

        A value that is of `version` already was written by an earlier try of this very call.
        """

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """Delete values and hashes; return how many of the keys there were."""

    @abstractmethod
    def remaining(self, key: str) -> Flow[float | None]:
        """Return the seconds the key has left, infinity if for ever, None if there is no such."""

    @abstractmethod
    def expire(self, key: str, ttl: float | None) -> Flow[bool]:
        """Set the expiry of the key; return whether it exists."""

    @abstractmethod
    def page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[Sequence[str], str | None]]:
        """Return about `limit` keys, among them those that match, and the next cursor.

        Others are filtered out by the caller: narrow down by what the vendor is good at. A page
        may be empty. No limit: all of them will be asked for. `cursor` is None or from a page
        before; refuse others with `bad_cursor`.
        """

    @abstractmethod
    def read_fields(self, key: str, fields: Sequence[str] | None) -> Flow[dict[str, str]]:
        """Return field -> text of the key's hash, all if None; {} if there is none."""

    @abstractmethod
    def write_fields(self, key: str, texts: Mapping[str, str]) -> Flow[None]:
        """Set fields. The expiry of the key stays, unless it had expired: then it has none."""

    @abstractmethod
    def delete_fields(self, key: str, fields: Sequence[str]) -> Flow[int]:
        """Delete fields, and the key if nothing is left of it; return how many there were."""

    @abstractmethod
    def add(self, key: str, amount: int, version: int) -> Flow[int]:
        """Add to the integer of the key, from 0 if it has no value; its expiry stays.

        See `added` for the errors, and `write_if` for the version.
        """

    def clear(self, prefix: str) -> Flow[int | None]:
        """Delete all keys that begin with `prefix` and return how many; None: cannot at once.

        The base then deletes page by page.
        """
        del prefix
        return done(None)


_INTEGER = re.compile(r"-?[0-9]{1,19}")
_BOUND = 2**63


def added(key: str, text: str | None, amount: int) -> int:
    """Return `amount` more than the stored text, 0 if None.

    Raises:
        ConflictError: the text is no integer of 64 bits. InvalidDataError: the sum is none.
    """
    stored = int(text) if text is not None and _INTEGER.fullmatch(text) else None
    if text is not None and (stored is None or not -_BOUND <= stored < _BOUND):
        raise not_a_counter(key)
    total = (stored or 0) + amount
    if not -_BOUND <= total < _BOUND:
        raise out_of_range(key)
    return total


def not_a_counter(key: str) -> ConflictError:
    """Return the error for a value that cannot be added to."""
    return ConflictError(
        f"The value of {key!r} is no integer of 64 bits; set it to one, or count in another key"
    )


def bad_cursor(cursor: str) -> InvalidDataError:
    """Return the error for a cursor that no page gave."""
    return InvalidDataError(f"{cursor!r} is no cursor of this store; begin with cursor=None")


def out_of_range(key: str) -> InvalidDataError:
    """Return the error for a sum that no counter holds."""
    return InvalidDataError(f"The sum in {key!r} would leave the 64 bits of a counter")
