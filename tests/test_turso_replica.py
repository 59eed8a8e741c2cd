"""Embedded replicas: reads come from a file, and what was written is read, or it is said."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from praison_persist import (
    AsyncTursoConversationStore,
    ConversationMessage,
    ConversationSession,
    SQLConversationStore,
    TursoConversationStore,
)
from praison_persist.errors import ConfigurationError, MissingDependencyError, UnavailableError
from praison_persist.sql.embedded_replica import EmbeddedReplica
from praison_persist.testing.contract import race

from .services.sqld import Sqld, key_and_token, sqld
from .test_faults import assert_whole, contents, told


def session() -> ConversationSession:
    return ConversationSession()


def message(content: str = "") -> ConversationMessage:
    return ConversationMessage(role="user", content=content)


def replica_of(store: TursoConversationStore) -> EmbeddedReplica:
    found = store.database.engines.get().embedded
    assert found is not None
    return found


def client_of(store: TursoConversationStore) -> int:
    """Return the process id of the store's libSQL client."""
    client = replica_of(store)._client
    assert client is not None
    return client._process.pid


def test_what_was_written_is_read_also_without_the_server(own_sqld: Sqld, tmp_path: Path) -> None:
    """Reads go to the server, or to a file that is behind."""
    with TursoConversationStore(own_sqld.url, local_path=tmp_path / "new" / "r.db") as store:
        mine = store.create_session(session()).session_id
        for number in range(20):
            assert store.add_message(mine, message(str(number))).seq == number + 1
            assert store.count(mine) == number + 1
        own_sqld.stop()
        try:
            assert contents(store.get_messages(mine)) == [str(number) for number in range(20)]
            with pytest.raises(UnavailableError, match="libsql at"):
                store.add_message(mine, message("not stored"))
            with pytest.raises(UnavailableError, match=r"replica .*r\.db could not"):
                store.sync()
        finally:
            own_sqld.start()
        assert store.add_message(mine, message("20")).seq == 21
        assert_whole(store.get_messages(mine))


def test_threads_read_what_they_wrote(own_sqld: Sqld, tmp_path: Path) -> None:
    """A synchronisation that began before a commit is taken for one that holds it."""
    with TursoConversationStore(own_sqld.url, local_path=tmp_path / "r.db") as store:
        mine = store.create_session(session()).session_id

        def write(_index: int) -> None:
            for _ in range(6):
                one = store.add_message(mine, message())
                assert one in store.get_messages(mine)

        race(8, write)
        assert_whole(store.get_messages(mine))
        assert store.count(mine) == 48


def test_what_others_wrote_comes_when_asked_for(own_sqld: Sqld, tmp_path: Path) -> None:
    url = own_sqld.url
    with (
        SQLConversationStore(url) as other,
        TursoConversationStore(url, local_path=tmp_path / "r.db", sync_on_write=False) as store,
    ):
        mine = other.create_session(session()).session_id
        store.sync()
        other.add_message(mine, message("theirs"))
        store.add_message(mine, message("ours"))
        assert store.count(mine) == 0
        store.sync()
        assert contents(store.get_messages(mine)) == ["theirs", "ours"]


def test_a_failed_synchronisation_is_an_error_and_the_write_is_kept(
    own_sqld: Sqld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is acknowledged and cannot be read, or its repetition doubles it."""
    path = tmp_path / "r.db"
    with TursoConversationStore(own_sqld.url, local_path=path, retry_delay=0.01) as store:
        mine = store.create_session(session()).session_id
        client = replica_of(store)._client
        assert client is not None
        client._process.kill()
        one = message("kept")
        with monkeypatch.context() as broken:
            broken.setattr(sys, "executable", str(tmp_path / "none"))
            with pytest.raises(UnavailableError, match="The write is stored in the primary") as e:
                store.add_message(mine, one)
        assert e.value.attempts == 4
        assert str(path) in str(e.value)
        with SQLConversationStore(own_sqld.url) as primary:
            assert contents(primary.get_messages(mine)) == ["kept"]
        assert store.add_message(mine, one).seq == 1
        assert contents(store.get_messages(mine)) == ["kept"]


def test_a_client_that_died_is_started_again(own_sqld: Sqld, tmp_path: Path) -> None:
    with TursoConversationStore(own_sqld.url, local_path=tmp_path / "r.db") as store:
        mine = store.create_session(session()).session_id
        for number in range(3):
            client = replica_of(store)._client
            assert client is not None
            client._process.kill()
            store.add_message(mine, message())
            assert store.count(mine) == number + 1


def test_a_file_has_one_keeper(own_sqld: Sqld, tmp_path: Path) -> None:
    """Two clients that write to one file break it."""
    path = tmp_path / "r.db"
    with TursoConversationStore(own_sqld.url, local_path=path) as store:
        mine = store.create_session(session()).session_id
        with TursoConversationStore(own_sqld.url, local_path=path) as same:
            assert same.get_session(mine) is not None
        with (
            TursoConversationStore(own_sqld.url, local_path=path, pool_size=1) as other,
            pytest.raises(ConfigurationError, match="local_path of its own"),
        ):
            other.get_session(mine)
        child = os.fork()
        if child == 0:
            try:
                store.add_message(mine, message())
            except UnavailableError as error:
                os._exit(0 if "forked" in str(error) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        store.sync()
        assert store.count(mine) == 1
    with TursoConversationStore(own_sqld.url, local_path=path, pool_size=1) as store:
        assert store.count(mine) == 1


def test_asyncio_reads_what_it_wrote(own_sqld: Sqld, tmp_path: Path) -> None:
    async def use() -> None:
        path = tmp_path / "r.db"
        async with AsyncTursoConversationStore(own_sqld.url, local_path=path) as store:
            mine = (await store.create_session(session())).session_id

            async def write() -> None:
                one = await store.add_message(mine, message())
                assert one in await store.get_messages(mine)

            await asyncio.gather(*(write() for _ in range(8)))
            await store.sync()
            assert_whole(await store.get_messages(mine))

    asyncio.run(use())


def test_a_token_is_seen_by_nobody(tmp_path: Path) -> None:
    key, token = key_and_token(tmp_path)
    with sqld(tmp_path / "data", "--auth-jwt-key-file", key) as server:
        path = tmp_path / "r.db"
        with TursoConversationStore(
            server.url, auth_token=token, local_path=path, max_retries=0
        ) as store:
            store.create_session(session())
            process = Path(f"/proc/{client_of(store)}")
            for seen in ("cmdline", "environ"):
                assert token.encode() not in (process / seen).read_bytes()
            assert token not in repr(store) + repr(store.database)
            replica_of(store)._request["auth_token"] = "5ecret"
            replica_of(store).close()
            with pytest.raises(UnavailableError, match="could not be brought") as caught:
                store.sync()
            assert "5ecret" not in told(caught.value)


def test_a_missing_client_is_named(own_sqld: Sqld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("praison_persist.sql.embedded_replica.find_spec", lambda _name: None)
    with (
        TursoConversationStore(own_sqld.url, local_path="r.db") as store,
        pytest.raises(MissingDependencyError, match=r"praison-persist\[turso\]"),
    ):
        store.connect()
