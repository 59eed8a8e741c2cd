"""What a vendor's driver of conversations does: few hooks, on rows that were checked.

A row is a dict of JSON values with exactly the fields of the model: `ConversationSession` with its
`version`, `ConversationMessage` with its `seq`. The session of a row that is read has a further
field, `last_seq`: the greatest number that one of its messages ever had, 0 before the first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from praison_persist._flow import Flow
from praison_persist._vendor import Vendor, done
from praison_persist.protocols import Capability

__all__ = [
    "CONTENT",
    "ConversationDriver",
    "Differs",
    "Row",
    "Stale",
    "difference",
    "done",
    "numbered",
    "replaced",
]

Row = dict[str, Any]

# The fields in which a message that is written again has to equal the stored one.
CONTENT = ("role", "content", "tool_calls", "tool_call_id", "metadata")


class Stale(Exception):  # noqa: N818 - what the stored session is, not what the caller gets
    """The stored session is of another version than expected.

    Attributes:
        version: the stored one.
    """

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class Differs(Exception):  # noqa: N818 - see Stale
    """A message is stored with other content.

    Attributes:
        id: of the message.
        field: the first of `CONTENT` that differs.
    """

    def __init__(self, message_id: str, field: str) -> None:
        super().__init__(message_id, field)
        self.id, self.field = message_id, field


class ConversationDriver(Vendor):
    """The hooks of a vendor. See `praison_persist.conversation.base`.

    Each hook is atomic: of others it sees all that one call wrote, or nothing. A hook that failed
    transiently is repeated, perhaps after it was done and only its answer was lost; the base
    recognises what such a try wrote. Rows that are given stay as they are, rows that are returned
    are nobody else's.

    Attributes:
        capabilities: what of `Capability` it can do; SEARCH is not among it. Without BATCH `append`
            gets one message, without DUMP `find_whole` and `insert_whole` are not called.
    """

    capabilities: frozenset[Capability] = frozenset(Capability) - {Capability.SEARCH}

    @abstractmethod
    def insert_session(self, session: Row) -> Flow[bool]:
        """Store a session without messages; False if its id exists, which stays as it is."""

    @abstractmethod
    def find_session(self, session_id: str) -> Flow[Row | None]:
        """Return the session with its `last_seq`, None if there is none."""

    @abstractmethod
    def replace_session(
        self, session: Row, now: float, expected_version: int | None
    ) -> Flow[Row | None]:
        """Store the fields that `replaced` says; return the session; None if there is none.

        Raises:
            Stale: `expected_version` is not None, and not that of the stored session.
        """

    @abstractmethod
    def remove_session(self, session_id: str) -> Flow[bool]:
        """Delete the session with its messages; return whether it existed."""

    @abstractmethod
    def sessions(
        self,
        user_id: str | None,
        agent_id: str | None,
        *,
        limit: int | None,
        offset: int,
        below: tuple[float, str] | None,
    ) -> Flow[list[Row]]:
        """Return sessions by (updated_at, session_id), descending; ids by their code points.

        A filter or limit of None does not limit, a filter of "" is one. `below` is a position in
        that order: only what is strictly below it counts. A limit is at least 1.
        """

    @abstractmethod
    def append(
        self, session_id: str, messages: Sequence[Row], now: float
    ) -> Flow[list[Row] | None]:
        """Append those messages whose id is not stored in the session, all or none.

        They are numbered from the session's `last_seq`, which they advance, in the order given;
        if there is one, `updated_at` becomes the later of itself and `now`. See `numbered`.

        Args:
            session_id: the session; it is that of the messages too.
            messages: at least one, of different ids, their `seq` None.
            now: seconds since the epoch.

        Returns:
            the stored message of each id, in the order given; None if there is no such session.

        Raises:
            Differs: one is stored with other content.
        """

    @abstractmethod
    def messages(
        self,
        session_id: str,
        *,
        limit: int | None,
        above: int | None,
        below: int | None,
        before: float | None,
        after: float | None,
        newest_first: bool,
    ) -> Flow[list[Row]]:
        """Return the first `limit` messages by `seq`, ascending or `newest_first`.

        `above` and `below` bound `seq`, `before` and `after` bound `created_at`, all exclusively.
        A limit is at least 1. A session that does not exist has no messages.
        """

    @abstractmethod
    def remove_messages(self, session_id: str, ids: Sequence[str] | None) -> Flow[int]:
        """Delete the messages of these ids, all if None; return how many there were.

        Neither `last_seq` nor `updated_at` changes. The ids are at least one, and differ.
        """

    @abstractmethod
    def count(self, session_id: str) -> Flow[int]:
        """Return how many messages the session has."""

    @abstractmethod
    def find_whole(self, session_id: str) -> Flow[tuple[Row, list[Row]] | None]:
        """Return the session with its `last_seq` and all its messages, of one instant."""

    @abstractmethod
    def insert_whole(self, session: Row, messages: Sequence[Row]) -> Flow[bool]:
        """Store a session with its messages, all or nothing; False if its id exists.

        The session has its `last_seq`, the messages have their `seq` and are ordered by it.
        """


def difference(stored: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Return the first field of `CONTENT` in which two messages differ, None if in none."""
    return next((name for name in CONTENT if stored[name] != given[name]), None)


def numbered(
    messages: Sequence[Row], known: Mapping[str, Row], last_seq: int
) -> tuple[list[Row], list[Row]]:
    """Return the messages as an `append` returns them, and those of them that it has to write.

    Args:
        messages: what is appended.
        known: the stored messages among them, by id.
        last_seq: of the session.

    Raises:
        Differs: one is stored with other content.
    """
    stored: list[Row] = []
    new: list[Row] = []
    for message in messages:
        found = known.get(message["id"])
        if found is None:
            new.append({**message, "seq": last_seq + len(new) + 1})
            stored.append(new[-1])
            continue
        field = difference(found, message)
        if field is not None:
            raise Differs(message["id"], field)
        stored.append(found)
    return stored, new


def replaced(stored: Row, session: Row, now: float, expected_version: int | None) -> Row:
    """Return the stored session as a `replace_session` by `session` leaves it.

    Raises:
        Stale: see there.
    """
    if expected_version is not None and stored["version"] != expected_version:
        raise Stale(stored["version"])
    return {
        **session,
        "created_at": stored["created_at"],
        "updated_at": max(stored["updated_at"], now),
        "version": stored["version"] + 1,
        "last_seq": stored["last_seq"],
    }
