"""A session as JSON: out of one database and into another, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import copy
import json
import uuid
from typing import Any

import pytest
from local_llm import LocalLLM

from praison_persist import (
    ConflictError,
    ConversationMessage,
    InvalidDataError,
    NotFoundError,
    PraisonAIDB,
)

from .conftest import Open
from .driving import ACHAT, USER, agent, say
from .own_stores import DictStore
from .stored import runs, said, sent

# What praisonai 4.7.19 exports (praisonai/db/adapter.py, export_session).
FOREIGN: dict[str, Any] = {
    "session_id": "foreign",
    "user_id": "u",
    "agent_id": "a",
    "name": "Session foreign",
    "metadata": {"k": 1},
    "created_at": 1_700_000_000.5,
    "messages": [
        {
            "id": "m1",
            "role": "user",
            "content": "Hello",
            "metadata": None,
            "created_at": 1_700_000_001.0,
        },
        {
            "id": "m2",
            "role": "assistant",
            "content": "Hi",
            "metadata": {"n": [1]},
            "created_at": 1_700_000_002.0,
        },
    ],
}


@pytest.fixture
def session_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def talked(open_db: Open, llm: LocalLLM, session_id: str) -> PraisonAIDB:
    """An adapter with a session in which everything happened."""
    db = open_db()
    speaker = agent(db, session_id=session_id)
    for prompt in ("Hello", 'TOOL a_dict {"x":1}', "FAIL400"):
        say(speaker, prompt)
    say(speaker, "ünï 😀", ACHAT)
    session = db.get_session(session_id)
    assert session is not None
    session.state = {"step": [1, None, "two"]}
    db.conversation.update_session(session)
    db.on_agent_end(session_id, {"note": "done"})
    return db


def content(db: PraisonAIDB, session_id: str) -> dict[str, Any]:
    """Return everything that can be read of a session."""
    return {
        "session": db.get_session(session_id),
        "messages": db.get_messages(session_id),
        "runs": db.get_runs(session_id),
        "tool_calls": db.get_tool_calls(session_id),
        "traces": db.get_traces(session_id),
    }


def through_json(export: dict[str, Any]) -> dict[str, Any]:
    """Return what is left of an export after it was a file."""
    read: dict[str, Any] = json.loads(json.dumps(export, allow_nan=False))
    assert read == export
    return read


@pytest.mark.parametrize("target", ["sqlite", "postgres_database", "mariadb_database"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_nothing_is_lost_on_the_way(
    talked: PraisonAIDB,
    open_db: Open,
    llm: LocalLLM,
    request: pytest.FixtureRequest,
    tmp_path: Any,
    session_id: str,
    target: str,
    colour: str,
) -> None:
    there = open_db(
        f"sqlite:///{tmp_path / 'target.db'}"
        if target == "sqlite"
        else request.getfixturevalue(target)
    )
    if colour == "sync":
        export = through_json(talked.export_session(session_id))
        assert there.import_session(export) == session_id
    else:
        export = through_json(asyncio.run(talked.aexport_session(session_id)))
        assert asyncio.run(there.aimport_session(export)) == session_id
    assert content(there, session_id) == content(talked, session_id)
    assert there.export_session(session_id) == export
    session = there.get_session(session_id)
    assert session is not None
    assert (session.state, session.user_id) == ({"step": [1, None, "two"]}, USER)
    # Again, and nothing changes; then it goes on.
    assert there.import_session(export) == session_id
    assert content(there, session_id) == content(talked, session_id)
    told = said(there, session_id)
    say(agent(there, session_id=session_id), "Go on")
    assert sent(llm) == [line for line in told if "FAIL400" not in line] + ["user: Go on"]
    assert len(said(there, session_id)) == len(told) + 2
    assert runs(there, session_id)[-1][0] == "completed"


def test_importing_over_other_content_changes_nothing(talked: PraisonAIDB, session_id: str) -> None:
    export = talked.export_session(session_id)
    changed = copy.deepcopy(export)
    changed["messages"][0]["content"] = "something else"
    before = content(talked, session_id)
    with pytest.raises(ConflictError):
        talked.import_session(changed)
    longer = copy.deepcopy(export)
    extra = ConversationMessage(session_id=session_id, role="user", content="more").to_dict()
    longer["messages"].append({**extra, "seq": len(longer["messages"]) + 1})
    with pytest.raises(ConflictError, match="delete it first"):
        talked.import_session(longer)
    assert content(talked, session_id) == before


def test_an_export_is_imported_again_after_the_session_went_on(
    talked: PraisonAIDB, llm: LocalLLM, session_id: str
) -> None:
    export = talked.export_session(session_id)
    say(agent(talked, session_id=session_id), "Go on")
    before = content(talked, session_id)
    talked.import_session(export)
    assert content(talked, session_id) == before


@pytest.mark.parametrize("part", ["runs", "tool_calls", "traces", "spans", "messages"])
def test_a_damaged_export_is_refused_as_a_whole(
    talked: PraisonAIDB, open_db: Open, tmp_path: Any, session_id: str, part: str
) -> None:
    export = talked.export_session(session_id)
    export[part][-1] = {"nonsense": 1}
    there = open_db(f"sqlite:///{tmp_path / 'target.db'}")
    with pytest.raises(InvalidDataError):
        there.import_session(export)
    assert there.list_sessions() == []
    assert there.get_traces() == []


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "{}",
        {},
        {"format": "other/1"},
        {"messages": "hi"},
        {"messages": [3]},
        {"format": "praison_persist.session/1"},
        {"format": "praison_persist.session/1", "session": {}},
        {"format": "praison_persist.session/2", "session": {"session_id": "s"}},
    ],
)
def test_what_is_no_export(db: PraisonAIDB, data: Any) -> None:
    with pytest.raises(InvalidDataError):
        db.import_session(data)
    assert db.list_sessions() == []


def test_a_session_that_does_not_exist(db: PraisonAIDB) -> None:
    with pytest.raises(NotFoundError, match="nosuch"):
        db.export_session("nosuch")
    with pytest.raises(NotFoundError):
        asyncio.run(db.aexport_session("nosuch"))


def test_an_export_of_praisonai(db: PraisonAIDB, llm: LocalLLM) -> None:
    for _ in range(2):
        assert db.import_session(copy.deepcopy(FOREIGN)) == "foreign"
    session = db.get_session("foreign")
    assert session is not None
    assert (session.user_id, session.agent_id, session.metadata) == ("u", "a", {"k": 1})
    assert session.created_at == 1_700_000_000.5
    assert said(db, "foreign") == ["user: Hello", "assistant: Hi"]
    assert [(m.id, m.created_at, m.metadata) for m in db.get_messages("foreign")] == [
        ("m1", 1_700_000_001.0, None),
        ("m2", 1_700_000_002.0, {"n": [1]}),
    ]
    say(agent(db, session_id="foreign"), "Go on")
    assert sent(llm) == ["user: Hello", "assistant: Hi", "user: Go on"]


def test_one_without_ids_and_times_is_imported_once_too(db: PraisonAIDB) -> None:
    bare = {
        "messages": [{"role": "user", "content": "Hello"}, {"role": "user", "content": "Hello"}]
    }
    names = {db.import_session(copy.deepcopy(bare)) for _ in range(2)}
    assert len(names) == 1
    assert said(db, names.pop()) == ["user: Hello", "user: Hello"]
    assert len(db.list_sessions()) == 1


def test_a_store_of_ones_own_exchanges_what_it_has(
    open_db: Open, talked: PraisonAIDB, session_id: str
) -> None:
    """It keeps sessions and messages; runs are left out."""
    export = talked.export_session(session_id)
    with PraisonAIDB(DictStore()) as own:
        for _ in range(2):
            own.import_session(export)
        assert [m.content for m in own.get_messages(session_id)] == [
            m.content for m in talked.get_messages(session_id)
        ]
        again = through_json(own.export_session(session_id))
    assert len(again["messages"]) == len(export["messages"])
