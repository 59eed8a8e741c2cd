"""Whatever was stored, what a model is handed is valid, bounded, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from praison_persist import ConversationMessage, Run
from praison_persist.transcript import SUPERSEDED, repair, tokens, visible, window

from .provider import complaint

IDS = st.sampled_from(["c1", "c2", "c3", ""])
CALLS: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda name: {"id": name, "function": {"name": name}}, IDS),
    st.sampled_from([{}, "c1", None, {"id": 7}]),
)
RUN_IDS = st.sampled_from([None, "r1", "r2", "r3"])
MESSAGES = st.builds(
    ConversationMessage,
    role=st.sampled_from(["user", "assistant", "tool", "system", "developer"]),
    content=st.sampled_from(["text", "", None]),
    tool_calls=st.none() | st.lists(CALLS, max_size=3),
    tool_call_id=st.none() | IDS,
    run_id=RUN_IDS,
)
STATUSES = st.sampled_from(["completed", "running", "error", "cancelled", "interrupted"])
SHOWN = "completed"


def test_the_checker_itself_refuses_what_providers_refuse() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    user = ConversationMessage(role="user", content="hi")
    calling = ConversationMessage(role="assistant", content=None, tool_calls=[call])
    result = ConversationMessage(role="tool", content="1", tool_call_id="c1")
    assert complaint([user, calling, result]) is None
    for wrong in ([result], [calling], [calling, user], [user, calling, result, result]):
        assert complaint(wrong) is not None


@given(st.lists(MESSAGES, max_size=30))
@example(
    [
        ConversationMessage(role="user", content="q", tool_calls=[{"id": "c1"}]),
        ConversationMessage(role="tool", content="1", tool_call_id="c1"),
    ]
)
def test_a_repaired_transcript_is_valid(messages: list[ConversationMessage]) -> None:
    assert complaint(repair(messages)) is None


@given(st.lists(MESSAGES, max_size=30))
def test_repairing_invents_nothing(messages: list[ConversationMessage]) -> None:
    """Each message is one of those that were stored; only links to tools may go or be renamed."""
    stored = {message.id: message for message in messages}
    for message in repair(messages):
        original = stored.pop(message.id)
        links: dict[str, Any] = {
            "tool_calls": message.tool_calls,
            "tool_call_id": message.tool_call_id,
        }
        assert message == replace(original, **links)
        functions = [call["function"] for call in message.tool_calls or ()]
        known = [call for call in original.tool_calls or () if isinstance(call, dict)]
        assert all(function in [call.get("function") for call in known] for function in functions)


def test_ids_that_every_turn_uses_again_are_made_unique() -> None:
    """Some models count their calls from 0 in each answer; others refuse an id twice."""
    turns = [
        ConversationMessage(role="assistant", tool_calls=[{"id": "call_0"}], run_id=run_id)
        for run_id in ("r1", "r2")
    ]
    results = [
        ConversationMessage(role="tool", tool_call_id="call_0", content=run_id, run_id=run_id)
        for run_id in ("r1", "r2")
    ]
    found = repair([turns[0], results[0], turns[1], results[1]])
    assert [message.content for message in found if message.role == "tool"] == ["r1", "r2"]
    assert complaint(found) is None


@given(st.lists(MESSAGES, max_size=30))
def test_what_is_valid_already_is_left_as_it_is(messages: list[ConversationMessage]) -> None:
    once = [replace(message, run_id=None) for message in repair(messages)]
    assert repair(once) == once


@given(st.lists(MESSAGES, max_size=30))
def test_what_users_said_is_never_lost(messages: list[ConversationMessage]) -> None:
    said = [message.id for message in messages if message.role == "user"]
    assert sorted(said) == sorted(m.id for m in repair(messages) if m.role == "user")


@given(
    st.lists(MESSAGES, max_size=30),
    st.none() | st.integers(0, 12),
    st.none() | st.integers(0, 40),
)
def test_a_window_is_valid_and_within_its_limits(
    messages: list[ConversationMessage], limit: int | None, token_limit: int | None
) -> None:
    whole = repair(messages)
    seen = window(whole, limit, token_limit)
    assert complaint(seen) is None
    assert limit is None or len(seen) <= limit
    assert token_limit is None or sum(tokens(message) for message in seen) <= token_limit
    assert seen == whole[len(whole) - len(seen) :]
    if len(seen) < len(whole) and seen:
        assert seen[0].role in ("user", "assistant")
        assert not seen[0].tool_calls


@given(st.lists(MESSAGES, max_size=30), st.integers(0, 12))
def test_a_window_that_is_cut_begins_with_a_user_if_it_has_one(
    messages: list[ConversationMessage], limit: int
) -> None:
    whole = repair(messages)
    seen = window(whole, limit)
    if len(seen) < len(whole) and any(m.role == "user" for m in whole[-limit:] if limit):
        assert seen[0].role == "user"


@given(st.lists(MESSAGES, max_size=20), st.dictionaries(st.sampled_from(["r1", "r2"]), STATUSES))
def test_only_completed_turns_are_visible(
    messages: list[ConversationMessage], statuses: dict[str, str]
) -> None:
    runs = {run_id: Run(run_id, "s", status=status) for run_id, status in statuses.items()}
    seen = visible(messages, runs)
    assert seen == [m for m in messages if statuses.get(m.run_id or "", SHOWN) == SHOWN]


def test_a_superseded_answer_is_hidden_only_if_its_run_completed() -> None:
    first, second = (
        ConversationMessage(role="assistant", content=text, run_id="r1") for text in "ab"
    )
    for status, expected in (("completed", [second]), ("error", [])):
        run = Run("r1", "s", status=status, metadata={SUPERSEDED: [first.id]})
        assert visible([first, second], {"r1": run}) == expected


def test_turns_that_ran_side_by_side_are_put_one_after_the_other() -> None:
    one = [
        ConversationMessage(role=role, content="1", run_id="r1") for role in ("user", "assistant")
    ]
    two = [
        ConversationMessage(role=role, content="2", run_id="r2") for role in ("user", "assistant")
    ]
    assert repair([one[0], two[0], two[1], one[1]]) == [*one, *two]
