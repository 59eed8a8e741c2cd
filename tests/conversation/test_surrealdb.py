"""SurrealDB keeps the conversation contract: its engine here, and behind WebSocket and HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.knowledge.packages import needs

needs("surrealdb", extra="surrealdb")

from praison_persist import PraisonAIDB  # noqa: E402 - after the check
from praison_persist._adapt import blocking  # noqa: E402 - after the check
from praison_persist.config import (  # noqa: E402 - after the check
    create_conversation_store,
    detect_backend,
)
from praison_persist.conversation.surrealdb import (  # noqa: E402 - after the check
    AsyncSurrealDBConversationStore,
    SurrealDBConversationStore,
)
from praison_persist.errors import (  # noqa: E402 - after the check
    ConfigurationError,
    ConflictError,
    UnavailableError,
)
from praison_persist.knowledge.surrealdb_vector import (  # noqa: E402 - after the check
    SurrealDBKnowledgeStore,
)
from praison_persist.protocols import ConversationStore  # noqa: E402 - after the check
from praison_persist.testing import ConversationStoreContract  # noqa: E402 - after the check
from praison_persist.testing.contract import (  # noqa: E402 - after the check
    OpenStore,
    message,
    race,
    session,
)
from tests.programs import environment, python  # noqa: E402 - after the check
from tests.services.surrealdb import PASSWORD, USER, SurrealDB  # noqa: E402 - after the check

# The SDK opens its WebSocket as websockets 17.1 no longer likes it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:connect.. must be used as a context manager:DeprecationWarning"
)


@pytest.fixture(scope="module")
def running() -> Iterator[SurrealDB]:
    server = SurrealDB()
    yield server
    server.close()


@pytest.fixture
def server(running: SurrealDB) -> Iterator[SurrealDB]:
    yield running
    running.empty()


def _sync(url: str, **options: Any) -> OpenStore:
    return lambda: SurrealDBConversationStore(url, **options)


def _async(url: str, **options: Any) -> OpenStore:
    return lambda: blocking(AsyncSurrealDBConversationStore(url, **options), ConversationStore)


_LOGIN: dict[str, Any] = {"username": USER, "password": PASSWORD}


class TestEngine(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return _sync(f"surrealkv://{tmp_path}/data")


class TestEngineAsync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return _async(f"surrealkv://{tmp_path}/data")


class TestWebSocket(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return _sync(f"ws://{server.host}/rpc", **_LOGIN)


class TestWebSocketAsync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return _async(f"ws://{server.host}/rpc", **_LOGIN)


class TestHTTP(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return _sync(f"http://{server.host}", **_LOGIN)


class TestHTTPAsync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return _async(f"http://{server.host}", **_LOGIN)


class TestServer:
    """What the suite cannot stage: a server that fails, and one that others use."""

    @pytest.fixture(params=["ws-sync", "ws-async", "http-sync", "http-async"])
    def store(self, request: pytest.FixtureRequest, server: SurrealDB) -> Iterator[Any]:
        scheme, _, colour = request.param.partition("-")
        open_store = _sync if colour == "sync" else _async
        url = f"{scheme}://{server.host}"
        with open_store(url, retry_delay=0.001, **_LOGIN)() as store:
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
        with _sync(f"ws://{server.host}", **_LOGIN)() as other:
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
        with _sync(f"ws://{server.host}", **_LOGIN)() as other:

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
        with _sync(f"ws://{server.host}", **_LOGIN)() as store:
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
            _sync(url, table_prefix="one_", **_LOGIN)() as one,
            _sync(url, table_prefix="", **_LOGIN)() as two,
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
        with _sync(f"ws://{server.host}", auto_create_tables=False, **_LOGIN)() as store:
            assert store.list_sessions() == []
            store.create_session(session())
            assert store.add_message("s", message()).seq == 1

    def test_a_wrong_password_is_told_and_not_shown(self, server: SurrealDB) -> None:
        for open_store in (_sync, _async):
            wrong = open_store(f"ws://{server.host}", username=USER, password="wrong-secret")
            with wrong() as store, pytest.raises(UnavailableError, match="Check username") as told:
                store.list_sessions()
            assert "wrong-secret" not in str(told.value) + repr(store)


class TestSession:
    """Long sessions, and many of them."""

    @pytest.fixture
    def store(self) -> Iterator[ConversationStore]:
        with SurrealDBConversationStore("mem://") as store:
            yield store

    def test_the_ends_are_found_across_gaps(self, store: ConversationStore) -> None:
        """Only the numbers nearest to an end are looked at first; these are deleted."""
        store.create_session(session())
        store.add_messages("s", [message(str(n), id=str(n)) for n in range(1, 41)])
        kept = [1, 2, 20, 39]
        store.delete_messages("s", [str(n) for n in range(1, 41) if n not in kept])
        assert [m.seq for m in store.get_messages("s", limit=3)] == [2, 20, 39]
        for backward in (False, True):
            found: list[int | None] = []
            cursor = None
            while True:
                page = store.page_messages("s", limit=2, cursor=cursor, backward=backward)
                seqs = [m.seq for m in page.messages]
                found += seqs[::-1] if backward else seqs
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == (kept[::-1] if backward else kept)

    def test_great_numbers_are_kept_in_order(self, store: ConversationStore) -> None:
        """A dump may have any; beyond 2**53 a double cannot tell them apart."""
        store.create_session(session())
        store.add_messages("s", [message(str(n), id=str(n)) for n in range(3)])
        dump = store.dump_session("s")
        assert dump is not None
        store.delete_session("s")
        for row, seq in zip(dump["messages"], (2**53, 2**53 + 1, 2**61), strict=True):
            row["seq"] = seq
        store.load_session(dump)
        assert [m.seq for m in store.get_messages("s")] == [2**53, 2**53 + 1, 2**61]
        assert [m.seq for m in store.get_messages("s", limit=2)] == [2**53 + 1, 2**61]
        assert store.add_message("s", message()).seq == 2**61 + 1

    def test_sessions_are_listed_by_position_however_many(self, store: ConversationStore) -> None:
        """An index of SurrealDB 2.3 gives a wrong page of an ordered list."""
        for number in range(120):
            key = f"s{number * 37 % 120:03}"
            store.create_session(session(key, user_id=f"u{number % 2}", updated_at=number // 3))
        everything = store.list_sessions(limit=None)
        order = [(s.updated_at, s.session_id) for s in everything]
        assert order == sorted(order, reverse=True)
        assert store.list_sessions(limit=7, offset=50) == everything[50:57]
        for user in (None, "u1"):
            mine = [s for s in everything if user in (None, s.user_id)]
            cursor, found = None, []
            while True:
                page = store.page_sessions(user, limit=7, cursor=cursor)
                found += page.sessions
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == mine
        assert store.list_sessions(limit=None, offset=2**40) == []

    def test_memory_is_of_one_store(self, store: ConversationStore) -> None:
        store.create_session(session())
        with _async("mem://")() as other:
            assert other.get_session("s") is None


class TestDirectory:
    def test_it_is_kept(self, tmp_path: Path) -> None:
        for scheme in ("surrealkv", "file"):
            url = f"{scheme}://{tmp_path}/new/{scheme}"
            with _sync(url)() as store:
                store.create_session(session(name="n"))
                store.add_message("s", message("text"))
            with _async(url)() as store:
                assert [m.content for m in store.get_messages("s")] == ["text"]

    def test_what_a_killed_process_was_told_is_kept(self, tmp_path: Path) -> None:
        """An engine that writes later loses what it acknowledged."""
        url = f"surrealkv://{tmp_path}/data"
        program = (
            "import os\n"
            "from praison_persist import ConversationMessage, ConversationSession\n"
            "from praison_persist import SurrealDBConversationStore\n"
            f"store = SurrealDBConversationStore({url!r})\n"
            "store.create_session(ConversationSession('s'))\n"
            "for number in range(20):\n"
            "    store.add_message('s', ConversationMessage(id=str(number), role='user'))\n"
            "os.kill(os.getpid(), 9)\n"
        )
        ended = python("-c", program, cwd=tmp_path, variables=environment(tmp_path))
        assert ended.returncode == -9, ended.stderr
        with _sync(url)() as store:
            assert [m.id for m in store.get_messages("s")] == [str(n) for n in range(20)]

    @pytest.mark.parametrize("chosen", [None, "false"])
    def test_the_engine_writes_before_it_answers(self, tmp_path: Path, chosen: str | None) -> None:
        """Its default is to sync later: strace shows no fsync for a commit."""
        program = (
            "import os\n"
            "from praison_persist import SurrealDBConversationStore\n"
            f"SurrealDBConversationStore('surrealkv://{tmp_path}/data').list_sessions()\n"
            "print(os.environ['SURREAL_SYNC_DATA'])"
        )
        variables = environment(tmp_path)
        variables.pop("SURREAL_SYNC_DATA", None)
        if chosen is not None:
            variables["SURREAL_SYNC_DATA"] = chosen
        ended = python("-c", program, cwd=tmp_path, variables=variables)
        assert ended.stdout == f"{chosen or 'true'}\n", ended.stderr

    def test_knowledge_and_conversations_share_it(self, tmp_path: Path) -> None:
        url = f"surrealkv://{tmp_path}/data"
        with _sync(url)() as store, SurrealDBKnowledgeStore(url) as knowledge:
            store.create_session(session())
            knowledge.create_collection("docs", 4)
            assert store.get_session("s") is not None

    def test_another_process_is_refused(self, tmp_path: Path) -> None:
        url = f"surrealkv://{tmp_path}/data"
        program = (
            "from praison_persist import SurrealDBConversationStore\n"
            f"SurrealDBConversationStore({url!r}).list_sessions()"
        )
        with _sync(url)() as store:
            store.list_sessions()
            ended = python("-c", program, cwd=tmp_path, variables=environment(tmp_path))
            assert "another process has this directory open" in ended.stderr


class TestAgent:
    def test_an_agent_resumes(self, tmp_path: Path) -> None:
        url = f"surrealkv://{tmp_path}/data"
        for turn in range(2):
            with PraisonAIDB(url) as db:
                db.on_agent_start("Ada", session_id="s", user_id="u")
                db.on_user_message("s", f"question {turn}")
                db.on_agent_message("s", f"answer {turn}")
                db.on_agent_end("s")
        with SurrealDBConversationStore(url) as store:
            found = store.get_messages("s")
            session = store.get_session("s")
        assert [(m.role, m.content) for m in found] == [
            ("user", "question 0"),
            ("assistant", "answer 0"),
            ("user", "question 1"),
            ("assistant", "answer 1"),
        ]
        assert session is not None
        assert session.user_id == "u"


class TestNames:
    @pytest.mark.parametrize(
        "url", ["surrealkv://{}/data", "file://{}/data", "mem://", "SurrealKV://{}/data"]
    )
    def test_a_url_means_it(self, url: str, tmp_path: Path) -> None:
        url = url.format(tmp_path)
        assert detect_backend(url) == "surrealdb"
        for mode, kind in (
            ("sync", SurrealDBConversationStore),
            ("async", AsyncSurrealDBConversationStore),
        ):
            store = create_conversation_store("surrealdb", url, mode=mode)
            assert type(store) is kind

    @pytest.mark.parametrize("scheme", ["ws", "wss", "surrealdb", "surreal"])
    def test_a_url_of_a_server_means_it(self, scheme: str) -> None:
        url = f"{scheme}://localhost:8000/rpc"
        assert detect_backend(url) == "surrealdb"
        with create_conversation_store("surrealdb", url, **_LOGIN) as store:
            assert type(store) is SurrealDBConversationStore
        with pytest.raises(ConfigurationError, match="needs username= and password="):
            create_conversation_store("surrealdb", url)

    @pytest.mark.parametrize("prefix", ["a b", "a`b", "1a", "é", "x" * 41, "a-b", None, "a\n"])
    def test_what_cannot_be_a_prefix_is_refused(self, prefix: Any) -> None:
        for store in (SurrealDBConversationStore, AsyncSurrealDBConversationStore):
            with pytest.raises(ConfigurationError, match="table_prefix"):
                store("mem://", table_prefix=prefix)

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises((TypeError, ConfigurationError), match="pool_size"):
            create_conversation_store("surrealdb", "mem://", pool_size=5)
