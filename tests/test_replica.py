"""`replica_url`: what it may be, and replicas that cannot tell how far they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from praison_persist import PraisonAIDB, create_state_store
from praison_persist._adapt import blocking
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.newest import is_newest, newest
from praison_persist.protocols import ConversationStore
from praison_persist.sql import replica
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.replica import Replica, Written
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.sql.url import parse_url

from .servers import MARIADB, scratch

SECRET = "5ecret"
PRIMARY = "postgresql://u@h/db"


@pytest.mark.parametrize("url", ["mysql://h/db", "replica.db", "nosql://h/db", "", 5])
def test_a_replica_is_of_the_same_kind(url: Any) -> None:
    """Each read fails, or an empty file is read."""
    with pytest.raises(ConfigurationError):
        SQLConversationStore(PRIMARY, replica_url=url)


def test_sqlite_has_none() -> None:
    """See above."""
    with pytest.raises(ConfigurationError, match="replica_url"):
        SQLConversationStore("a.db", replica_url="b.db")


def test_state_has_none() -> None:
    """A counter, or a flag that decides what an agent does, is read as it was."""
    with pytest.raises(ConfigurationError, match="replica_url"):
        create_state_store("sql", PRIMARY, replica_url=PRIMARY)


def test_its_password_is_not_shown() -> None:
    options = SQLOptions(replica_url=f"postgresql://u:{SECRET}@h/db")
    assert SECRET not in repr(options)


def test_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ignored, or used with a database that it is no replica of."""
    monkeypatch.setenv("PRAISONAI_CONVERSATION_REPLICA_URL", "postgresql://replica/db")
    monkeypatch.setenv("PRAISONAI_CONVERSATION_URL", PRIMARY)

    def replica_of(adapter: PraisonAIDB) -> Any:
        try:
            store: Any = adapter.conversation
            return store.database.options.replica_url
        finally:
            adapter.close()

    assert replica_of(PraisonAIDB()) == "postgresql://replica/db"
    assert replica_of(PraisonAIDB(replica_url=PRIMARY)) == PRIMARY
    assert replica_of(PraisonAIDB(PRIMARY)) is None


@pytest.mark.parametrize("several", [False, True])
def test_several_replicas_share_the_reads(several: bool) -> None:
    """All reads go to the first, or to the primary."""
    hosts = "h1,h2" if several else "h1"
    options = SQLOptions(replica_url=f"postgresql://{hosts}/db")
    found = Replica(parse_url(PRIMARY), options).target.query
    assert ("target_session_attrs" in found) is several
    spread = Replica(parse_url("mysql://h/db"), SQLOptions(replica_url=f"mysql://{hosts}/db"))
    assert spread.target.spread is several


def test_newest_ends() -> None:
    with newest():
        assert is_newest()
    assert not is_newest()


def test_sessions_that_are_forgotten_are_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the number that is remembered, a write is not waited for."""
    monkeypatch.setattr(replica, "_SESSIONS", 2)
    written = Written(clock=iter(range(100)).__next__)

    @replica.about_session
    def write(session_id: str) -> None: ...

    for session_id in ("a", "b", "c"):
        written.add(write, [session_id])
    first, *_ = written.marks(write, ["a"]) or []
    assert first.at == 0
    assert [mark.at for mark in written.marks(write, ["c"]) or []] == [2, 0]


@pytest.fixture
def copy() -> Iterator[str]:
    """An empty database that stands for a replica which never catches up."""
    with scratch(MARIADB) as url:
        with SQLConversationStore(url) as store:
            store.connect()
        yield url


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_replica_that_cannot_tell_is_given_time(
    mariadb_database: str, copy: str, colour: str
) -> None:
    """What was just written is missing from the next read."""
    options: dict[str, Any] = {"replica_url": copy, "replica_lag": 5.0}
    store: ConversationStore = (
        SQLConversationStore(mariadb_database, **options)
        if colour == "sync"
        else blocking(AsyncSQLConversationStore(mariadb_database, **options), ConversationStore)
    )
    now = [100.0]
    adapted: Any = store if colour == "sync" else getattr(store, "adapted")  # noqa: B009 - of the generated class alone
    adapted.database.replica.written.clock = lambda: now[0]
    with store:
        mine = store.create_session(ConversationSession()).session_id
        store.add_message(mine, ConversationMessage(role="user", content="x"))
        assert store.count(mine) == 1
        assert store.get_session("another") is None
        now[0] += 4.9
        assert store.count(mine) == 1
        assert len(store.list_sessions(limit=1)) == 1
        now[0] += 0.2
        assert store.count(mine) == 0
        assert store.list_sessions() == []
        with newest():
            assert store.count(mine) == 1
        store.delete_messages(mine)
        assert store.count(mine) == 0
