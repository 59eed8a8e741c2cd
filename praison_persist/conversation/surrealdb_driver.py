"""Conversations as records of SurrealDB, over a connection of either colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from surrealdb import RecordID

from praison_persist._flow import Flow
from praison_persist._ids import new_id
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist._surrealdb import Connections, SurrealDBVendor
from praison_persist._surrealdb_client import Place
from praison_persist._text import escaped, unescaped
from praison_persist.conversation import surrealdb_queries as queries
from praison_persist.conversation.driver import ConversationDriver, Row, Stale, numbered

__all__ = ["SurrealDBDriver"]

_SEQ_MAX = 2**63 - 1
_COUNT_MAX = 2**32 - 1  # SurrealDB 2.3 takes no greater LIMIT or START
_TEXTS = ("name", "content")
_DOCUMENTS = ("state", "metadata", "tool_calls")
_TIMES = ("created_at", "updated_at")
_SESSION = (
    *("session_id", "user_id", "agent_id", "name", "state", "metadata"),
    *("created_at", "updated_at", "version"),
)


class SurrealDBDriver(SurrealDBVendor, ConversationDriver):
    """Hooks of one request each; an append of messages that are stored needs a second.

    See `SurrealDBVendor` for the arguments.

    Args:
        place: where the database is.
        prefix: of the names of the tables.
        define: whether to define tables and indexes, before the first request.

    Attributes:
        path: the directory of the engine within the process; None: a server, or in memory.
    """

    def __init__(
        self,
        connections: Connections,
        place: Place,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
        *,
        prefix: str,
        define: bool,
    ) -> None:
        super().__init__(connections, place.address, retry, sleep)
        self.path = None if place.path is None else Path(place.path)
        self._prefix = queries.check_prefix(prefix)
        self._defined = not define

    def insert_session(self, session: Row) -> Flow[bool]:
        """See ConversationDriver.insert_session."""
        return self.insert_whole({**session, "last_seq": 0}, [])

    def insert_whole(self, session: Row, messages: Sequence[Row]) -> Flow[bool]:
        """See ConversationDriver.insert_whole."""
        key: str = session["session_id"]
        records = [
            {"id": [key, row["seq"]], "seq": row["seq"], **_message_record(row)} for row in messages
        ]
        ids = [
            {"id": [key, row["id"]], "message": self._record("message", [key, row["seq"]])}
            for row in messages
        ]
        # A session that is deleted and made again has another life: its numbers begin anew.
        record = {**_packed(session), "last_seq": session["last_seq"], "life": new_id()}
        inserted: bool = yield from self._run(
            queries.INSERT, **self._entry(key), row=record, messages=records, ids=ids
        )
        return inserted

    def find_session(self, session_id: str) -> Flow[Row | None]:
        """See ConversationDriver.find_session."""
        found = yield from self._run(queries.FIND, **self._entry(session_id))
        return None if found is None else _session_row(found)

    def find_whole(self, session_id: str) -> Flow[tuple[Row, list[Row]] | None]:
        """See ConversationDriver.find_whole."""
        found = yield from self._run(queries.FIND_WHOLE, **self._entry(session_id))
        if found is None:
            return None
        return _session_row(found["session"]), [_message_row(each) for each in found["messages"]]

    def replace_session(
        self, session: Row, now: float, expected_version: int | None
    ) -> Flow[Row | None]:
        """See ConversationDriver.replace_session."""
        found = yield from self._run(
            queries.REPLACE,
            **self._entry(session["session_id"]),
            row=_packed(session),
            now=float(now),
            expected=expected_version,
        )
        if found is not None and "stale" in found:
            raise Stale(found["stale"])
        return None if found is None else _session_row(found["session"])

    def remove_session(self, session_id: str) -> Flow[bool]:
        """See ConversationDriver.remove_session."""
        removed: bool = yield from self._run(queries.REMOVE, **self._entry(session_id))
        return removed

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
        limit = _counted(limit)
        if offset > _COUNT_MAX:
            return []
        text = queries.sessions(
            of_user=user_id is not None,
            of_agent=agent_id is not None,
            below=below is not None,
            limited=limit is not None,
            skipped=offset > 0,
        )
        at, key = below or (None, None)
        found = yield from self._run(
            text, user=user_id, agent=agent_id, at=at, key=key, limit=limit, offset=offset
        )
        return [_session_row(each) for each in found]

    def append(
        self, session_id: str, messages: Sequence[Row], now: float
    ) -> Flow[list[Row] | None]:
        """See ConversationDriver.append."""
        entry = self._entry(session_id)
        ids = [self._record("message_id", [session_id, each["id"]]) for each in messages]
        life: str | None = None
        known: dict[str, Row] = {}
        while True:  # again only if others append or delete the same messages meanwhile
            _, new = numbered(messages, known, 0)
            if known and not new:
                return [known[each["id"]] for each in messages]
            found = yield from self._run(
                queries.APPEND,
                **entry,
                now=float(now),
                ids=ids,
                rows=[{"place": each["seq"], **_message_record(each)} for each in new],
                life=life,
                seqs=[row["seq"] for row in known.values()],
            )
            if found is None:
                return None
            if "last" in found:
                return numbered(messages, known, found["last"])[0]
            life = found["life"]
            known = {row["id"]: row for row in map(_message_row, found["stored"])}

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
        low = 1 if above is None else above + 1
        high = _SEQ_MAX if below is None else below - 1
        limit = _counted(limit)
        if low > high:
            return []
        if limit is None or before is not None or after is not None:
            text = queries.between(newest_first=newest_first, limited=limit is not None)
        else:
            text = queries.first(newest_first=newest_first)
        found = yield from self._run(
            text,
            **self._entry(session_id),
            low=low,
            high=high,
            limit=limit,
            before=before,
            after=after,
        )
        return [_message_row(each) for each in found]

    def remove_messages(self, session_id: str, ids: Sequence[str] | None) -> Flow[int]:
        """See ConversationDriver.remove_messages."""
        text = queries.REMOVE_ALL if ids is None else queries.REMOVE_MESSAGES
        records = [self._record("message_id", [session_id, each]) for each in ids or ()]
        removed: int = yield from self._run(text, **self._entry(session_id), ids=records)
        return removed

    def count(self, session_id: str) -> Flow[int]:
        """See ConversationDriver.count."""
        rows = yield from self._run(queries.COUNT, **self._entry(session_id))
        return int(rows[0]["count"]) if rows else 0

    def _run(self, text: str, **values: Any) -> Flow[Any]:
        """Return the result of a text of one statement."""
        if not self._defined:
            yield from self.change(queries.prefixed(queries.TABLES, self._prefix), {})
            self._defined = True
        (result,) = yield from self.change(queries.prefixed(text, self._prefix), values)
        return result

    def _record(self, table: str, key: Any) -> Any:
        return RecordID(f"{self._prefix}{table}", key)

    def _entry(self, session_id: str) -> dict[str, Any]:
        return {"entry": self._record("session", session_id), "key": session_id}


def _counted(limit: int | None) -> int | None:
    """Return the limit, None if there cannot be so many records."""
    return None if limit is None or limit > _COUNT_MAX else limit


def _packed(row: Row) -> Row:
    """Return what is kept of a row: JSON as text, times as floats, any text in UTF-8."""
    packed = dict(row)
    for name in row.keys() & {*_TEXTS, *_DOCUMENTS, *_TIMES}:
        if row[name] is None:
            continue
        pack = escaped if name in _TEXTS else dumps if name in _DOCUMENTS else float
        packed[name] = pack(row[name])
    return packed


def _unpacked(record: Mapping[str, Any], names: Sequence[str]) -> Row:
    """Return fields of a record; those it lacks are None."""
    row: Row = {name: record.get(name) for name in names}
    for name in row.keys() & {*_TEXTS, *_DOCUMENTS}:
        if row[name] is not None:
            row[name] = unescaped(row[name]) if name in _TEXTS else loads(row[name])
    return row


def _session_row(record: Mapping[str, Any]) -> Row:
    return _unpacked(record, (*_SESSION, "last_seq"))


def _message_record(row: Row) -> Row:
    packed = _packed(row)
    return {"message_id": row["id"]} | {name: packed[name] for name in queries.COLUMNS[1:]}


def _message_row(record: Mapping[str, Any]) -> Row:
    row = _unpacked(record, (*queries.COLUMNS[1:], "seq"))
    return {"id": record["message_id"], **row}
