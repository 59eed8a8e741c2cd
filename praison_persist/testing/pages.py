"""The contract of pages: by cursor, to any depth, while others write."""

from __future__ import annotations

from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing.contract import StoreContract, message, needs, refused, session

__all__ = ["PageContract"]


def _all_messages(
    store: ConversationStore, limit: int, *, backward: bool = False
) -> list[list[ConversationMessage]]:
    """Return all pages of the session "s"."""
    pages: list[list[ConversationMessage]] = []
    cursor: str | None = None
    while True:
        page = store.page_messages("s", limit=limit, cursor=cursor, backward=backward)
        pages.append(page.messages)
        cursor = page.next_cursor
        if cursor is None:
            return pages


def _all_sessions(
    store: ConversationStore, limit: int, **filters: str
) -> list[ConversationSession]:
    """Return the sessions of all pages."""
    found: list[ConversationSession] = []
    cursor: str | None = None
    while True:
        page = store.page_sessions(limit=limit, cursor=cursor, **filters)
        assert len(page.sessions) <= limit
        found += page.sessions
        cursor = page.next_cursor
        if cursor is None:
            return found


class PageContract(StoreContract):
    """Pages of messages and of sessions."""

    @needs(Capability.CURSORS)
    def test_pages_hold_every_message_once_in_order(self, store: ConversationStore) -> None:
        """A message at the edge of two pages is in both, or in neither."""
        store.create_session(session())
        for index in range(10):
            store.add_message("s", message(str(index), created_at=index % 2))
        everything = store.get_messages("s")
        for limit in (1, 3, 5, 10, 11):
            forward = _all_messages(store, limit)
            assert [m for page in forward for m in page] == everything
            backward = _all_messages(store, limit, backward=True)
            assert [m for page in reversed(backward) for m in page] == everything
            assert len(forward) == len(backward) == -(-10 // limit)

    @needs(Capability.CURSORS)
    def test_iterating_is_reading_in_order(self, store: ConversationStore) -> None:
        """A message at the edge of two pages is met twice, or what comes meanwhile is missed."""
        store.create_session(session())
        for index in range(5):
            store.add_message("s", message(str(index)))
        everything = store.get_messages("s")
        for size in (1, 2, 5, 500):
            assert list(store.iter_messages("s", page_size=size)) == everything
            backward = store.iter_messages("s", page_size=size, backward=True)
            assert list(backward) == everything[::-1]
        met: list[str | None] = []
        for found in store.iter_messages("s", page_size=2):
            if not met:
                store.add_message("s", message("5"))
            met.append(found.content)
        assert met == ["0", "1", "2", "3", "4", "5"]
        assert list(store.iter_messages("nobody")) == []

    @needs(Capability.CURSORS)
    def test_a_page_over_deleted_messages_goes_on(self, store: ConversationStore) -> None:
        """A cursor that points at what is gone ends the reading, or begins it anew."""
        store.create_session(session())
        stored = [store.add_message("s", message(str(index))) for index in range(6)]
        page = store.page_messages("s", limit=2)
        store.delete_messages("s", [stored[1].id, stored[2].id])
        rest = store.page_messages("s", limit=9, cursor=page.next_cursor)
        assert [m.content for m in rest.messages] == ["3", "4", "5"]
        assert rest.next_cursor is None

    @needs(Capability.CURSORS)
    def test_appends_during_paging_repeat_and_hide_nothing(self, store: ConversationStore) -> None:
        """Pages by offset shift under a reader while others write."""
        store.create_session(session())
        for index in range(10):
            store.add_message("s", message(str(index)))
        seen: list[str | None] = []
        cursor: str | None = None
        for appended in range(10, 40):
            page = store.page_messages("s", limit=3, cursor=cursor)
            seen += [m.content for m in page.messages]
            cursor = page.next_cursor
            if cursor is None:
                break
            store.add_message("s", message(str(appended)))
        assert seen == [str(index) for index in range(len(seen))]
        assert len(seen) == store.count("s")
        newest = store.page_messages("s", limit=4, backward=True)
        for _ in range(5):
            store.add_message("s", message("later"))
        older = store.page_messages("s", limit=4, cursor=newest.next_cursor, backward=True)
        expected = [str(index) for index in range(len(seen) - 8, len(seen))]
        assert [m.content for m in older.messages + newest.messages] == expected

    @needs(Capability.CURSORS)
    def test_session_pages_hold_every_session_once(self, store: ConversationStore) -> None:
        """Sessions written at the same time are at the edge of two pages."""
        for index in range(20):
            at = [1.0, 2.0, 2.0, 2.0, 1795247798.4048102][index % 5]
            store.create_session(session(f"s|{index}", user_id=f"u{index % 2}", updated_at=at))
        everything = store.list_sessions(limit=None)
        mine = [found for found in everything if found.user_id == "u1"]
        for limit in (1, 3, 7, 20, 21):
            assert _all_sessions(store, limit) == everything
            assert _all_sessions(store, limit, user_id="u1") == mine
            assert _all_sessions(store, limit, agent_id="") == []

    @needs(Capability.CURSORS)
    def test_writes_during_paging_of_sessions_repeat_and_hide_no_others(
        self, store: ConversationStore
    ) -> None:
        """A session that is written to jumps to the front and pushes another over the edge."""
        keys = [f"s{index:02}" for index in range(12)]
        for index, key in enumerate(keys):
            store.create_session(session(key, updated_at=float(index)))
        seen: list[str] = []
        cursor: str | None = None
        for turn in range(6):
            page = store.page_sessions(limit=2, cursor=cursor)
            seen += [found.session_id for found in page.sessions]
            cursor = page.next_cursor
            store.create_session(session(f"new{turn}"))
            store.add_message(page.sessions[0].session_id, message())
        assert cursor is None
        assert seen == keys[::-1]

    @needs(Capability.CURSORS)
    def test_the_cursor_carries_any_id(self, store: ConversationStore) -> None:
        """The id of a session ends the cursor that carries it."""
        keys = ["a|b", "|", "a,b", "a b", "é😀", "x" * 255, "1.0|1.0", "%7C"]
        for key in keys:
            store.create_session(session(key, updated_at=1.0))
        assert sorted(s.session_id for s in _all_sessions(store, 1)) == sorted(keys)

    @needs(Capability.CURSORS)
    def test_a_cursor_of_messages_is_checked(self, store: ConversationStore) -> None:
        """A cursor comes from outside: it overflows, or is read as the beginning."""
        store.create_session(session())
        store.add_message("s", message())
        refused(
            ("", "x", "-1", "1.5", "1 ", "\u0661", "9" * 30, "9" * 5_000, "1|s", 1, b"1", "'"),
            lambda cursor: store.page_messages("s", cursor=cursor),
            "cursor",
        )

    @needs(Capability.CURSORS)
    def test_a_cursor_of_sessions_is_checked(self, store: ConversationStore) -> None:
        """A cursor comes from outside: NaN is above every time, or is none."""
        store.create_session(session())
        refused(
            ("", "x", "1", "1.0", "|s", "x|s", "nan|s", "inf|s", "1.0|", 1, "1.0|\x00", "1e999|s"),
            lambda cursor: store.page_sessions(cursor=cursor),
            "cursor",
        )

    @needs(Capability.CURSORS)
    def test_a_page_holds_at_least_one(self, store: ConversationStore) -> None:
        """A page of nothing says that it was the last, or that there is always one more."""
        store.create_session(session())
        wrong = (0, -1, None, True, 1.0, "1", 2**64)
        refused(wrong, lambda limit: store.page_messages("s", limit=limit), "limit")
        refused(wrong, lambda limit: store.page_sessions(limit=limit), "limit")
