"""Agents that keep their sessions in our session stores."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import praisonaiagents
import pytest
from local_llm import LocalLLM

from praison_persist import (
    DefaultSessionStore,
    EncryptedSessionStore,
    HierarchicalSessionStore,
    generate_session_key,
)
from praison_persist.sessions.base import SessionStore
from praison_persist.testing.session_contract import said, say

from .driving import MODELS, OPENAI, SESSION

KEY = generate_session_key()


def open_store(kind: str, folder: Path) -> SessionStore:
    if kind == "encrypted":
        return EncryptedSessionStore(open_store("default", folder), KEY)
    stores = {"default": DefaultSessionStore, "hierarchical": HierarchicalSessionStore}
    return stores[kind](folder / "sessions", spill_dir=folder / "spill")


def agent(store: SessionStore, **options: Any) -> Any:
    made = praisonaiagents.Agent(
        name="Ada",
        instructions="Be brief.",
        model=MODELS[OPENAI],
        memory=praisonaiagents.MemoryConfig(session_id=SESSION, user_id="user-1"),
        **options,
    )
    made._session_store = store
    return made


@pytest.mark.parametrize("kind", ["default", "hierarchical", "encrypted"])
def test_an_agent_goes_on_where_another_ended(llm: LocalLLM, tmp_path: Path, kind: str) -> None:
    agent(open_store(kind, tmp_path)).chat("Hello, my name is Grace.")
    store = open_store(kind, tmp_path)
    first = store.get_session(SESSION)
    assert [message.role for message in first.messages] == ["user", "assistant"]
    assert (first.agent_name, first.user_id) == ("Ada", "user-1")
    assert first.metadata["model"] == MODELS[OPENAI]
    answer = agent(store).chat("What is my name?")
    assert "Grace" in answer
    texts = said(store, SESSION)
    assert texts[0] == "Hello, my name is Grace."
    assert texts[2:] == ["What is my name?", answer]


def test_all_agents_of_a_process_take_the_default_store(
    llm: LocalLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("default", tmp_path)
    monkeypatch.setattr("praisonaiagents.session.store._default_store", store)
    made = praisonaiagents.Agent(
        name="Ada",
        instructions="Be brief.",
        model=MODELS[OPENAI],
        memory=praisonaiagents.MemoryConfig(session_id=SESSION),
    )
    answer = made.chat("Hello")
    assert said(store, SESSION) == ["Hello", answer]


def test_a_resumed_agent_is_told_the_summary(llm: LocalLLM, tmp_path: Path) -> None:
    store = open_store("default", tmp_path)
    say(store, SESSION, "forgotten", "forgotten, too")
    assert store.append_compaction_checkpoint(SESSION, "They spoke of Grace.")
    agent(store).chat("Go on.")
    asked = str(llm.requests[-1])
    assert "They spoke of Grace." in asked
    assert "forgotten" not in asked


def test_a_title_is_written_by_the_model(llm: LocalLLM, tmp_path: Path) -> None:
    store = open_store("default", tmp_path)
    say(store, "s", "How do I move billing? Please help.", "So.")
    assert asyncio.run(store.auto_title("s"))
    title = store.get_extended_session("s").title
    assert title
    assert len(title) <= 60
    assert not asyncio.run(store.auto_title("s")), "there is one now"


def test_a_title_that_a_user_set_meanwhile_stays(
    llm: LocalLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("default", tmp_path)
    say(store, "s", "question", "answer")

    async def slow(*arguments: Any, **options: Any) -> str:
        assert store.rename_session("s", "Mine")
        return "Theirs"

    monkeypatch.setattr("praisonaiagents.session.title.generate_title_async", slow)
    assert not asyncio.run(store.auto_title("s"))
    assert store.list_sessions()[0]["title"] == "Mine"


def test_a_model_that_fails_leaves_the_question_as_the_title(
    llm: LocalLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store("default", tmp_path)
    say(store, "s", "How do I move\nbilling? Please help.", "So.")

    async def failing(*arguments: Any, **options: Any) -> str:
        raise RuntimeError("no key")

    monkeypatch.setattr("praisonaiagents.session.title.generate_title_async", failing)
    assert asyncio.run(store.auto_title("s"))
    assert store.get_extended_session("s").title == "How do I move billing"
    assert "no key" in caplog.text
