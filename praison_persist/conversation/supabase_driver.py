"""The hooks of the conversation store over Supabase's REST API: each calls one function there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist._text import escaped, unescaped
from praison_persist.conversation.driver import (
    ConversationDriver,
    Differs,
    Row,
    Stale,
    difference,
)
from praison_persist.conversation.supabase_names import DOCUMENTS, Names
from praison_persist.conversation.supabase_rest import (
    FAILURES,
    Client,
    Place,
    RefusedError,
    is_transient,
)
from praison_persist.errors import (
    BackendError,
    PersistError,
    SchemaError,
    UnavailableError,
    UnsupportedError,
)

__all__ = ["SupabaseDriver"]

# What PostgREST and PostgreSQL say of a function, table, column or schema that is not there.
_ABSENT = frozenset({"PGRST202", "PGRST203", "42P01", "42703", "42883", "3F000"})
_NOT_EXPOSED = "PGRST106"
_VIEW, _RUNS = "PPV01", "PPV02"  # supabase.sql
_NOT_ALLOWED, _TOO_LONG = "42501", "57014"  # insufficient privilege, query canceled
_TIMES = ("created_at", "updated_at")
_TEXTS = ("name", "content")


class SupabaseDriver(ConversationDriver):
    """Calls the functions of `praison_persist.conversation.supabase_sql`.

    Args:
        place: where, and the key.
        names: of the functions.
        clients: returns the client of the running process or loop.
        close_clients: closes it; returns None, or a coroutine.
        retry: of what failed transiently.
        sleep: waits so many seconds, in the colour of the clients.
    """

    failures = FAILURES

    def __init__(
        self,
        place: Place,
        names: Names,
        clients: Callable[[], Client],
        close_clients: Callable[[], Any],
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._place, self._names = place, names
        self._clients, self._close_clients = clients, close_clients
        self.address, self.retry, self.sleep = place.address, retry, sleep

    def _call(self, function: str, **arguments: Any) -> Flow[Any]:
        named = {f"p_{name}": value for name, value in arguments.items()}
        return self._place.call(self._clients(), self._names.function(function), named)

    def insert_session(self, session: Row) -> Flow[bool]:
        """See ConversationDriver.insert_session."""
        return self.insert_whole({**session, "last_seq": 0}, ())

    def find_session(self, session_id: str) -> Flow[Row | None]:
        """See ConversationDriver.find_session."""
        found = yield from self._call("find_session", session_id=session_id)
        return None if found is None else _read(found)

    def replace_session(
        self, session: Row, now: float, expected_version: int | None
    ) -> Flow[Row | None]:
        """See ConversationDriver.replace_session."""
        stored = yield from self._call(
            "replace_session", session=_sent(session), now=now, expected_version=expected_version
        )
        if stored is None:
            return None
        if "version" in stored:
            raise Stale(stored["version"])
        return _read(stored["session"])

    def remove_session(self, session_id: str) -> Flow[bool]:
        """See ConversationDriver.remove_session."""
        return self._call("remove_session", session_id=session_id)

    def sessions(
        self,
        user_id: str | None,
        agent_id: str | None,
        *,
        limit: int | None,
        offset: int,
        below: tuple[float, str] | None,
    ) -> Flow[list[Row]]:
        """See ConversationDriver.sessions."""
        updated_at, session_id = below or (None, None)
        found = yield from self._call(
            "list_sessions",
            user_id=user_id,
            agent_id=agent_id,
            limit=limit,
            offset=offset,
            updated_at=updated_at,
            session_id=session_id,
        )
        return [_read(row) for row in found]

    def append(
        self, session_id: str, messages: Sequence[Row], now: float
    ) -> Flow[list[Row] | None]:
        """See ConversationDriver.append."""
        known: dict[int, Row] = {}
        sent, by_id = [_sent(row) for row in messages], {row["id"]: row for row in messages}
        while True:
            told = yield from self._call(
                "append_messages", session_id=session_id, messages=sent, known=list(known), now=now
            )
            if told is None:
                return None
            if "stored" in told:
                break
            for row in map(_read, told["known"]):
                field = difference(row, by_id[row["id"]])
                if field is not None:
                    raise Differs(row["id"], field)
                known[row["seq"]] = row
        numbers = count(told["last_seq"] + 1)
        return [
            {**row, "seq": next(numbers)} if seq is None else known[seq]
            for row, seq in zip(messages, told["stored"], strict=True)
        ]

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
        """See ConversationDriver.messages."""
        found = yield from self._call(
            "list_messages",
            session_id=session_id,
            limit=limit,
            above=above,
            below=below,
            before=before,
            after=after,
            newest_first=newest_first,
        )
        return [_read(row) for row in found]

    def remove_messages(self, session_id: str, ids: Sequence[str] | None) -> Flow[int]:
        """See ConversationDriver.remove_messages."""
        named = None if ids is None else list(ids)
        return self._call("remove_messages", session_id=session_id, ids=named)

    def count(self, session_id: str) -> Flow[int]:
        """See ConversationDriver.count."""
        return self._call("count_messages", session_id=session_id)

    def find_whole(self, session_id: str) -> Flow[tuple[Row, list[Row]] | None]:
        """See ConversationDriver.find_whole."""
        found = yield from self._call("find_whole", session_id=session_id)
        if found is None:
            return None
        return _read(found["session"]), [_read(row) for row in found["messages"]]

    def insert_whole(self, session: Row, messages: Sequence[Row]) -> Flow[bool]:
        """See ConversationDriver.insert_whole."""
        sent = [_sent(row) for row in messages]
        return self._call("insert_session", session=_sent(session), messages=sent)

    def close(self) -> Flow[None]:
        """See Vendor.close."""
        yield from wait(self._close_clients())

    def is_transient(self, error: BaseException) -> bool:
        """See Vendor.is_transient."""
        return is_transient(error)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See Vendor.translate."""
        if not isinstance(error, RefusedError):
            return super().translate(error, action)
        text = f"{self.address}: cannot {action}: {self.describe(error)}"
        if error.code in _ABSENT:
            return SchemaError(
                f"{text}. The database lacks what this store calls. Run once, in the project's SQL "
                f"editor, what this prints: {self._names.command}"
            )
        if error.code == _NOT_EXPOSED:
            return SchemaError(
                f"{text}. Expose the schema {self._names.schema!r}: the project's settings, API"
            )
        if error.code == _VIEW:
            return UnsupportedError(
                f"{text}: what it shows, or what its forks show, only the SQL store keeps. "
                "Use it through the project's postgresql:// URL"
            )
        if error.code == _RUNS:
            return UnsupportedError(
                f"{text}, which this store would lose. Dump it through the SQL store, with the "
                "project's postgresql:// URL"
            )
        if error.code == _NOT_ALLOWED or error.status in (401, 403):
            return UnavailableError(
                f"{text}. The key has to be the project's secret (service_role) one"
            )
        if error.code == _TOO_LONG:
            return BackendError(
                f"{text}. Read long sessions with page_messages, write less at a time, or raise "
                "the statement_timeout of the key's role"
            )
        return BackendError(text)


def _sent(row: Row) -> Row:
    """Return a row as the functions take it."""
    sent = dict(row)
    for name in DOCUMENTS:
        if sent.get(name) is not None:
            sent[name] = dumps(sent[name])
    for name in _TEXTS:
        if sent.get(name) is not None:
            sent[name] = escaped(sent[name])
    return sent


def _read(row: Row) -> Row:
    """Undo `_sent`."""
    for name in DOCUMENTS:
        if row.get(name) is not None:
            row[name] = loads(row[name])
    for name in _TEXTS:
        if row.get(name) is not None:
            row[name] = unescaped(row[name])
    for name in _TIMES:
        if name in row:
            row[name] = float(row[name])  # PostgreSQL writes a whole number without a point
    return row
