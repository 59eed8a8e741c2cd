"""A resume hands over the newest turns, whole, within the limits, and reads what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from local_llm import LocalLLM
from sqlalchemy import event

from praison_persist import (
    ConfigurationError,
    ConversationMessage,
    PraisonAIDB,
    Run,
    SQLConversationStore,
)
from praison_persist.transcript import tokens

from .conftest import Open
from .driving import SESSION, agent, say
from .provider import complaint
from .stored import lines, said, sent


def fill(
    db: PraisonAIDB, turns: int, *, session_id: str = SESSION, with_tools: bool = False
) -> None:
    """Store turns as an agent would: question, perhaps a call and its result, answer."""
    db.on_agent_start("Ada", session_id)
    messages: list[ConversationMessage] = []
    for number in range(turns):
        call = {"id": f"c{number}", "function": {"name": "add", "arguments": "{}"}}
        turn = [ConversationMessage(role="user", content=f"q{number}")]
        if with_tools:
            turn.append(ConversationMessage(role="assistant", content=None, tool_calls=[call]))
            turn.append(ConversationMessage(role="tool", content="1", tool_call_id=f"c{number}"))
        turn.append(ConversationMessage(role="assistant", content=f"a{number}"))
        messages += turn
    for start in range(0, len(messages), 500):
        db.conversation.add_messages(session_id, messages[start : start + 500])


@contextmanager
def statements(db: PraisonAIDB) -> Iterator[list[str]]:
    """Record the SQL that reads."""
    engine = db._connected.given.database.engines.get().reader
    texts: list[str] = []

    def record(*arguments: Any) -> None:
        texts.append(arguments[2])

    event.listen(engine, "before_cursor_execute", record)
    yield texts
    event.remove(engine, "before_cursor_execute", record)


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 4, 5, 7, 8, 199, 200, 201, 399, 400, 401, None])
@pytest.mark.parametrize("with_tools", [False, True])
def test_a_window_is_whole_turns(open_db: Open, limit: int | None, with_tools: bool) -> None:
    db = open_db(history_limit=limit)
    fill(db, 100, with_tools=with_tools)
    everything = db.get_messages(SESSION)
    history = db.on_agent_start("Ada", SESSION)
    assert complaint(history) is None
    assert limit is None or len(history) <= limit
    assert lines(history) == lines(everything)[len(everything) - len(history) :]
    size = 4 if with_tools else 2
    if limit is None:
        assert len(history) == len(everything)
    elif limit >= size:
        assert history[0].role == "user"
        assert len(history) == min(limit // size, 100) * size
    elif limit:
        assert lines(history) == ["assistant: a99"]  # not even one turn fits


def test_a_session_of_401_messages_makes_a_bounded_request(open_db: Open, llm: LocalLLM) -> None:
    fill(open_db(), 200)
    db = open_db()
    db.on_user_message(SESSION, "the last one")
    say(agent(db), "Go on")
    request = sent(llm)
    assert len(request) <= 201
    assert request[0].startswith("user: q")
    assert request[-2:] == ["user: the last one", "user: Go on"]
    assert len(said(db)) == 403


@pytest.mark.parametrize("token_limit", [0, 1, 10, 100, 1_000])
def test_a_limit_of_tokens(open_db: Open, token_limit: int) -> None:
    db = open_db(history_limit=None, history_tokens=token_limit)
    fill(db, 300)
    history = db.on_agent_start("Ada", SESSION)
    assert sum(tokens(message) for message in history) <= token_limit
    assert complaint(history) is None
    if token_limit >= 10:
        assert history[0].role == "user"
        assert history[-1].content == "a299"


def test_both_limits_hold(open_db: Open) -> None:
    db = open_db(history_limit=6, history_tokens=1_000)
    fill(db, 50)
    assert db.on_agent_start("Ada", SESSION)[0].content == "q47"
    db = open_db(history_limit=1_000, history_tokens=4)
    assert [m.content for m in db.on_agent_start("Ada", SESSION)] == ["q48", "a48", "q49", "a49"]


@pytest.mark.parametrize(
    "options",
    [
        {"history_limit": -1},
        {"history_limit": True},
        {"history_limit": "5"},
        {"history_tokens": -1},
        {"history_tokens": 1.5},
    ],
)
def test_a_limit_that_cannot_be_right(open_db: Open, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ConfigurationError, match=name):
        open_db(**options)


@pytest.mark.parametrize(
    ("limit", "pages"), [(5, 1), (150, 1), (200, 2), (300, 2), (500, 3), (None, 25)]
)
def test_pages_are_read_only_as_far_as_needed(open_db: Open, limit: int | None, pages: int) -> None:
    db = open_db(history_limit=limit)
    fill(db, 2_500)
    with statements(db) as texts:
        db.on_agent_start("Ada", SESSION)
    assert sum("praison_messages" in text for text in texts) == pages


def test_a_run_is_looked_up_once_however_many_pages(open_db: Open) -> None:
    db = open_db(history_limit=None)
    db.on_agent_start("Ada", SESSION)
    runs = [Run(f"run-{number}", SESSION, status="completed") for number in range(500)]
    messages = [
        ConversationMessage(role=role, content=run.run_id, run_id=run.run_id)
        for run in runs
        for role in ("user", "assistant")
    ]
    conversation = db.conversation
    assert isinstance(conversation, SQLConversationStore)
    for run in runs:
        conversation.runs.start_run(run)
    conversation.add_messages(SESSION, messages)
    with statements(db) as texts:
        assert len(db.on_agent_start("Ada", SESSION)) == 1_000
    pages = 5
    assert sum("praison_runs" in text for text in texts) == pages + 1  # and those that still run


def test_hidden_turns_do_not_use_up_the_window(open_db: Open) -> None:
    """A session whose newest turns all failed still resumes with those before them."""
    db = open_db(history_limit=4)
    fill(db, 3)
    for number in range(150):
        db.on_run_start(SESSION, f"run-{number}", "failing")
        db.on_user_message(SESSION, "failing")
        db.on_run_end(SESSION, f"run-{number}", None, "error")
    history = db.on_agent_start("Ada", SESSION)
    assert [message.content for message in history] == ["q1", "a1", "q2", "a2"]


def test_a_run_whose_rows_lie_on_two_pages(open_db: Open) -> None:
    """The page ends between a tool call and its result."""
    db = open_db(history_limit=199)
    db.on_agent_start("Ada", SESSION)
    call = {"id": "c", "function": {"name": "add", "arguments": "{}"}}
    rows = [ConversationMessage(role="user", content="q", run_id="r")]
    rows.append(ConversationMessage(role="assistant", content=None, tool_calls=[call], run_id="r"))
    rows.append(ConversationMessage(role="tool", content="1", tool_call_id="c", run_id="r"))
    rows.append(ConversationMessage(role="assistant", content="a", run_id="r"))
    rows += [
        ConversationMessage(role=role, content=f"{number}")
        for number in range(99)
        for role in ("user", "assistant")
    ]
    db.conversation.add_messages(SESSION, rows)
    history = db.on_agent_start("Ada", SESSION)
    assert complaint(history) is None
    assert [message.content for message in history[:2]] == ["0", "0"]
