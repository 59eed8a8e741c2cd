"""Agents that keep their conversations in the files of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_llm import LocalLLM

from praison_persist.errors import UnsupportedError

from .conftest import Open
from .driving import ACHAT, CHAT, ITER_STREAM, SESSION, agent, say
from .stored import request_lines, runs, said, spans


@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
def test_a_conversation_goes_on_after_a_restart(
    open_db: Open, llm: LocalLLM, tmp_path: Path, mode: str
) -> None:
    """The agent answers, and what was said is not there the next time."""
    with open_db("json:///conversations") as db:
        assert say(agent(db), "Hello", mode) == "You said: Hello"
        assert db.health().ok
        assert db.database_url == f"json:{tmp_path / 'conversations'}"
    with open_db("json:conversations") as db:
        say(agent(db), "Again", mode)
        expected = ["user: Hello", "assistant: You said: Hello", "user: Again"]
        assert request_lines(llm.chat_requests[-1]) == expected
        assert said(db) == [*expected, "assistant: You said: Again"]
    assert (tmp_path / "conversations" / f"{SESSION}.jsonl").is_file()


def test_runs_are_kept_in_a_store_beside_it(open_db: Open, llm: LocalLLM) -> None:
    """What an agent did is kept nowhere, and nobody says how it could be."""
    assert llm.requests == []
    db = open_db("json:conversations")
    say(agent(db), "Hello")
    with pytest.raises(UnsupportedError, match=r"JSONConversationStore keeps no runs.*state_url="):
        db.get_runs(SESSION)
    beside = open_db("json:conversations", state_url="memory:///state.json")
    say(agent(beside, session_id="other"), "Hello")
    assert runs(beside, "other") == [
        ("completed", "You said: Hello", ["user: Hello", "assistant: You said: Hello"])
    ]
    assert [status for status, _ in spans(beside, "other")] == ["ok"]
    beside.delete_session("other")
    assert [found.session_id for found in db.list_sessions()] == [SESSION]


def test_a_session_moves_between_a_folder_and_a_database(open_db: Open, llm: LocalLLM) -> None:
    """An export of one cannot be read by the other, or leaves something behind."""
    assert llm.requests == []
    folder, database = open_db("json:conversations"), open_db()
    say(agent(folder), "Hello")
    before = folder.get_messages(SESSION)
    database.import_session(folder.export_session(SESSION))
    assert database.get_messages(SESSION) == before
    say(agent(database, session_id="of-database"), "Hello")
    with pytest.raises(UnsupportedError, match=r"the dump has runs.*\(state_url="):
        folder.import_session(database.export_session("of-database"))
    beside = open_db("json:conversations", state_url="memory:///state.json")
    beside.import_session(database.export_session("of-database"))
    assert beside.get_messages("of-database") == database.get_messages("of-database")
    assert runs(beside, "of-database") == runs(database, "of-database")
