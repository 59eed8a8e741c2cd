"""A scripted model, and databases that agents keep their conversations in."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from local_llm import LocalLLM
from praisonaiagents.trace.context_events import get_context_emitter

import praison_persist
from praison_persist import PersistenceOrchestrator, PraisonAIDB
from praison_persist.open_turns import open_turns

from .own_stores import AsyncDictStore, DictStore

Open = Callable[..., PraisonAIDB]


_MODEL = pytest.StashKey[LocalLLM]()


def pytest_configure(config: pytest.Config) -> None:
    model = config.stash[_MODEL] = LocalLLM()
    config.add_cleanup(model._server.server_close)  # also if no test has entered it
    port = model.base_url.rpartition(":")[2].partition("/")[0]
    for rule in (
        # The core keeps HTTP connections of event loops that have ended. Only those to the model
        # are meant, and asyncio does not say whose a transport is; database drivers warn by
        # themselves, in other words, of connections that are left open.
        rf"ignore:unclosed <socket\.socket .*raddr=\('127\.0\.0\.1', {port}\):ResourceWarning",
        "ignore:unclosed transport <_SelectorSocketTransport:ResourceWarning",
    ):
        config.addinivalue_line("filterwarnings", rule)


@pytest.fixture(scope="session")
def model(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[LocalLLM]:
    """The model of all agents in this process."""
    home = tmp_path_factory.mktemp("home")
    with pytestconfig.stash[_MODEL] as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        patch.setenv("PRAISONAI_HOME", str(home))
        yield running
        # Here the rules above are in force; at the end of the session they are not any more.
        gc.collect()


@pytest.fixture
def llm(model: LocalLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalLLM:
    """The model, with its record of requests emptied; the working directory is the test's own."""
    monkeypatch.chdir(tmp_path)
    model.requests.clear()
    return model


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The URL of an empty SQLite database that has its tables."""
    path = tmp_path / "agent.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def open_db(sqlite_url: str) -> Iterator[Open]:
    """Makes adapters for the test's database; each is closed after the test."""
    with ExitStack() as stack:

        def open_(url: Any = sqlite_url, **options: Any) -> PraisonAIDB:
            return stack.enter_context(praison_persist.db(url, **options))

        yield open_


@pytest.fixture
def db(open_db: Open) -> PraisonAIDB:
    """An adapter for an empty SQLite database."""
    return open_db()


@pytest.fixture(autouse=True)
def _no_turn_left() -> Iterator[None]:
    """A closed adapter leaves no turn open, and nothing listens to the core for it."""
    turns, emitter = list(open_turns()), get_context_emitter()
    yield
    assert list(open_turns()) == turns
    assert get_context_emitter() is emitter


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = ("PRAISONAI_CONVERSATION", "PRAISONAI_KNOWLEDGE", "PRAISONAI_STATE")
    of_tests = ("PRAISON_TEST", "PRAISON_REQUIRE", "PRAISON_DEMO")
    for name in list(os.environ):
        is_ours = name.startswith("PRAISON_") and not name.startswith(of_tests)
        if is_ours or name.startswith(stores) or name in ("POSTGRES_URL", "QDRANT_URL"):
            monkeypatch.delenv(name)


@pytest.fixture(params=["sqlite", "a sync store", "an async store"])
def orchestrator(
    request: pytest.FixtureRequest, sqlite_url: str
) -> Iterator[PersistenceOrchestrator]:
    stores: dict[str, Callable[[], Any]] = {
        "sqlite": lambda: praison_persist.create_conversation_store("sqlite", sqlite_url),
        "a sync store": DictStore,
        "an async store": AsyncDictStore,
    }
    with PersistenceOrchestrator(stores[request.param]()) as made:
        yield made


@pytest.fixture
def on_sqlite(sqlite_url: str) -> Iterator[PersistenceOrchestrator]:
    store = praison_persist.create_conversation_store("sqlite", sqlite_url)
    with PersistenceOrchestrator(store) as made:
        yield made
