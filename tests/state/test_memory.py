"""The memory store keeps the contract: in memory, in a file, and offloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from praison_persist._adapt import blocking, offload
from praison_persist.protocols import AsyncStateStore, StateStore
from praison_persist.state.memory import MemoryStateStore
from praison_persist.testing.state import Clock, StateStoreContract
from praison_persist.testing.state_contract import OpenState


class TestMemory(StateStoreContract):
    @pytest.fixture
    def open_state(self, clock: Clock) -> OpenState:
        return lambda: MemoryStateStore(clock=clock)

    @pytest.fixture
    def second(self, store: StateStore) -> StateStore:
        """State in memory belongs to one object: seen a second time through both adapters."""
        assert isinstance(store, MemoryStateStore)
        return blocking(offload(_Unclosed(store), AsyncStateStore), StateStore)


class _Unclosed:
    """A store that another one owns."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.capabilities = store.capabilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def close(self) -> None:
        pass


class TestFile(StateStoreContract):
    @pytest.fixture
    def open_state(self, tmp_path: Path, clock: Clock) -> OpenState:
        return lambda: MemoryStateStore(tmp_path / "state.json", clock=clock)


@pytest.mark.again
class TestFileOffloaded(StateStoreContract):
    sequences = 3

    @pytest.fixture
    def open_state(self, tmp_path: Path, clock: Clock) -> OpenState:
        def open_state() -> StateStore:
            store = MemoryStateStore(tmp_path / "state.json", clock=clock)
            return blocking(offload(store, AsyncStateStore), StateStore)

        return open_state
