"""What grows: sessions of many messages, and databases of many sessions."""

from __future__ import annotations

import sqlalchemy as sa

from benchmarks.contenders.base import Place
from benchmarks.contenders.ours import Ours
from benchmarks.messages import text_of
from benchmarks.session_growth import multiply
from praison_persist import ConversationSession, SQLConversationStore
from praison_persist.sql.schema import Tables

__all__ = ["Growing"]

_NEWEST = 50
_PAGE = 50


class Growing(Ours):
    """This package's store, with sessions by their length and databases by their size."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._stores: dict[int, SQLConversationStore] = {}

    def lengthen(self, count: int) -> None:
        """Make a session of this many messages, within the database."""
        self.session(f"of-{count}")
        self.append(f"of-{count}", text_of(0))
        self.store.database.run(multiply, f"of-{count}", count)

    def widen(self, count: int) -> None:
        """Make tables with this many sessions; past the store, which makes one a call."""
        store = self._with(count)
        store.create_session(ConversationSession(session_id="s", user_id="user-0"))
        store.database.run(_multiply, count)
        self._analyze(store)

    def _with(self, count: int) -> SQLConversationStore:
        if count not in self._stores:
            prefix = f"of_{count}_"
            self._stores[count] = SQLConversationStore(self.place.url, table_prefix=prefix)
        return self._stores[count]

    @staticmethod
    def _analyze(store: SQLConversationStore) -> None:
        """Tell the planner, as PostgreSQL's daemon does after a while."""

        def analyze(connection: sa.Connection, _tables: Tables) -> None:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("ANALYZE")

        store.database.run(analyze)

    def append_to(self, count: int) -> None:
        """Add a message to the session of this length."""
        self.append(f"of-{count}", text_of(0))

    def newest_of(self, count: int) -> None:
        """Read the newest 50 of it."""
        assert len(self.newest(f"of-{count}", _NEWEST)) == _NEWEST

    def page_of(self, count: int) -> None:
        """Read the 50 sessions that were written to last, of this many."""
        page = self._with(count).page_sessions(limit=_PAGE)
        assert len(page.sessions) == min(count, _PAGE)

    def page_of_user(self, count: int) -> None:
        """Read the newest 50 of one of the users."""
        self._with(count).page_sessions("user-0", limit=_PAGE)

    def close(self) -> None:
        """Close the stores."""
        for store in self._stores.values():
            store.close()
        super().close()


def _multiply(connection: sa.Connection, t: Tables, count: int) -> None:
    """Double the sessions until there are `count`, each with a time of its own."""
    c, have = t.sessions.c, 1
    while have < count:
        more = min(have, count - have)
        # Numbered by how many there are: ids are s, then s.1, s.2 and s.1.2, and so on.
        names = [each.name for each in t.sessions.columns]
        copies = sa.select(
            *[
                {
                    "session_id": c.session_id + f".{have}",
                    "updated_at": c.updated_at - have,
                    "user_id": sa.literal(f"user-{have.bit_length() % 20}"),
                }.get(name, c[name])
                for name in names
            ]
        ).order_by(c.updated_at.desc())
        connection.execute(sa.insert(t.sessions).from_select(names, copies.limit(more)))
        have += more
