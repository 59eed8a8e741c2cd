"""The least driver of conversations there can be, of either colour, whose answers can get lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from praison_persist._flow import Flow, wait
from praison_persist._retry import RetryPolicy
from praison_persist.conversation.driver import (
    ConversationDriver,
    Row,
    done,
    numbered,
    replaced,
)

T = TypeVar("T")


class LostError(Exception):
    """The operation was done; its answer did not arrive."""


@dataclass
class Shelf:
    """Sessions by id, each with its messages by id.

    Attributes:
        lost: how many of the next answers get lost.
    """

    sessions: dict[str, tuple[Row, dict[str, Row]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    lost: int = 0


class MemoryDriver(ConversationDriver):
    """Conversations on a shelf."""

    address = "memory"
    failures = (LostError,)
    retry = RetryPolicy(max_retries=2, retry_delay_s=0.001)

    def __init__(self, shelf: Shelf, sleep: Callable[[float], Any], *, is_async: bool) -> None:
        self._shelf, self.sleep, self._is_async = shelf, sleep, is_async
        self.closed = 0

    def close(self) -> Flow[None]:
        self.closed += 1
        return done(None)

    def is_transient(self, error: BaseException) -> bool:
        del error
        return True

    def _do(self, work: Callable[[dict[str, tuple[Row, dict[str, Row]]]], T]) -> Flow[T]:
        def now() -> T:
            with self._shelf.lock:
                value = deepcopy(work(self._shelf.sessions))
                if self._shelf.lost:
                    self._shelf.lost -= 1
                    raise LostError
                return value

        async def later() -> T:
            return now()

        return (yield from wait(later() if self._is_async else now()))

    def insert_session(self, session: Row) -> Flow[bool]:
        return self.insert_whole(session | {"last_seq": 0}, [])

    def find_session(self, session_id: str) -> Flow[Row | None]:
        return self._do(lambda all_: all_[session_id][0] if session_id in all_ else None)

    def replace_session(
        self, session: Row, now: float, expected_version: int | None
    ) -> Flow[Row | None]:
        def replace(all_: dict[str, tuple[Row, dict[str, Row]]]) -> Row | None:
            if session["session_id"] not in all_:
                return None
            stored, messages = all_[session["session_id"]]
            new = replaced(stored, deepcopy(session), now, expected_version)
            all_[session["session_id"]] = new, messages
            return new

        return self._do(replace)

    def remove_session(self, session_id: str) -> Flow[bool]:
        return self._do(lambda all_: all_.pop(session_id, None) is not None)

    def sessions(
        self,
        user_id: str | None,
        agent_id: str | None,
        *,
        limit: int | None,
        offset: int,
        below: tuple[float, str] | None,
    ) -> Flow[list[Row]]:
        def position(row: Row) -> tuple[float, str]:
            return row["updated_at"], row["session_id"]

        def find(all_: dict[str, tuple[Row, dict[str, Row]]]) -> list[Row]:
            found = [
                row
                for row, _ in all_.values()
                if user_id in (None, row["user_id"])
                and agent_id in (None, row["agent_id"])
                and (below is None or position(row) < below)
            ]
            found.sort(key=position, reverse=True)
            return found[offset:] if limit is None else found[offset : offset + limit]

        return self._do(find)

    def append(
        self, session_id: str, messages: Sequence[Row], now: float
    ) -> Flow[list[Row] | None]:
        def append(all_: dict[str, tuple[Row, dict[str, Row]]]) -> list[Row] | None:
            if session_id not in all_:
                return None
            session, known = all_[session_id]
            stored, new = numbered(messages, known, session["last_seq"])
            known |= {row["id"]: deepcopy(row) for row in new}
            if new:
                session["last_seq"] += len(new)
                session["updated_at"] = max(session["updated_at"], now)
            return stored

        return self._do(append)

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
        def find(all_: dict[str, tuple[Row, dict[str, Row]]]) -> list[Row]:
            rows = all_[session_id][1].values() if session_id in all_ else ()
            found = [
                row
                for row in rows
                if (above is None or row["seq"] > above)
                and (below is None or row["seq"] < below)
                and (before is None or row["created_at"] < before)
                and (after is None or row["created_at"] > after)
            ]
            found.sort(key=lambda row: row["seq"], reverse=newest_first)
            return found[:limit]

        return self._do(find)

    def remove_messages(self, session_id: str, ids: Sequence[str] | None) -> Flow[int]:
        def remove(all_: dict[str, tuple[Row, dict[str, Row]]]) -> int:
            messages = all_[session_id][1] if session_id in all_ else {}
            gone = [key for key in messages if ids is None or key in ids]
            for key in gone:
                del messages[key]
            return len(gone)

        return self._do(remove)

    def count(self, session_id: str) -> Flow[int]:
        return self._do(lambda all_: len(all_[session_id][1]) if session_id in all_ else 0)

    def find_whole(self, session_id: str) -> Flow[tuple[Row, list[Row]] | None]:
        def find(all_: dict[str, tuple[Row, dict[str, Row]]]) -> tuple[Row, list[Row]] | None:
            if session_id not in all_:
                return None
            session, messages = all_[session_id]
            return session, list(messages.values())

        return self._do(find)

    def insert_whole(self, session: Row, messages: Sequence[Row]) -> Flow[bool]:
        def insert(all_: dict[str, tuple[Row, dict[str, Row]]]) -> bool:
            if session["session_id"] in all_:
                return False
            rows = {row["id"]: row for row in deepcopy(list(messages))}
            all_[session["session_id"]] = deepcopy(session), rows
            return True

        return self._do(insert)
