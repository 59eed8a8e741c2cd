"""SurrealDB keeps the conversation contract: its engine here, and behind WebSocket and HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packages import needs

needs("surrealdb", extra="surrealdb")

from praison_persist import PraisonAIDB  # noqa: E402 - after the check
from praison_persist.cli.stores import open_conversations  # noqa: E402 - after the check
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
    NotFoundError,
)
from praison_persist.knowledge.surrealdb_vector import (  # noqa: E402 - after the check
    SurrealDBKnowledgeStore,
)
from praison_persist.protocols import ConversationStore  # noqa: E402 - after the check
from praison_persist.testing import ConversationStoreContract  # noqa: E402 - after the check
from praison_persist.testing.contract import (  # noqa: E402 - after the check
    OpenStore,
    message,
    session,
)
from tests.conversation.surrealdb_stores import (  # noqa: E402 - after the check
    LOGIN,
    OnServer,
    async_store,
    sync_store,
)
from tests.programs import environment, python  # noqa: E402 - after the check
from tests.services.surrealdb import SurrealDB  # noqa: E402 - after the check


class TestEngine(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return sync_store(f"surrealkv://{tmp_path}/data")


@pytest.mark.again
class TestEngineAsync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return async_store(f"surrealkv://{tmp_path}/data")


class TestWebSocket(OnServer, ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return sync_store(f"ws://{server.host}/rpc", **LOGIN)


@pytest.mark.again
class TestWebSocketAsync(OnServer, ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return async_store(f"ws://{server.host}/rpc", **LOGIN)


@pytest.mark.again
class TestHTTP(OnServer, ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return sync_store(f"http://{server.host}", **LOGIN)


@pytest.mark.again
class TestHTTPAsync(OnServer, ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return async_store(f"http://{server.host}", **LOGIN)


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
        with async_store("mem://")() as other:
            assert other.get_session("s") is None


class TestDirectory:
    def test_it_is_kept(self, tmp_path: Path) -> None:
        for scheme in ("surrealkv", "file"):
            url = f"{scheme}://{tmp_path}/new/{scheme}"
            with sync_store(url)() as store:
                store.create_session(session(name="n"))
                store.add_message("s", message("text"))
            with async_store(url)() as store:
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
        with sync_store(url)() as store:
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
        with sync_store(url)() as store, SurrealDBKnowledgeStore(url) as knowledge:
            store.create_session(session())
            knowledge.create_collection("docs", 4)
            assert store.get_session("s") is not None

    def test_another_process_is_refused(self, tmp_path: Path) -> None:
        url = f"surrealkv://{tmp_path}/data"
        program = (
            "from praison_persist import SurrealDBConversationStore\n"
            f"SurrealDBConversationStore({url!r}).list_sessions()"
        )
        with sync_store(url)() as store:
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
    @pytest.mark.parametrize("url", ["surrealkv://{}/data", "mem://", "SurrealKV://{}/data"])
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
        with create_conversation_store("surrealdb", url, **LOGIN) as store:
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


def test_a_command_that_reads_makes_no_directory(tmp_path: Path) -> None:
    """A path that was mistyped is a new, empty database."""
    with (
        pytest.raises(NotFoundError, match="check the path"),
        open_conversations(f"surrealkv://{tmp_path / 'typo'}"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
