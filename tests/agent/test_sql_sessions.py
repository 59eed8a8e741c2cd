"""Agents that keep their sessions in SQL."""

from __future__ import annotations

from pathlib import Path

from local_llm import LocalLLM

from praison_persist import SQLSessionStore
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.testing.session_contract import said

from .driving import MODELS, OPENAI, SESSION
from .test_session_stores import agent


def test_an_agent_goes_on_where_another_ended(llm: LocalLLM, tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    with SQLSessionStore(path) as store:
        agent(store).chat("Hello, my name is Grace.")
    with SQLSessionStore(path) as store:
        first = store.get_session(SESSION)
        assert [message.role for message in first.messages] == ["user", "assistant"]
        assert (first.agent_name, first.user_id) == ("Ada", "user-1")
        assert first.metadata["model"] == MODELS[OPENAI]
        answer = agent(store).chat("What is my name?")
        assert "Grace" in answer
        assert said(store, SESSION)[2:] == ["What is my name?", answer]
    with SQLConversationStore(path) as conversations:
        assert conversations.count(SESSION) == 4
