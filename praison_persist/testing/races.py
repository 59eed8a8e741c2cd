"""The contract under load: threads and stores that use one session, and stores that are closed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from praison_persist.errors import ConflictError, NotFoundError, PersistError
from praison_persist.models import ConversationMessage
from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing.contract import (
    OpenStore,
    StoreContract,
    message,
    needs,
    race,
    session,
)

__all__ = ["CloseContract", "RaceContract"]


class RaceContract(StoreContract):
    """Many threads, one session.

    Attributes:
        appends_each: how many messages each writer appends, where several do at once.
    """

    appends_each = 12

    def test_sixteen_threads_lose_double_and_reorder_nothing(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """Writers collide on a number, an error reaches one of them, or a reader skips a message.

        Each later read of a reader has to be its earlier one with a suffix: a message that becomes
        visible before an older one would be skipped by who resumes after it.
        """
        writers, each = 12, self.appends_each
        stores = (store, second)
        store.create_session(session())
        done = threading.Event()
        left = threading.Semaphore(0)

        def write(index: int) -> list[ConversationMessage]:
            try:
                return [
                    stores[index % 2].add_message("s", message(f"{index}/{number}"))
                    for number in range(each)
                ]
            finally:
                left.release()

        def read(index: int) -> list[ConversationMessage]:
            earlier: list[ConversationMessage] = []
            while True:
                last = done.is_set()
                later = stores[index % 2].get_messages("s")
                assert later[: len(earlier)] == earlier
                earlier = later
                if last:
                    return earlier

        def wait(_index: int) -> list[ConversationMessage]:
            for _ in range(writers):
                left.acquire()
            done.set()
            return []

        parts: list[Callable[[int], list[ConversationMessage]]] = [
            *[write] * writers,
            *[read] * 4,
            wait,
        ]
        results = race(len(parts), lambda index: parts[index](index))
        stored = store.get_messages("s")
        assert [m.seq for m in stored] == list(range(1, writers * each + 1))
        for index in range(writers):
            mine = [m for m in stored if (m.content or "").startswith(f"{index}/")]
            assert mine == results[index]
            assert [m.content for m in mine] == [f"{index}/{n}" for n in range(each)]
        for seen in results[writers : writers + 4]:
            assert seen == stored

    @needs(Capability.BATCH)
    def test_the_same_messages_from_many_threads_are_stored_once(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """Retries of several processes overlap."""
        store.create_session(session())
        batch = [message(str(index), id=f"m{index}") for index in range(12)]
        stores = (store, second)

        def write(index: int) -> list[ConversationMessage]:
            part = batch[index % 4 : index % 4 + 8]
            return stores[index % 2].add_messages("s", part)

        results = race(12, write)
        stored = {m.id: m for m in store.get_messages("s")}
        assert sorted(m.seq or 0 for m in stored.values()) == list(range(1, len(stored) + 1))
        assert len(stored) == 11
        for result in results:
            assert [stored[m.id] for m in result] == result

    def test_deleting_while_others_write_leaves_nothing_behind(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """A message that arrives during a deletion survives its session."""

        def write(index: int) -> None:
            for number in range(10):
                second.ensure_session(session())
                try:
                    second.add_message("s", message(f"{index}/{number}"))
                except NotFoundError:
                    continue

        def delete(_index: int) -> None:
            for _ in range(10):
                store.delete_session("s")

        race(6, lambda index: delete(index) if index == 0 else write(index))
        store.delete_session("s")
        assert store.create_session(session()).version == 1
        assert store.get_messages("s") == []
        assert store.add_message("s", message()).seq == 1

    def test_sessions_created_and_deleted_by_many_are_never_half_there(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """`ensure` finds the session, and it is gone before it is read."""
        stores = (store, second)

        def use(index: int) -> None:
            for _ in range(10):
                assert stores[index % 2].ensure_session(session()).session_id == "s"
                if index % 4 == 0:
                    stores[index % 2].delete_session("s")
                elif index % 4 == 1:
                    try:
                        stores[index % 2].create_session(session())
                    except ConflictError:
                        continue

        race(8, use)


class CloseContract(StoreContract):
    """Stores that are closed."""

    def test_closing_twice_is_closing_once(self, open_store: OpenStore) -> None:
        """A `finally` after a `with` raises."""
        store = open_store()
        store.create_session(session())
        store.close()
        store.close()

    def test_an_unused_store_can_be_closed(self, open_store: OpenStore) -> None:
        """Closing connects."""
        open_store().close()

    def test_a_closed_store_says_so(self, open_store: OpenStore) -> None:
        """It opens itself again and leaks, or dies in the driver with a riddle."""
        store = open_store()
        store.create_session(session())
        store.close()
        uses: list[Callable[[], object]] = [
            lambda: store.get_session("s"),
            lambda: store.create_session(session("t")),
            lambda: store.ensure_session(session("s")),
            lambda: store.get_messages("s"),
            lambda: store.add_message("s", message()),
            store.list_sessions,
        ]
        for use in uses:
            with pytest.raises(PersistError, match="closed"):
                use()

    def test_closing_one_store_leaves_the_others(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """Stores that share connections close them for each other."""
        store.create_session(session())
        second.add_message("s", message())
        second.close()
        store.add_message("s", message())
        assert store.count("s") == 2

    def test_a_with_block_closes(self, open_store: OpenStore) -> None:
        """A store that is only closed by the garbage collector holds its connections."""
        with open_store() as store:
            store.create_session(session())
        with pytest.raises(PersistError, match="closed"):
            store.get_session("s")
