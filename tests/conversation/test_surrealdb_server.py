"""Conversations on a server of SurrealDB that fails, and that others use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packages import needs

needs("surrealdb", extra="surrealdb")

from praison_persist.errors import ConflictError, UnavailableError  # noqa: E402 - after the check
from praison_persist.testing.contract import message, race, session  # noqa: E402 - after the check
from tests.conversation.surrealdb_stores import (  # noqa: E402 - after the check
    LOGIN,
    OnServer,
    async_store,
    sync_store,
)
from tests.programs import environment, python  # noqa: E402 - after the check
from tests.services.surrealdb import PASSWORD, USER, SurrealDB  # noqa: E402 - after the check


class TestServer(OnServer):
    """What the suite cannot stage: a server that fails, and one that others use."""

    @pytest.fixture(params=["ws-sync", "ws-async", "http-sync", "http-async"])
    def store(self, request: pytest.FixtureRequest, server: SurrealDB) -> Iterator[Any]:
        scheme, _, colour = request.param.partition("-")
        open_store = sync_store if colour == "sync" else async_store
        url = f"{scheme}://{server.host}"
        with open_store(url, retry_delay=0.001, **LOGIN)() as store:
            store.create_session(session())
            yield store

    def test_writers_in_the_way_are_waited_for(self, server: SurrealDB, store: Any) -> None:
        """More of them than there are retries of a lost connection."""
        server.conflicting = 10
        assert store.add_message("s", message(id="m")).seq == 1
        assert server.conflicting == 0

    def test_an_append_whose_answer_was_lost_is_done_once(
        self, server: SurrealDB, store: Any
    ) -> None:
        server.losing = 2
        stored = store.add_messages("s", [message("a", id="a"), message("b", id="b")])
        assert server.losing == 0
        assert [m.seq for m in stored] == [1, 2]
        assert store.get_messages("s") == stored

    def test_a_creation_whose_answer_was_lost_is_done_once(
        self, server: SurrealDB, store: Any
    ) -> None:
        server.losing = 1
        assert store.create_session(session("t", name="mine")).version == 1
        server.losing = 1
        with pytest.raises(ConflictError, match="'t'"):
            store.create_session(session("t", name="another's"))
        assert server.losing == 0

    def test_an_update_whose_answer_was_lost_is_done_once(
        self, server: SurrealDB, store: Any
    ) -> None:
        server.losing = 1
        assert store.update_session(session(name="n"), expected_version=1).version == 2
        assert server.losing == 0
        assert store.get_session("s").version == 2

    def test_a_lost_connection_is_made_again(self, server: SurrealDB, store: Any) -> None:
        server.cut()
        assert store.add_message("s", message()).seq == 1

    def test_a_server_that_is_down_is_told(self, server: SurrealDB, store: Any) -> None:
        store.count("s")
        server.refusing = True
        server.cut()
        with pytest.raises(UnavailableError, match="4 attempts"):
            store.add_message("s", message())
        server.refusing = False
        assert store.count("s") == 0

    def test_connections_lost_among_threads_lose_no_message(
        self, server: SurrealDB, store: Any
    ) -> None:
        def write(index: int) -> list[int | None]:
            seqs: list[int | None] = []
            for number in range(20):
                if index == 0 and number % 7 == 3:  # not more often than an append is tried
                    server.cut()
                seqs.append(store.add_message("s", message(id=f"{index}/{number}")).seq)
            return seqs

        seqs = [seq or 0 for part in race(8, write) for seq in part]
        assert sorted(seqs) == list(range(1, 161))

    def test_an_expired_session_is_signed_in_again(self, server: SurrealDB, store: Any) -> None:
        server.expired = 1
        assert store.add_message("s", message()).seq == 1
        assert server.expired == 0

    def test_a_message_deleted_while_it_is_compared_is_written_again(
        self, server: SurrealDB, store: Any
    ) -> None:
        """An append reports a message as stored that is no longer there."""
        first = store.add_messages("s", [message(each, id=each) for each in "ab"])
        with sync_store(f"ws://{server.host}", **LOGIN)() as other:
            assert other.count("s") == 2
            server.meanwhile = lambda: other.delete_messages("s", ["a"])
            stored = store.add_messages("s", [message(each, id=each) for each in "abc"])
        assert [m.seq for m in stored] == [3, 2, 4]
        assert store.get_messages("s") == [first[1], stored[0], stored[2]]

    def test_a_session_made_anew_while_it_is_compared_is_another(
        self, server: SurrealDB, store: Any
    ) -> None:
        """Its messages have the numbers of those that were compared."""
        store.add_message("s", message("old", id="a"))
        with sync_store(f"ws://{server.host}", **LOGIN)() as other:

            def anew() -> None:
                other.delete_session("s")
                other.create_session(session())
                other.add_message("s", message("new", id="a"))

            assert other.count("s") == 1
            server.meanwhile = anew
            with pytest.raises(ConflictError, match="'a'"):
                store.add_messages("s", [message("old", id="a"), message("b", id="b")])
        assert [m.content for m in store.get_messages("s")] == ["new"]

    def test_two_processes_lose_nothing(self, server: SurrealDB, tmp_path: Path) -> None:
        program = (
            "import sys, warnings\n"
            "from praison_persist import ConversationMessage, SurrealDBConversationStore\n"
            f"with SurrealDBConversationStore('ws://{server.host}', username={USER!r},"
            f" password={PASSWORD!r}) as store:\n"
            "    for number in range(100):\n"
            "        id = f'{sys.argv[1]}/{number}'\n"
            "        store.add_message('s', ConversationMessage(id=id, role='user'))\n"
        )
        variables = environment(tmp_path)
        with sync_store(f"ws://{server.host}", **LOGIN)() as store:
            store.create_session(session())
            ended = race(
                2,
                lambda index: python("-c", program, str(index), cwd=tmp_path, variables=variables),
            )
            assert [each.returncode for each in ended] == [0, 0], ended
            found = store.get_messages("s")
        assert [m.seq for m in found] == list(range(1, 201))
        for index in range(2):
            mine = [m.id for m in found if m.id.startswith(f"{index}/")]
            assert mine == [f"{index}/{number}" for number in range(100)]

    def test_prefixes_are_apart(self, server: SurrealDB) -> None:
        url = f"ws://{server.host}"
        with (
            sync_store(url, table_prefix="one_", **LOGIN)() as one,
            sync_store(url, table_prefix="", **LOGIN)() as two,
        ):
            one.create_session(session())
            one.add_message("s", message("one"))
            assert two.get_session("s") is None
            two.create_session(session())
            two.add_message("s", message("two"))
            assert two.delete_session("s")
            assert [m.content for m in one.get_messages("s")] == ["one"]

    def test_tables_need_not_be_defined_by_us(self, server: SurrealDB) -> None:
        """A user of a server may read and write, and not define."""
        with sync_store(f"ws://{server.host}", auto_create_tables=False, **LOGIN)() as store:
            assert store.list_sessions() == []
            store.create_session(session())
            assert store.add_message("s", message()).seq == 1

    def test_a_wrong_password_is_told_and_not_shown(self, server: SurrealDB) -> None:
        for open_store in (sync_store, async_store):
            wrong = open_store(f"ws://{server.host}", username=USER, password="wrong-secret")
            with wrong() as store, pytest.raises(UnavailableError, match="Check username") as told:
                store.list_sessions()
            assert "wrong-secret" not in str(told.value) + repr(store)
