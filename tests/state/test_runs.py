"""State stores keep the contract of runs, beside conversations that are kept elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from praison_persist._adapt import blocking, offload
from praison_persist.errors import ConfigurationError, PersistError
from praison_persist.protocols import (
    AsyncConversationStore,
    Capability,
    ConversationStore,
    RunStore,
    StateCapability,
    StateStore,
)
from praison_persist.state.keys import state_key
from praison_persist.state.memory import MemoryStateStore
from praison_persist.state.redis import AsyncRedisStateStore, RedisStateStore
from praison_persist.state.runs import AsyncStateRunStore, StateRunStore
from praison_persist.state.sql import SQLStateStore
from praison_persist.testing.reference import ReferenceConversationStore
from praison_persist.testing.runs import OpenStores, RunStoreContract

from .services import namespace


class _Conversations(ReferenceConversationStore):
    """Sessions are dumped by the store of their runs, if at all."""

    capabilities = ReferenceConversationStore.capabilities - {Capability.DUMP}


class _Contract(RunStoreContract):
    @pytest.fixture
    def open_state(self) -> Callable[[], StateStore]:
        raise NotImplementedError

    @pytest.fixture
    def open_stores(self, open_state: Callable[[], StateStore]) -> Iterator[OpenStores]:
        opened: list[RunStore] = []

        def open_stores() -> tuple[ConversationStore, RunStore]:
            conversations = _Conversations()
            opened.append(StateRunStore(open_state(), conversations))
            return conversations, opened[-1]

        yield open_stores
        for runs in opened:
            runs.close()

    def delete(self, conversations: ConversationStore, runs: RunStore, key: str) -> bool:
        runs.delete_session(key)
        return conversations.delete_session(key)

    def test_a_closed_store_says_so(self, open_stores: OpenStores) -> None:
        """Closing the conversations does not close the runs, which are kept elsewhere."""
        _, runs = open_stores()
        runs.close()
        runs.close()
        with pytest.raises(PersistError, match="closed"):
            runs.get_runs("s")


class TestMemory(_Contract):
    @pytest.fixture
    def open_state(self) -> Callable[[], StateStore]:
        return MemoryStateStore


class TestSQL(_Contract):
    @pytest.fixture
    def open_state(self, sqlite_template: Path, tmp_path: Path) -> Callable[[], StateStore]:
        path = tmp_path / "state.db"
        shutil.copy(sqlite_template, path)
        return lambda: SQLStateStore(path)


class TestRedis(_Contract):
    @pytest.fixture
    def open_state(self) -> Iterator[Callable[[], StateStore]]:
        with namespace() as (url, prefix):
            yield lambda: RedisStateStore(url, prefix=prefix)


class TestAsyncRedis(_Contract):
    @pytest.fixture
    def open_stores(self) -> Iterator[OpenStores]:
        opened: list[RunStore] = []
        with namespace() as (url, prefix):

            def open_stores() -> tuple[ConversationStore, RunStore]:
                conversations = _Conversations()
                native = offload(conversations, AsyncConversationStore)
                runs = AsyncStateRunStore(AsyncRedisStateStore(url, prefix=prefix), native)
                opened.append(blocking(runs, RunStore))
                return conversations, opened[-1]

            yield open_stores
            for runs in opened:
                runs.close()


class _Plain(MemoryStateStore):
    def __init__(self) -> None:
        super().__init__()
        self.capabilities = frozenset({StateCapability.COUNTERS})


def test_a_store_that_cannot_keep_runs_is_refused() -> None:
    """Runs are lost to races without a word."""
    with _Plain() as state, pytest.raises(ConfigurationError, match="VERSIONS, SET_IF_ABSENT"):
        StateRunStore(state, ReferenceConversationStore())


def test_no_two_lists_of_ids_share_a_key() -> None:
    """The runs of "a" show up among those of "a:b"."""
    lists = [("a", "b:c"), ("a:b", "c"), ("a%3Ab", "c"), ("a", "b", "c"), ("a:b:c",), ("a%", "b")]
    assert len({state_key("run", *ids) for ids in lists}) == len(lists)
    long = [("x" * 255, "y" * 255), ("x" * 254, "xy" * 128), (":" * 255, "z")]
    keys = {state_key("run", *ids) for ids in long}
    assert len(keys) == 3
    assert all(len(key) <= 480 for key in keys)
    assert state_key("run", "s", "r") == "run:s:r"
