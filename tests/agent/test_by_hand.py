"""The hooks called by one's own code, in every documented spelling, without an Agent."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import pytest
from praisonaiagents.db import DbAdapter
from praisonaiagents.db.protocol import ToolTurnDbAdapterProtocol

import praison_persist
from praison_persist import (
    ConfigurationError,
    ConversationMessage,
    NotFoundError,
    PraisonAIDB,
    UnsupportedError,
)

from .conftest import Open
from .driving import SESSION
from .provider import complaint
from .stored import runs, said

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


def call(name: str, /, *args: Any, **kwargs: Any) -> Call:
    return name, args, kwargs


def perform(db: PraisonAIDB, colour: str, *made: Call) -> list[Any]:
    """Make hook calls one after another: on_*, or aon_* in one event loop."""
    if colour == "sync":
        return [getattr(db, name)(*args, **kwargs) for name, args, kwargs in made]

    async def scene() -> list[Any]:
        return [await getattr(db, f"a{name}")(*args, **kwargs) for name, args, kwargs in made]

    return asyncio.run(scene())


both_colours = pytest.mark.parametrize("colour", ["sync", "async"])


class TestProtocol:
    def test_it_is_an_adapter_of_the_core(self, db: PraisonAIDB) -> None:
        assert isinstance(db, DbAdapter)
        assert isinstance(db, ToolTurnDbAdapterProtocol)

    def test_the_hooks_that_the_core_awaits_are_coroutine_functions(self, db: PraisonAIDB) -> None:
        """It looks for nothing else."""
        for name in ("aon_agent_start", "aon_run_start", "aon_run_end"):
            assert asyncio.iscoroutinefunction(getattr(db, name))

    def test_each_hook_has_both_colours(self) -> None:
        hooks = {name for name in dir(PraisonAIDB) if name.startswith("on_")}
        assert len(hooks) == 13
        for name in hooks:
            assert asyncio.iscoroutinefunction(getattr(PraisonAIDB, f"a{name}")), name

    def test_the_schema_hooks(self, db: PraisonAIDB) -> None:
        assert db.get_schema_version() == "1.0"
        assert db.check_schema_compatibility() == (True, "The database's schema is current")
        assert db.migrate_schema("1.0", "2.0") is True

    def test_a_new_database_is_migrated_on_demand(self, open_db: Open, tmp_path: Any) -> None:
        db = open_db(f"sqlite:///{tmp_path / 'new.db'}", auto_create_tables=False)
        compatible, what_to_do = db.check_schema_compatibility()
        assert not compatible
        assert "praison-persist db upgrade" in what_to_do
        assert db.migrate_schema("", "")
        assert db.check_schema_compatibility()[0]
        db.on_user_message(SESSION, "hi")

    def test_the_internals_that_others_use(self, open_db: Open) -> None:
        db = open_db()
        made = PraisonAIDB._from_stores(conversation_store=db.conversation)
        made._init_stores()
        asyncio.run(made._ainit_stores())
        assert made._initialized
        assert made._conversation_store is made.conversation is db.conversation
        assert made._state_store is made.state_store is not None
        assert made._knowledge_store is made.knowledge_store is not None
        made.on_user_message(SESSION, "hi")
        assert said(db) == ["user: hi"]
        made.close()


@both_colours
class TestSpellings:
    def test_the_documented_lifecycle(self, db: PraisonAIDB, colour: str) -> None:
        perform(
            db,
            colour,
            call("on_agent_start", session_id=SESSION, name="DataAgent", agent_id="agent_123"),
            call("on_user_message", session_id=SESSION, content="Analyze", metadata={"t": 1}),
            call(
                "on_tool_call",
                session_id=SESSION,
                tool_name="data_analyzer",
                arguments={"file": "data.csv"},
                result={"rows": 1000},
            ),
            call("on_agent_message", session_id=SESSION, content="Done"),
            call("on_agent_end", session_id=SESSION, name="DataAgent", agent_id="agent_123"),
        )
        assert said(db) == [
            "user: Analyze",
            'call: data_analyzer {"file": "data.csv"}',
            'result: {"rows": 1000}',
            "assistant: Done",
        ]
        (made,) = db.get_tool_calls(SESSION)
        assert (made.args, made.result) == ({"file": "data.csv"}, {"rows": 1000})
        session = db.get_session(SESSION)
        assert session is not None
        assert session.agent_id == "agent_123"
        metadata = session.metadata or {}
        assert (metadata["agent_name"], metadata["agent_id"]) == ("DataAgent", "agent_123")
        assert metadata["ended_at"] > 0
        assert db.get_messages(SESSION)[0].metadata == {"t": 1}
        assert db.get_runs(SESSION) == []
        history = perform(db, colour, call("on_agent_start", "DataAgent", SESSION))[0]
        assert len(history) == 4
        assert complaint(history) is None

    @pytest.mark.parametrize(
        "start",
        [
            call("on_agent_start", "Ada", SESSION, "u", {"k": 1}),
            call("on_agent_start", "Ada", SESSION, "u", metadata={"k": 1}),
            call(
                "on_agent_start",
                agent_name="Ada",
                session_id=SESSION,
                user_id="u",
                metadata={"k": 1},
            ),
            call("on_agent_start", name="Ada", session_id=SESSION, user_id="u", metadata={"k": 1}),
        ],
    )
    def test_agent_start(self, db: PraisonAIDB, colour: str, start: Call) -> None:
        assert perform(db, colour, start) == [[]]
        session = db.get_session(SESSION)
        assert session is not None
        assert (session.agent_id, session.user_id, session.metadata) == ("Ada", "u", {"k": 1})

    @pytest.mark.parametrize(
        "tool_call",
        [
            call("on_tool_call", SESSION, "f", {"a": 1}, [2], {"k": 3}),
            call("on_tool_call", SESSION, "f", args={"a": 1}, result=[2], metadata={"k": 3}),
            call("on_tool_call", SESSION, "f", arguments={"a": 1}, result=[2], metadata={"k": 3}),
            call(
                "on_tool_call",
                session_id=SESSION,
                tool_name="f",
                arguments={"a": 1},
                result=[2],
                metadata={"k": 3},
            ),
        ],
    )
    def test_tool_call(self, db: PraisonAIDB, colour: str, tool_call: Call) -> None:
        perform(db, colour, tool_call)
        (made,) = db.get_tool_calls(SESSION)
        assert (made.tool_name, made.args, made.result) == ("f", {"a": 1}, [2])
        assert made.metadata == {"k": 3}
        assert said(db) == ['call: f {"a": 1}', "result: [2]"]

    @pytest.mark.parametrize(
        "result", [None, 0, "", "text", [], {}, {"a": {1, 2}}, b"\xff", object(), float("nan")]
    )
    def test_a_result_of_any_type(self, db: PraisonAIDB, colour: str, result: Any) -> None:
        """What a tool returns is the agent's business; it is never refused."""
        perform(db, colour, call("on_tool_call", SESSION, "f", {"x": object()}, result))
        (made,) = db.get_tool_calls(SESSION)
        assert made.error is None
        assert complaint(db.on_agent_start("Ada", SESSION)) is None

    def test_messages(self, db: PraisonAIDB, colour: str) -> None:
        request = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        perform(
            db,
            colour,
            call("on_user_message", SESSION, "q", {"k": 1}),
            call("on_assistant_message", SESSION, None, [request]),
            call("on_tool_message", SESSION, "r", "c"),
            call("on_agent_message", SESSION, "a", metadata={"k": 2}),
        )
        assert said(db) == ["user: q", "call: f {}", "result: r", "assistant: a"]
        assert [m.metadata for m in db.get_messages(SESSION)] == [{"k": 1}, None, None, {"k": 2}]
        assert [(name, result) for name, _, result, _ in _calls(db)] == [("f", "r")]

    def test_assistant_message_with_calls_of_the_core(self, db: PraisonAIDB, colour: str) -> None:
        class Requested:
            tool_name, args, call_id = "f", {"a": 1}, "c"

        perform(
            db,
            colour,
            call("on_assistant_message", SESSION, "", tool_calls=[Requested()]),
            call("on_tool_message", SESSION, "r", tool_call_id="c"),
        )
        assert said(db) == ['call: f {"a": 1}', "result: r"]

    def test_runs(self, db: PraisonAIDB, colour: str) -> None:
        perform(
            db,
            colour,
            call("on_run_start", SESSION, "run-1", "q", {"agent_name": "Ada"}),
            call("on_user_message", SESSION, "q"),
            call("on_agent_message", SESSION, "a"),
            call("on_run_end", SESSION, "run-1", "a", "completed", {"n": 1}, {"k": 2}),
        )
        assert runs(db) == [("completed", "a", ["user: q", "assistant: a"])]
        (run,) = db.get_runs(SESSION)
        assert (run.agent_name, run.metrics) == ("Ada", {"n": 1})
        assert run.metadata == {"agent_name": "Ada", "k": 2}
        (trace,) = db.get_traces(SESSION)
        assert trace.run_id == "run-1"

    def test_a_run_completes_what_was_not_said(self, db: PraisonAIDB, colour: str) -> None:
        perform(
            db,
            colour,
            call("on_run_start", SESSION, "run-1", "q"),
            call("on_run_end", SESSION, "run-1", "a"),
        )
        assert said(db) == ["user: q", "assistant: a"]

    def test_a_run_whose_steps_happen_in_contexts_of_their_own(
        self, db: PraisonAIDB, colour: str
    ) -> None:
        """As in handlers of web requests: its end must not repeat what others have stored."""
        for made in (
            call("on_run_start", SESSION, "run-1", "q"),
            call("on_user_message", SESSION, "q"),
            call("on_agent_message", SESSION, "a"),
            call("on_run_end", SESSION, "run-1", "a"),
        ):
            if colour == "sync":
                contextvars.copy_context().run(perform, db, colour, made)
            else:
                perform(db, colour, made)
        assert said(db) == ["user: q", "assistant: a"]
        assert [run.status for run in db.get_runs(SESSION)] == ["completed"]

    def test_the_end_of_a_run_that_never_began(self, db: PraisonAIDB, colour: str) -> None:
        perform(db, colour, call("on_run_end", SESSION, "run-1", "a", "error"))
        assert [(run.run_id, run.status) for run in db.get_runs(SESSION)] == [("run-1", "error")]

    def test_traces(self, db: PraisonAIDB, colour: str) -> None:
        perform(
            db,
            colour,
            call("on_trace_start", "t", SESSION, "run-1", "Ada", "u", {"a": 1}),
            call("on_span_start", "s1", "t", "think", None, {"b": 1}),
            call("on_span_start", "s2", "t", "look up", "s1"),
            call("on_span_end", "s2", "error", {"c": 1}),
            call("on_span_end", span_id="s1"),
            call("on_trace_end", "t", metadata={"d": 1}),
        )
        for (trace,) in (
            db.get_traces(SESSION),
            db.get_traces(user_id="u"),
            asyncio.run(db.aget_traces(limit=1)),
        ):
            assert (trace.status, trace.metadata) == ("ok", {"a": 1, "d": 1})
            first, second = trace.spans
            assert (first.name, first.status, first.attributes) == ("think", "ok", {"b": 1})
            assert (second.parent_span_id, second.status) == ("s1", "error")
            assert second.attributes == {"c": 1}

    def test_a_session_that_was_never_started(self, db: PraisonAIDB, colour: str) -> None:
        perform(
            db,
            colour,
            call("on_user_message", "a", "hi"),
            call("on_tool_call", "b", "f"),
            call("on_run_start", "c", "r"),
            call("on_agent_end", "nosuch"),
        )
        assert {session.session_id for session in db.list_sessions()} == {"a", "b", "c"}

    def test_agent_end_merges_metadata(self, db: PraisonAIDB, colour: str) -> None:
        perform(
            db,
            colour,
            call("on_agent_start", "Ada", SESSION, metadata={"a": 1, "b": 1}),
            call("on_agent_end", SESSION, {"b": 2, "c": 3}),
        )
        session = db.get_session(SESSION)
        assert session is not None
        metadata = dict(session.metadata or {})
        assert metadata.pop("ended_at") > 0
        assert metadata == {"a": 1, "b": 2, "c": 3}

    def test_metadata_of_any_type(self, db: PraisonAIDB, colour: str) -> None:
        perform(db, colour, call("on_user_message", SESSION, "hi", {"when": object, "n": {1}}))
        assert db.get_messages(SESSION)[0].metadata is not None

    @pytest.mark.parametrize("session_id", [None, ""])
    def test_a_session_without_an_id(
        self, db: PraisonAIDB, colour: str, session_id: str | None
    ) -> None:
        with pytest.raises(ConfigurationError, match="session_id"):
            perform(db, colour, call("on_agent_start", "Ada", session_id))


def _calls(db: PraisonAIDB) -> list[tuple[str, Any, Any, str | None]]:
    return [(c.tool_name, c.args, c.result, c.error) for c in db.get_tool_calls(SESSION)]


class TestContextManagers:
    def test_with(self, sqlite_url: str) -> None:
        with praison_persist.db(sqlite_url) as db:
            db.on_user_message(SESSION, "Hello")
        with pytest.raises(Exception, match="closed"):
            db.on_user_message(SESSION, "Hello")

    def test_async_with(self, sqlite_url: str) -> None:
        async def scene() -> None:
            async with praison_persist.db(sqlite_url) as db:
                await db.aon_user_message(SESSION, "Hello")
                db.on_user_message(SESSION, "Hello")
            with pytest.raises(Exception, match="closed"):
                await db.aon_user_message(SESSION, "Hello")

        asyncio.run(scene())

    def test_with_in_async_code(self, sqlite_url: str) -> None:
        async def scene() -> list[str]:
            with praison_persist.db(sqlite_url) as db:
                await db.aon_user_message(SESSION, "async")
                db.on_agent_message(SESSION, "sync")
                return said(db)

        assert asyncio.run(scene()) == ["user: async", "assistant: sync"]

    def test_closing_twice_is_closing_once(self, sqlite_url: str) -> None:
        async def scene(db: PraisonAIDB) -> None:
            await db.aclose()
            await db.aclose()

        for use in (True, False):
            db = praison_persist.db(sqlite_url)
            if use:
                db.on_user_message(SESSION, "Hello")
            db.close()
            db.close()
            asyncio.run(scene(db))
            db = praison_persist.db(sqlite_url)
            asyncio.run(scene(db))
            db.close()


class TestQueries:
    def test_each_query_has_both_colours(self, db: PraisonAIDB) -> None:
        db.on_agent_start("Ada", SESSION, "u")
        db.on_run_start(SESSION, "run-1", "q")
        db.on_tool_call(SESSION, "f", {"a": 1}, 1)
        db.on_run_end(SESSION, "run-1", "a")

        async def ask() -> list[Any]:
            questions: list[Coroutine[Any, Any, Any]] = [
                db.aget_session(SESSION),
                db.alist_sessions("u"),
                db.aget_messages(SESSION, 2),
                db.aget_runs(SESSION),
                db.aget_tool_calls(SESSION, "run-1"),
                db.aget_traces(SESSION),
                db.aexport_session(SESSION),
            ]
            return [await question for question in questions]

        assert asyncio.run(ask()) == [
            db.get_session(SESSION),
            db.list_sessions("u"),
            db.get_messages(SESSION, 2),
            db.get_runs(SESSION),
            db.get_tool_calls(SESSION, "run-1"),
            db.get_traces(SESSION),
            db.export_session(SESSION),
        ]
        assert len(db.get_messages(SESSION, 2)) == 2
        assert db.list_sessions("nobody") == []

    def test_runs_are_newest_first_and_limited_in_the_database(self, db: PraisonAIDB) -> None:
        for number in range(5):
            db.on_run_start(SESSION, f"run-{number}", f"q{number}")
            db.on_run_end(SESSION, f"run-{number}", f"a{number}")
        assert [run.run_id for run in db.get_runs(SESSION)] == [f"run-{n}" for n in (4, 3, 2, 1, 0)]
        assert [run.run_id for run in db.get_runs(SESSION, 2)] == ["run-4", "run-3"]

    def test_runs_of_a_session_are_not_those_of_one_whose_id_begins_alike(
        self, db: PraisonAIDB
    ) -> None:
        for session_id in ("a", "a:b"):
            db.on_run_start(session_id, f"run-{session_id}")
            db.on_tool_call(session_id, "f")
            db.on_run_end(session_id, f"run-{session_id}", "x")
        assert [run.run_id for run in db.get_runs("a")] == ["run-a"]
        assert len(db.get_tool_calls("a")) == len(db.get_traces("a")) == 1

    @both_colours
    def test_delete_session_removes_all_of_it(self, db: PraisonAIDB, colour: str) -> None:
        for session_id in ("gone", "kept"):
            db.on_run_start(session_id, f"run-{session_id}", "q")
            db.on_tool_call(session_id, "f", {}, 1)
            db.on_run_end(session_id, f"run-{session_id}", "a")
        assert (
            perform(db, colour, call("delete_session", "gone")) == [True]
            if colour == "sync"
            else True
        )
        if colour == "async":
            assert asyncio.run(db.adelete_session("gone"))
        assert db.get_session("gone") is None
        for read in (db.get_messages, db.get_runs, db.get_tool_calls, db.get_traces):
            assert read("gone") == []
            assert read("kept") != []
        with db._connected.given.database.engines.get().reader.connect() as connection:
            for table in ("messages", "runs", "tool_calls", "traces"):
                found = connection.exec_driver_sql(
                    f"SELECT count(*) FROM praison_{table} WHERE session_id = 'gone'"
                )
                assert found.scalar() == 0
            found = connection.exec_driver_sql("SELECT count(*) FROM praison_spans")
            assert found.scalar() == len(db.get_traces("kept")[0].spans)
        assert not db.delete_session("gone")
        with pytest.raises(NotFoundError):
            db.export_session("gone")

    def test_what_is_returned_is_the_callers_own(self, db: PraisonAIDB) -> None:
        db.on_user_message(SESSION, "Hello", {"k": [1]})
        found: ConversationMessage = db.get_messages(SESSION)[0]
        (found.metadata or {})["k"].append(2)
        assert db.get_messages(SESSION)[0].metadata == {"k": [1]}

    def test_a_store_without_runs_says_so(self) -> None:
        class Store:
            def add_message(self, content: str, metadata: Any) -> None:
                """Keep nothing."""

        with PraisonAIDB(Store()) as db:
            db.on_run_start(SESSION, "run-1", "q")
            db.on_run_end(SESSION, "run-1", "a")
            with pytest.raises(UnsupportedError, match="state_url="):
                db.get_runs(SESSION)
            with pytest.raises(UnsupportedError, match="no schema"):
                db.migrate_schema("1", "2")
            assert db.check_schema_compatibility()[0]
