"""The conformance suite of run stores: runs, tool calls, traces with their spans.

A backend's test file is one class with one fixture:

    class TestMine(RunStoreContract):
        @pytest.fixture
        def open_stores(self, tmp_path):
            def open_stores():
                store = MyStore(tmp_path / "my.db")
                return store, store.runs
            return open_stores

The two stores are of the same data and are closed together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from praison_persist.errors import ConflictError, InvalidDataError, NotFoundError, PersistError
from praison_persist.models import Run, Span, ToolCall, Trace
from praison_persist.protocols import Capability, ConversationStore, RunStore
from praison_persist.testing.contract import message, race, refused, session
from praison_persist.testing.sessions import IMPOSSIBLE_IDS
from praison_persist.testing.values import TEXTS

__all__ = ["RunStoreContract"]

OpenStores = Callable[[], tuple[ConversationStore, RunStore]]

# A value for each JSON field that a store has to refuse, by the name of the field.
_NAN = float("nan")
_IMPOSSIBLE_RUNS: dict[str, Any] = {
    "run_id": "x" * 256,
    "agent_name": 5,
    "owner": b"a",
    "status": "x" * 33,
    "input_content": {"a": 1},
    "output_content": ["a"],
    "metadata": {"a": _NAN},
    "metrics": {1: "a"},
    "started_at": None,
    "ended_at": "now",
}
_IMPOSSIBLE_CALLS: dict[str, Any] = {
    "id": "",
    "session_id": "\x00",
    "run_id": "x" * 256,
    "call_id": "\ud800",
    "tool_name": None,
    "args": (1, 2),
    "result": _NAN,
    "error": 5,
    "metadata": [],
    "timestamp": None,
    "duration_ms": _NAN,
}
_IMPOSSIBLE_TRACES: dict[str, Any] = {
    "trace_id": "x" * 256,
    "session_id": "\x00",
    "run_id": 5,
    "agent_name": 5,
    "user_id": "x" * 256,
    "status": None,
    "started_at": _NAN,
    "ended_at": "now",
    "metadata": {"a": object()},
}
_IMPOSSIBLE_SPANS: dict[str, Any] = {
    "span_id": "",
    "trace_id": "\x00",
    "parent_span_id": "x" * 256,
    "name": None,
    "status": "x" * 33,
    "started_at": None,
    "ended_at": _NAN,
    "attributes": {"a": (1,)},
    "events": {},
}


def _run(run_id: str = "r", session_id: str = "s", **fields: Any) -> Run:
    return Run(run_id=run_id, session_id=session_id, **fields)


def _call(tool_name: str = "t", session_id: str = "s", **fields: Any) -> ToolCall:
    return ToolCall(tool_name=tool_name, session_id=session_id, **fields)


def _ids(runs: list[Run]) -> list[str]:
    return [run.run_id for run in runs]


class RunStoreContract:
    """What every run store does; see the module for how to join."""

    @pytest.fixture
    def open_stores(self) -> OpenStores:
        """Return a function that opens a conversation store and the run store of the same data."""
        raise NotImplementedError(f"{type(self).__name__} has to define the fixture open_stores")

    @pytest.fixture
    def stores(self, open_stores: OpenStores) -> Iterator[tuple[ConversationStore, RunStore]]:
        """The stores under test, with the session "s"; closed after it."""
        conversations, runs = open_stores()
        with conversations:
            conversations.create_session(session())
            yield conversations, runs

    @pytest.fixture
    def conversations(self, stores: tuple[ConversationStore, RunStore]) -> ConversationStore:
        """The conversation store of the same data."""
        return stores[0]

    @pytest.fixture
    def runs(self, stores: tuple[ConversationStore, RunStore]) -> RunStore:
        """The store under test."""
        return stores[1]

    # Runs

    def test_a_run_comes_back_with_every_field(self, runs: RunStore) -> None:
        """A field that is dropped or defaulted on the way is lost silently."""
        given = _run(
            agent_name="a",
            started_at=1.5,
            status="running",
            input_content="in",
            metadata={"m": [None]},
            metrics={"tokens": 5},
            owner="host:1:2",
        )
        stored = runs.start_run(given)
        assert stored == replace(given, seq=1)
        assert runs.get_runs("s") == [stored]
        assert runs.running("s") == [stored]
        assert runs.find_runs("s", ["r"]) == {"r": stored}

    def test_any_text_comes_back(self, runs: RunStore) -> None:
        """What a tool printed cannot be stored, and the run is lost with it."""
        for key, text in TEXTS.items():
            runs.start_run(_run(key, agent_name=text, input_content=text, metadata={text: text}))
            runs.end_run("s", key, output_content=text, metrics={"t": text})
            run = runs.find_runs("s", [key])[key]
            assert (run.agent_name, run.input_content, run.output_content) == (text, text, text)
            assert (run.metadata, run.metrics) == ({text: text}, {"t": text})
            given = _call(text, run_id=key, args=[text], result=text, error=text)
            runs.add_tool_call(given)
            assert runs.get_tool_calls("s", run_id=key) == [given]
            span = Span("sp", key, text, attributes={text: text}, events=[{text: text}])
            runs.add_trace(Trace(key, user_id=key, agent_name=text, spans=[span]))
            trace = runs.get_traces(user_id=key)[0]
            assert (trace.agent_name, trace.spans) == (text, [span])

    def test_a_run_of_an_unknown_session_is_refused(self, runs: RunStore) -> None:
        """A run without a session is found by nobody."""
        with pytest.raises(NotFoundError, match="'unknown'"):
            runs.start_run(_run(session_id="unknown"))
        assert runs.get_runs("unknown") == []

    def test_starting_a_run_again_changes_nothing(self, runs: RunStore) -> None:
        """A retry after a lost answer resets what is known, or uses up a number."""
        first = runs.start_run(_run(input_content="in", status="running"))
        runs.end_run("s", "r", output_content="out")
        ended = runs.get_runs("s")
        again = runs.start_run(_run(input_content="other", status="running"))
        assert runs.get_runs("s") == ended
        assert (again.seq, again.input_content) == (first.seq, "in")
        assert runs.start_run(_run("r2")).seq == 2

    def test_an_end_is_merged(self, runs: RunStore) -> None:
        """What was measured at the start is overwritten by what was measured at the end."""
        runs.start_run(_run(metadata={"a": 1, "b": 1}, metrics={"x": 1}))
        assert runs.end_run(
            "s",
            "r",
            status="error",
            output_content="out",
            metrics={"y": 2},
            metadata={"b": 2},
            ended_at=9.5,
        )
        run = runs.get_runs("s")[0]
        assert (run.status, run.output_content, run.ended_at) == ("error", "out", 9.5)
        assert (run.metadata, run.metrics) == ({"a": 1, "b": 2}, {"x": 1, "y": 2})
        assert runs.running("s") == []

    def test_an_end_without_a_time_is_now(self, runs: RunStore) -> None:
        """A run that has ended has no end."""
        started = runs.start_run(_run())
        runs.end_run("s", "r")
        run = runs.get_runs("s")[0]
        assert run.status == "completed"
        assert run.ended_at is not None
        assert run.ended_at >= started.started_at

    def test_the_end_of_an_unknown_run_is_answered(self, runs: RunStore) -> None:
        """A mistyped id ends the run of another session, or creates one."""
        runs.start_run(_run())
        assert runs.end_run("s", "unknown") is False
        assert runs.end_run("unknown", "r") is False
        assert _ids(runs.running("s")) == ["r"]
        assert runs.get_runs("unknown") == runs.running("unknown") == []
        assert runs.find_runs("s", ["unknown"]) == runs.find_runs("unknown", ["r"]) == {}

    def test_runs_are_newest_first(self, runs: RunStore) -> None:
        """The time of the start decides, and clocks of two machines differ."""
        for index, at in enumerate((5.0, 5.0, 1.0, 9.0, 2.0)):
            runs.start_run(_run(f"r{index}", started_at=at))
        assert _ids(runs.get_runs("s")) == ["r4", "r3", "r2", "r1", "r0"]
        assert _ids(runs.get_runs("s", limit=2)) == ["r4", "r3"]
        assert [run.seq for run in runs.get_runs("s")] == [5, 4, 3, 2, 1]
        assert runs.get_runs("s", limit=0) == []
        assert len(runs.get_runs("s", limit=2**40)) == 5
        refused((-1, True, "1"), lambda limit: runs.get_runs("s", limit=limit), "limit")

    def test_running_is_what_has_not_ended(self, runs: RunStore) -> None:
        """A run whose process died is running for ever, because nobody finds it."""
        for index in range(3):
            runs.start_run(_run(f"r{index}"))
        runs.end_run("s", "r1", status="cancelled")
        assert _ids(runs.running("s")) == ["r0", "r2"]

    def test_only_runs_of_exactly_this_session(
        self, conversations: ConversationStore, runs: RunStore
    ) -> None:
        """A session whose id begins with another's shows its runs there."""
        for key in ("a", "a:b", "A", "a ", "a%"):
            conversations.create_session(session(key))
            runs.start_run(_run("same", session_id=key, input_content=key))
            runs.add_tool_call(_call(session_id=key, id="same", result=key))
            runs.add_trace(Trace(f"tr{key}", session_id=key))
        for key in ("a", "a:b", "A", "a ", "a%"):
            assert [run.input_content for run in runs.get_runs(key)] == [key]
            assert [call.result for call in runs.get_tool_calls(key)] == [key]
            assert [trace.trace_id for trace in runs.get_traces(key)] == [f"tr{key}"]
            assert runs.find_runs(key, ["same"])["same"].session_id == key

    def test_a_run_has_its_messages_and_tool_calls(
        self, conversations: ConversationStore, runs: RunStore
    ) -> None:
        """What one run did is shown under another, or under none."""
        conversations.add_message("s", message("before"))
        for key in ("r1", "r2"):
            runs.start_run(_run(key))
            conversations.add_message("s", message(f"{key} in", run_id=key))
            runs.add_tool_call(_call(f"{key} tool", run_id=key))
            conversations.add_message("s", message(f"{key} out", run_id=key))
            runs.end_run("s", key)
        conversations.add_message("s", message("between"))
        conversations.add_message("s", message("r2 late", run_id="r2"))
        runs.add_tool_call(_call("no run"))
        second, first = runs.get_runs("s")
        assert [m.content for m in first.messages] == ["r1 in", "r1 out"]
        assert [m.content for m in second.messages] == ["r2 in", "r2 out", "r2 late"]
        assert [call.tool_name for call in first.tool_calls] == ["r1 tool"]
        assert runs.get_runs("s", limit=1) == [second]

    def test_interleaved_runs_keep_what_is_theirs(
        self, conversations: ConversationStore, runs: RunStore
    ) -> None:
        """Two agents share a session, and the messages of one are shown under the other."""
        for key in ("r1", "r2"):
            runs.start_run(_run(key))
        for index in range(3):
            for key in ("r1", "r2"):
                conversations.add_message("s", message(f"{key} {index}", run_id=key))
        runs.end_run("s", "r1")
        conversations.add_message("s", message("r2 last", run_id="r2"))
        second, first = runs.get_runs("s")
        assert [m.content for m in first.messages] == ["r1 0", "r1 1", "r1 2"]
        assert [m.content for m in second.messages] == ["r2 0", "r2 1", "r2 2", "r2 last"]

    def test_many_runs_are_found_at_once(self, runs: RunStore) -> None:
        """A list of ids outgrows what a statement takes."""
        for index in range(3):
            runs.start_run(_run(f"r{index}"))
        found = runs.find_runs("s", [f"r{index}" for index in range(3_000)])
        assert sorted(found) == ["r0", "r1", "r2"]
        assert runs.find_runs("s", []) == {}

    def test_runs_started_by_many_threads_are_numbered_without_gaps(self, runs: RunStore) -> None:
        """Two runs take one number, and the later of them is refused."""
        stored = race(8, lambda index: runs.start_run(_run(f"r{index}")))
        assert sorted(run.seq for run in stored if run.seq) == list(range(1, 9))
        assert [run.seq for run in runs.get_runs("s")] == list(range(8, 0, -1))

    def test_one_run_started_by_many_threads_is_one_run(self, runs: RunStore) -> None:
        """A retry that overtakes the first try makes two of it."""
        stored = race(8, lambda _: runs.start_run(_run("r")))
        assert len({run.seq for run in stored}) == 1
        assert _ids(runs.get_runs("s")) == ["r"]

    def test_an_impossible_run_is_refused_by_name(self, runs: RunStore) -> None:
        """It is converted, cut or half stored, each database in its own way."""
        for field, value in _IMPOSSIBLE_RUNS.items():
            wrong = replace(_run(), **{field: value})
            refused([wrong], runs.start_run, rf"run\.{field}")
        assert runs.get_runs("s") == []
        stored = runs.start_run(_run())
        for field in ("status", "output_content", "metadata", "metrics", "ended_at"):
            wrong_end = {field: _IMPOSSIBLE_RUNS[field]}
            refused([wrong_end], lambda end: runs.end_run("s", "r", **end), rf"run\.{field}")
        assert runs.get_runs("s") == [stored]

    # Tool calls

    def test_a_tool_call_comes_back_with_every_field(self, runs: RunStore) -> None:
        """A result that is turned to text, or None that becomes "null"."""
        values: list[Any] = [None, {}, [], "", 0, False, "null", 1.0, {"a": [1, None]}, 10**30]
        for index, value in enumerate(values):
            given = _call(
                "t",
                id=f"c{index}",
                args=value,
                result=value,
                call_id="call",
                timestamp=1.5,
                duration_ms=0.25,
                error="",
                run_id="r",
                metadata={"v": value},
            )
            assert runs.add_tool_call(given) == given
            found = runs.get_tool_calls("s")[-1]
            assert repr(found) == repr(given)

    def test_a_tool_call_is_replaced_by_what_is_known_later(self, runs: RunStore) -> None:
        """A call is stored when it begins, and its result is dropped when it ends."""
        begun = _call(args={"q": 1})
        runs.add_tool_call(begun)
        ended = replace(begun, result=[1], duration_ms=2.0, metadata={"m": 1})
        runs.add_tool_call(ended)
        runs.add_tool_call(ended)
        assert runs.get_tool_calls("s") == [ended]

    def test_tool_calls_are_in_the_order_they_began(self, runs: RunStore) -> None:
        """A parallel call that ends first is shown first."""
        calls = [_call(f"t{index}", run_id=f"r{index % 2}") for index in range(6)]
        for call in reversed(calls):
            runs.add_tool_call(call)
        assert runs.get_tool_calls("s") == calls
        assert runs.get_tool_calls("s", limit=2) == calls[-2:]
        assert runs.get_tool_calls("s", run_id="r1") == calls[1::2]
        assert runs.get_tool_calls("s", run_id="r1", limit=1) == calls[-1:]
        assert runs.get_tool_calls("s", limit=0) == []
        assert runs.get_tool_calls("s", run_id="unknown") == []
        assert runs.get_tool_calls("unknown") == []
        refused((-1, True), lambda limit: runs.get_tool_calls("s", limit=limit), "limit")

    def test_a_tool_call_of_an_unknown_session_is_refused(self, runs: RunStore) -> None:
        """A call without a session is found by nobody."""
        with pytest.raises(NotFoundError, match="'unknown'"):
            runs.add_tool_call(_call(session_id="unknown"))
        assert runs.get_tool_calls("unknown") == []

    def test_an_impossible_tool_call_is_refused_by_name(self, runs: RunStore) -> None:
        """It is converted, cut or half stored, each database in its own way."""
        for field, value in _IMPOSSIBLE_CALLS.items():
            wrong = replace(_call(), **{field: value})
            refused([wrong], runs.add_tool_call, rf"tool_call\.{field}")
        assert runs.get_tool_calls("s") == []

    # Traces

    def test_a_trace_comes_back_with_its_spans_in_order(self, runs: RunStore) -> None:
        """Spans that are stored are not returned, or in the order of their ids."""
        given = Trace(
            "tr",
            session_id="s",
            run_id="r",
            agent_name="a",
            user_id="u",
            started_at=1.0,
            ended_at=2.0,
            status="ok",
            metadata={"m": None},
            spans=[
                Span("z", "tr", "first", started_at=1.0, ended_at=1.5, status="ok"),
                Span("a", "tr", "second", started_at=1.1, parent_span_id="z", attributes={"k": []}),
                Span("m", "tr", "third", started_at=1.2, events=[{"name": "e", "at": 1.25}]),
            ],
        )
        runs.add_trace(given)
        assert runs.get_traces("s") == [given]

    def test_a_trace_can_be_told_step_by_step(self, runs: RunStore) -> None:
        """Attributes of the start are lost at the end."""
        runs.start_trace(Trace("tr", session_id="s", metadata={"a": 1}, started_at=1.0))
        runs.start_span(Span("sp", "tr", "step", attributes={"x": 1}, started_at=1.0))
        assert runs.end_span("sp", status="error", attributes={"y": 2}, ended_at=3.0)
        assert runs.end_trace("tr", status="error", metadata={"b": 2}, ended_at=4.0)
        trace = runs.get_traces("s")[0]
        assert (trace.status, trace.metadata, trace.ended_at) == ("error", {"a": 1, "b": 2}, 4.0)
        span = trace.spans[0]
        assert (span.status, span.attributes, span.ended_at) == ("error", {"x": 1, "y": 2}, 3.0)
        assert runs.end_span("unknown") is False
        assert runs.end_trace("unknown") is False

    def test_starting_a_trace_again_changes_nothing(self, runs: RunStore) -> None:
        """A retry after a lost answer opens a trace that has ended."""
        runs.start_trace(Trace("tr", session_id="s"))
        runs.start_span(Span("sp", "tr", "step"))
        runs.end_span("sp")
        runs.end_trace("tr")
        before = runs.get_traces("s")
        runs.start_trace(Trace("tr", session_id="s", metadata={"other": 1}))
        runs.start_span(Span("sp", "tr", "other"))
        assert runs.get_traces("s") == before

    def test_adding_a_trace_again_replaces_it_with_its_spans(self, runs: RunStore) -> None:
        """Spans of an earlier attempt stay."""
        runs.add_trace(
            Trace("tr", session_id="s", spans=[Span("a", "tr", "a"), Span("b", "tr", "b")])
        )
        last = Trace("tr", session_id="s", status="ok", spans=[Span("b", "tr", "new")])
        runs.add_trace(last)
        runs.add_trace(last)
        assert runs.get_traces("s") == [last]

    def test_traces_are_newest_first(self, runs: RunStore) -> None:
        """A limit shows the oldest."""
        for index in range(4):
            runs.add_trace(
                Trace(
                    f"t{index}",
                    session_id="s" if index else None,
                    user_id=["u", "v"][index % 2],
                    started_at=float(index),
                )
            )
        assert [t.trace_id for t in runs.get_traces()] == ["t3", "t2", "t1", "t0"]
        assert [t.trace_id for t in runs.get_traces("s", limit=2)] == ["t3", "t2"]
        assert [t.trace_id for t in runs.get_traces(user_id="u")] == ["t2", "t0"]
        assert [t.trace_id for t in runs.get_traces("s", "v")] == ["t3", "t1"]
        assert runs.get_traces(limit=0) == runs.get_traces("unknown") == []
        refused((-1, True), lambda limit: runs.get_traces(limit=limit), "limit")

    def test_an_impossible_trace_is_refused_by_name(self, runs: RunStore) -> None:
        """It is converted, cut or half stored, each database in its own way."""
        for field, value in _IMPOSSIBLE_TRACES.items():
            wrong = replace(Trace("tr"), **{field: value})
            refused([wrong], runs.start_trace, rf"trace\.{field}")
            refused([wrong], runs.add_trace, rf"trace\.{field}")
        assert runs.get_traces() == []
        runs.start_trace(Trace("tr"))
        for field in ("status", "metadata", "ended_at"):
            wrong_end = {field: _IMPOSSIBLE_TRACES[field]}
            refused([wrong_end], lambda end: runs.end_trace("tr", **end), rf"trace\.{field}")

    def test_an_impossible_span_is_refused_by_name(self, runs: RunStore) -> None:
        """It is converted, cut or half stored, each database in its own way."""
        for field, value in _IMPOSSIBLE_SPANS.items():
            wrong = replace(Span("sp", "tr", "n"), **{field: value})
            refused([wrong], runs.start_span, rf"span\.{field}")
            trace = Trace("tr", spans=[Span("ok", "tr", "n"), wrong])
            refused([trace], runs.add_trace, rf"span\.{field}")
        assert runs.get_traces() == []
        runs.start_span(Span("sp", "tr", "n"))
        for field in ("status", "attributes", "ended_at"):
            wrong_end = {field: _IMPOSSIBLE_SPANS[field]}
            refused([wrong_end], lambda end: runs.end_span("sp", **end), rf"span\.{field}")

    def test_a_span_of_another_trace_is_refused(self, runs: RunStore) -> None:
        """It is stored under the other trace, or twice."""
        runs.add_trace(Trace("other", spans=[Span("sp", "other", "kept")]))
        with pytest.raises(InvalidDataError, match=r"span\.trace_id"):
            runs.add_trace(Trace("tr", spans=[Span("sp", "other", "stolen")]))
        assert [trace.spans[0].name for trace in runs.get_traces()] == ["kept"]

    def test_what_was_done_can_be_deleted_alone(
        self, conversations: ConversationStore, runs: RunStore
    ) -> None:
        """What is kept apart from the conversation stays behind when that is deleted."""
        conversations.create_session(session("other"))
        for key in ("s", "other"):
            self._fill(runs, key)
        runs.delete_session("s")
        runs.delete_session("s")
        runs.delete_session("unknown")
        assert conversations.get_session("s") is not None
        assert runs.get_runs("s") == runs.running("s") == []
        assert runs.get_tool_calls("s") == []
        assert [trace.trace_id for trace in runs.get_traces()] == ["tr other"]
        assert _ids(runs.get_runs("other")) == ["r"]
        runs.start_run(_run("later"))
        assert _ids(runs.get_runs("s")) == ["later"]

    # Together with the conversation

    def _fill(self, runs: RunStore, key: str) -> None:
        runs.start_run(_run(session_id=key))
        runs.add_tool_call(_call(session_id=key, run_id="r"))
        runs.add_trace(Trace(f"tr {key}", session_id=key, spans=[Span("sp", f"tr {key}", "n")]))

    def delete(self, conversations: ConversationStore, runs: RunStore, key: str) -> bool:
        """Delete a session with all that belongs to it. Overridden where runs are kept apart."""
        assert runs is not None
        return conversations.delete_session(key)

    def test_deleting_a_session_takes_all_that_belongs_to_it(
        self, conversations: ConversationStore, runs: RunStore
    ) -> None:
        """What a user asked to be deleted is still there, or shows up in the next session."""
        conversations.create_session(session("other"))
        for key in ("s", "other"):
            self._fill(runs, key)
            conversations.add_message(key, message(run_id="r"))
        assert self.delete(conversations, runs, "s")
        conversations.create_session(session())
        assert runs.get_runs("s") == runs.running("s") == []
        assert runs.get_tool_calls("s") == []
        assert runs.get_traces("s") == []
        assert runs.start_run(_run()).seq == 1
        assert [trace.trace_id for trace in runs.get_traces()] == ["tr other"]
        assert len(runs.get_traces()[0].spans) == 1
        assert len(runs.get_runs("other")[0].tool_calls) == 1

    def test_a_dump_carries_runs_tool_calls_and_traces(
        self, conversations: ConversationStore, runs: RunStore
    ) -> None:
        """An export is the conversation without what the agent did."""
        if Capability.DUMP not in conversations.capabilities:
            pytest.skip(f"{type(conversations).__name__} does not declare DUMP")
        runs.start_run(_run("r1", input_content="\x00", metadata={"a": {}}))
        conversations.add_message("s", message(run_id="r1"))
        runs.add_tool_call(_call(run_id="r1", args={}, result=[], error=""))
        runs.end_run("s", "r1", output_content="\ud800", metrics={"t": 1.5}, ended_at=2.0)
        runs.start_run(_run("r2"))
        span = Span("sp", "tr", "n", attributes={"k": None}, events=[{"e": 1}])
        runs.add_trace(Trace("tr", session_id="s", run_id="r1", spans=[span]))
        runs.start_trace(Trace("open", session_id="s"))
        dump = json.loads(json.dumps(conversations.dump_session("s"), allow_nan=False))
        before = runs.get_runs("s"), runs.get_tool_calls("s"), runs.get_traces("s")
        conversations.delete_session("s")
        conversations.load_session(dump)
        conversations.load_session(dump)
        assert (runs.get_runs("s"), runs.get_tool_calls("s"), runs.get_traces("s")) == before
        assert conversations.dump_session("s") == dump
        assert runs.start_run(_run("r3")).seq == 3

    def test_a_dump_whose_parts_are_wrong_loads_nothing(
        self, conversations: ConversationStore, runs: RunStore
    ) -> None:
        """Half an import looks like a whole one."""
        if Capability.DUMP not in conversations.capabilities:
            pytest.skip(f"{type(conversations).__name__} does not declare DUMP")
        runs.start_run(_run())
        runs.add_tool_call(_call())
        runs.add_trace(Trace("tr", session_id="s", spans=[Span("sp", "tr", "n")]))
        dump = conversations.dump_session("s")
        assert dump is not None
        conversations.delete_session("s")
        for part in ("runs", "tool_calls", "traces", "spans"):
            row = dump[part][0]
            wrongs: list[Any] = [
                "abc",
                [5],
                [{}],
                [row | {"unknown": 1}],
                [row | {"started_at": "now"}],
                [row, row],
            ]
            for wrong in wrongs:
                with pytest.raises((InvalidDataError, ConflictError)):
                    conversations.load_session(dump | {part: wrong})
                assert conversations.get_session("s") is None
        assert runs.get_traces() == []

    def test_a_dump_does_not_take_the_traces_of_another_session(
        self, conversations: ConversationStore, runs: RunStore
    ) -> None:
        """A dump loaded under another id loses, or moves, what belongs to the first."""
        if Capability.DUMP not in conversations.capabilities:
            pytest.skip(f"{type(conversations).__name__} does not declare DUMP")
        runs.start_run(_run())
        runs.add_tool_call(_call())
        dump = conversations.dump_session("s")
        assert dump is not None
        renamed = dump | {"session": dump["session"] | {"session_id": "copy"}}
        assert conversations.load_session(renamed) == "copy"
        assert _ids(runs.get_runs("copy")) == _ids(runs.get_runs("s")) == ["r"]
        assert len(runs.get_tool_calls("copy")) == len(runs.get_tool_calls("s")) == 1
        runs.add_trace(Trace("tr", session_id="s"))
        with_trace = conversations.dump_session("s")
        assert with_trace is not None
        renamed = with_trace | {"session": with_trace["session"] | {"session_id": "copy2"}}
        with pytest.raises(ConflictError):
            conversations.load_session(renamed)
        assert conversations.get_session("copy2") is None
        assert [trace.session_id for trace in runs.get_traces()] == ["s"]

    def test_an_impossible_id_is_refused_by_every_method(self, runs: RunStore) -> None:
        """It is cut to fit, or compared as a number, and meets the session of another."""
        uses: list[Callable[[Any], object]] = [
            runs.get_runs,
            runs.running,
            lambda key: runs.find_runs(key, ["r"]),
            lambda key: runs.end_run(key, "r"),
            lambda key: runs.start_run(_run(session_id=key)),
            lambda key: runs.add_tool_call(_call(session_id=key)),
            runs.get_tool_calls,
        ]
        for use in uses:
            refused(IMPOSSIBLE_IDS, use, "session_id")

    def test_a_closed_store_says_so(self, open_stores: OpenStores) -> None:
        """It opens itself again and leaks, or dies in the driver with a riddle."""
        conversations, runs = open_stores()
        conversations.create_session(session("t"))
        runs.start_run(_run(session_id="t"))
        conversations.close()
        runs.close()
        runs.close()
        with pytest.raises(PersistError, match="closed"):
            runs.get_runs("s")
