"""A SQL database whose dialect SQLAlchemy lacks: its hooks make a whole conversation store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from praison_persist.compat.persistence.conversation._sql_base import _SQLConversationStoreBase
from surroundings import surroundings

from praison_persist import ConversationMessage, ConversationSession


class MyDBConversationStore(_SQLConversationStoreBase):  # type: ignore[misc]  # a name of praisonai's
    """Uses sqlite3 as a stand-in for a client library of one's own."""

    _id_type, _json_type, _float_type, _param = "TEXT", "TEXT", "REAL", "?"
    _serverless_hosts = (".mydb.cloud",)

    def _connect(self) -> None:
        self.connection = sqlite3.connect("mydb.db")
        self.connection.row_factory = sqlite3.Row

    def _get_conn(self) -> sqlite3.Connection:
        return self.connection

    def _put_conn(self, conn: sqlite3.Connection, close: bool = False) -> None:
        """Give a connection back: there is but one."""

    def _execute(self, conn: sqlite3.Connection, sql: str, params: Sequence[Any] = ()) -> None:
        conn.execute(sql, params)

    def _fetchone(
        self, conn: sqlite3.Connection, sql: str, params: Sequence[Any] = ()
    ) -> dict[str, Any] | None:
        row = conn.execute(sql, params).fetchone()
        return None if row is None else dict(row)

    def _fetchall(
        self, conn: sqlite3.Connection, sql: str, params: Sequence[Any] = ()
    ) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sql, params)]

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def main() -> None:
    """Keep a message."""
    with surroundings(), MyDBConversationStore(max_retries=3, retry_delay=0.1) as store:
        store.delete_session("s")
        store.create_session(ConversationSession("s", user_id="ada"))
        store.add_message("s", ConversationMessage(role="user", content="Hello"))
        print(f"Schema {store.SCHEMA_VERSION}: {[m.content for m in store.get_messages('s')]}")


if __name__ == "__main__":
    main()
