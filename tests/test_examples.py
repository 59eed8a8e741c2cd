"""Every example runs on its own, says what it should, and leaves nothing beside its folder."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import redis
from local_llm import MODEL, LocalLLM

from praison_persist import DefaultSessionStore, SQLSessionStore, db
from tests.services.mongod import OwnMongod
from tests.state.services import own_redis

from .programs import ROOT, environment, python

EXAMPLES = ROOT / "examples"
STAND_IN = "the model is examples/local_llm.py, a scripted one"

Run = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder that examples leave their files in."""
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Run:
    """Run an example in an empty folder, without a key of a model; return what it printed."""
    work = tmp_path / "work"
    work.mkdir()
    usual = {**environment(tmp_path), "PRAISON_DEMO_DATA": str(data)}

    def run(name: str, **variables: str) -> str:
        ended = python(EXAMPLES / name, cwd=work, variables={**usual, **variables})
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
        assert not list(work.iterdir())
        assert not list((tmp_path / "home").iterdir())
        return ended.stdout

    return run


def test_every_example_is_run_here() -> None:
    modules = {"local_llm.py", "surroundings.py"}
    scripts = {path.name for path in EXAMPLES.glob("*.py")} - modules
    source = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in scripts if f'run("{name}"' not in source} == set()


def test_the_index_names_every_example_and_nothing_else() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    there = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")}
    assert set(re.findall(r"`(\w+\.(?:py|ipynb))`", index)) == there


def said(place: Path | str, session_id: str, **options: str) -> list[tuple[str, str | None]]:
    """Return what is stored of a session: role and content."""
    with db(
        database_url=f"sqlite:///{place}" if isinstance(place, Path) else place, **options
    ) as store:
        return [(message.role, message.content) for message in store.get_messages(session_id)]


TOLD = [
    ("user", "My name is Ada."),
    ("assistant", "You said: My name is Ada."),
    ("user", "What is my name?"),
    ("assistant", "Your name is Ada."),
]


def test_the_demo_resumes_in_another_process(run: Run) -> None:
    printed = run("demo.py")
    assert STAND_IN in printed
    first, second = re.findall(r"Process (\d+)", printed)
    assert first != second
    resumed = printed.partition(f"Process {second} resumes it")[2]
    assert "It was handed 4 messages" in resumed
    assert "user       My name is Ada." in resumed
    assert "assistant  Your name is Ada." in resumed
    assert len(printed.splitlines()) <= 30

    # Again, on a new file, with a key: the model is then the one that the key is for.
    with LocalLLM() as llm:
        printed = run(
            "demo.py",
            OPENAI_API_KEY="key",
            OPENAI_BASE_URL=llm.base_url,
            OPENAI_MODEL_NAME=MODEL,
        )
        assert len(llm.chat_requests) == 3
    assert STAND_IN not in printed
    assert "It was handed 4 messages" in printed
    assert "assistant  Your name is Ada." in printed


def test_the_demo_fails_without_the_history(tmp_path: Path) -> None:
    with LocalLLM() as llm:
        variables = {**environment(tmp_path), **llm.environment()}
        ended = python(EXAMPLES / "demo.py", "resume", cwd=tmp_path, variables=variables)
    assert ended.returncode == 1
    assert "was not handed what the first was told" in ended.stderr


def test_the_quickstart_knows_more_the_second_time(run: Run) -> None:
    assert "    4  assistant  Your name is Ada." in run("sqlite_quickstart.py")
    assert "    8  assistant  Your name is Ada." in run("sqlite_quickstart.py")


def test_an_agent_on_postgresql(run: Run, postgres_database: str) -> None:
    printed = run("postgres.py", PRAISONAI_CONVERSATION_URL=postgres_database)
    assert "ada: Your name is Ada." in printed
    assert "bob: Your name is Bob." in printed
    assert "Session chat-ada of ada: 4 messages" in printed


def test_tasks_write_to_one_session(run: Run) -> None:
    printed = run("async_store.py")
    assert "15 messages, numbered without a gap: True" in printed
    assert "Your name is Ada." in printed
    assert "17 messages" in printed


def test_an_agent_of_praisonaiagents(run: Run) -> None:
    assert "Your name is Ada." in run("own_agent_memory.py")


def test_a_session_moves_to_another_database(run: Run) -> None:
    printed = run("export_import.py")
    assert printed.count("Imported: 2 messages") == 2
    assert "Your name is Ada." in printed


def test_an_orchestrator_tells_one_agent_what_another_was_told(run: Run) -> None:
    printed = run("orchestrator.py")
    assert "Your name is Ada." in printed
    assert "4 messages, 1 document near, seen 2 times" in printed


def test_a_service_keeps_the_answer_whose_reader_hung_up(run: Run, data: Path) -> None:
    """A stream that ends with its client would keep a question without an answer."""
    printed = run("fastapi_streaming.py")
    parts = re.search(r"(\d+) parts: You said: My name is Ada\.", printed)
    assert parts is not None
    assert int(parts[1]) > 2
    heard = re.search(r"Hung up after '(.*)'", printed)
    assert heard is not None
    assert len(heard[1]) < 20
    assert "Back again: Your name is Ada." in printed
    stored = said(data / "service.db", "user-123")
    assert [stored[n] for n in (0, 1, 4, 5)] == TOLD
    assert stored[3] == ("assistant", f"You said: {stored[2][1]}")
    with db(database_url=f"sqlite:///{data / 'service.db'}") as store:
        assert [run.status for run in store.get_runs("user-123")] == ["completed"] * 3


def test_a_notebook_calls_and_awaits(tmp_path: Path, data: Path) -> None:
    kept = {"PRAISON_DEMO_DATA": str(data), "IPYTHONDIR": str(tmp_path / "ipython")}
    variables = {**environment(tmp_path), **kept}
    executed = tmp_path / "executed.ipynb"
    words = ("-m", "jupyter", "execute", f"--output={executed}", EXAMPLES / "notebook.ipynb")
    ended = python(*words, cwd=EXAMPLES, variables=variables)
    assert ended.returncode == 0, ended.stderr
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    shown = [
        "".join(output.get("text") or output["data"]["text/plain"])
        for cell in cells
        for output in cell.get("outputs", ())
    ]
    assert shown[1:3] == ["'You said: My name is Ada.'", "'Your name is Ada.'"]
    assert shown[3].splitlines()[-2:] == ["4 assistant Your name is Ada.", "2 runs"]
    assert said(data / "notebook.db", "notebook") == TOLD


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_worker_takes_over_from_one_that_was_killed(
    run: Run, data: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    server = None if kind == "sqlite" else request.getfixturevalue("postgres_database")
    variables = {"PRAISON_CONVERSATION_URL": server} if server else {}
    printed = run("worker_pool.py", **variables)
    assert "Killed: its run is ['running']" in printed
    assert "Taken over: its runs are ['interrupted', 'completed']" in printed
    for name in ("ada", "bob", "eve", "joe"):
        assert f"{name}: 4 messages, Your name is {name.title()}." in printed
    with db(database_url=server or f"sqlite:///{data / 'workers.db'}") as store:
        # Both askings are kept; the model was told of the second alone.
        assert [message.role for message in store.get_messages("slow")] == [
            "user",
            "user",
            "assistant",
        ]
        for name in ("ada", "bob", "eve", "joe"):
            numbers = [message.seq for message in store.get_messages(name)]
            assert numbers == [1, 2, 3, 4]
            assert {run.status for run in store.get_runs(name)} == {"completed"}


def test_tenants_see_nothing_of_one_another(run: Run, data: Path) -> None:
    printed = run("multi_tenant.py")
    assert "Refused: There is no session 'acme:main'" in printed
    for tenant, name, others in (("acme", "Anvil", "Beetle"), ("beta", "Beetle", "Anvil")):
        assert f"{tenant}: Your name is {name}." in printed
        assert (
            f"{tenant}: sessions ['{tenant}:main'], search finds those of ['{tenant}']" in printed
        )
        # Every byte of the tenant's file, and the journal beside it.
        files = b"".join(path.read_bytes() for path in (data / "tenants").glob(f"{tenant}.db*"))
        assert name.encode() in files
        assert others.encode() not in files
        assert said(data / "tenants.db", f"{tenant}:main")[0] == ("user", f"My name is {name}.")


def test_no_settings_at_all(run: Run, data: Path) -> None:
    assert "2 messages in " in run("zero_config.py")
    hello = [("user", "Hello!"), ("assistant", "You said: Hello!")]
    assert said(data / "praisonai.db", "user-123") == hello


def test_an_async_store_of_postgresql(run: Run, postgres_database: str) -> None:
    printed = run("async_agent_store.py", PRAISON_CONVERSATION_URL=postgres_database)
    assert "4 messages in async-1" in printed
    assert said(postgres_database, "async-1") == TOLD


def test_a_session_is_created_or_updated(run: Run, data: Path) -> None:
    printed = run("async_sessions.py")
    assert "Version 1: first name\nVersion 2: second name\n1  user  Hello" in printed
    assert said(data / "sessions.db", "session_123") == [("user", "Hello")]


def test_an_async_store_of_ones_own(run: Run) -> None:
    assert "Your name is Ada.\ns: 4 messages" in run("custom_async_store.py")


def test_runtimes_leave_notes(run: Run, data: Path) -> None:
    printed = run("runtime_state.py")
    note = {"turn-2": {"after": "asked for the time"}}
    assert printed.count(str(note)) == 2
    assert DefaultSessionStore(data / "sessions").get_runtime_state("handoff", "plugin") == note
    with SQLSessionStore(f"sqlite:///{data / 'runtime_state.db'}") as store:
        assert store.get_runtime_state("handoff", "plugin") == note


def test_the_command_line(run: Run, data: Path) -> None:
    printed = run("command_line.py")
    assert printed.count("$ praison-persist ") == 6
    assert "Your name is Ada." in printed
    assert "1 session deleted" in printed
    assert said(data / "command_line.db", "user-123") == []


def test_sync_methods_in_an_event_loop(run: Run, data: Path) -> None:
    printed = run("event_loop.py")
    for mode, store in (("sync", "SyncSQLite"), ("async", "AsyncSQLite")):
        assert f"{store}ConversationStore: Your name is Ada. (4, 4)" in printed
        assert said(data / "event_loop.db", mode) == TOLD


def test_threads_on_one_adapter(run: Run, data: Path) -> None:
    assert "40 messages, numbered 1 to 40: True" in run("threads.py")
    stored = [content for _, content in said(data / "threads.db", "shared")]
    assert sorted(stored, key=str) == [f"{name}: {turn}" for name in range(8) for turn in range(5)]


def test_agents_share_an_orchestrator(run: Run, data: Path) -> None:
    printed = run("shared_orchestrator.py")
    assert "Notes of flights, hotels, trains, weather\nThe cache was changed: False" in printed
    assert len(said(data / "shared.db", "trip")) == 4


def test_processes_share_session_files(run: Run, data: Path) -> None:
    printed = run("json_sessions.py")
    assert printed.count("20 messages, in order: True") == 2
    assert len(DefaultSessionStore(data / "json_sessions").get_chat_history("support")) == 40


def test_forks_and_snapshots(run: Run, data: Path) -> None:
    printed = run("forks.py")
    assert printed.count("  before the revert: 4 messages\n  after the revert: 2 messages") == 2
    assert printed.count("  the fork: ['My name is Ada.']\n  its parent: story") == 2
    with SQLSessionStore(f"sqlite:///{data / 'forks.db'}") as store:
        assert len(store.get_chat_history("story")) == 2
        assert len(store.as_of("story", seq=4)) == 4


def test_older_tables_are_adopted(run: Run, data: Path) -> None:
    printed = run("adopt_tables.py")
    assert "Refused: " in printed
    assert "1  user  I keep bees.\n2  assistant  Your bees hum." in printed
    assert said(data / "older.db", "s", table_prefix="praisonai_")[0] == ("user", "I keep bees.")


def test_an_agent_on_mariadb(run: Run, mariadb_database: str) -> None:
    printed = run("mysql.py", PRAISON_CONVERSATION_URL=mariadb_database)
    assert "4  assistant  Your name is Ada." in printed
    assert said(mariadb_database, "mysql-1")[0] == ("user", "My name is Ada 🐝.")


def test_knowledge_is_asked_in_words(run: Run, data: Path) -> None:
    printed = run("knowledge.py")
    assert "Where does honey come from?  A bee makes honey." in printed
    assert "Rain on the hive?  A hive has one queen.\n3 documents" in printed
    with db(database_url=f"sqlite:///{data / 'knowledge.db'}") as store:
        assert store.knowledge_store.count("notes") == 3


STATE = """Seen by ada, for an hour: True
3 visits
The plan has changed meanwhile: go
Keys: ['example:plan', 'example:seen', 'example:visits']
"""


def test_state_beside_the_conversations(run: Run, data: Path) -> None:
    assert run("state.py").endswith(STATE)
    with db(database_url=f"sqlite:///{data / 'state.db'}") as store:
        assert store.state_store.get("example:visits") == 3


def test_state_in_redis(run: Run, tmp_path: Path) -> None:
    with own_redis(tmp_path / "redis") as server:
        assert run("state.py", PRAISON_STATE_URL=server.url).endswith(STATE)
        with redis.Redis.from_url(server.url) as client:
            assert len(list(client.scan_iter("praison:example:*"))) == 3


def test_state_in_mongodb(run: Run, tmp_path: Path) -> None:
    server = OwnMongod(tmp_path / "mongod")
    try:
        server.start()
        url = f"{server.url}"
        assert run("state.py", PRAISON_STATE_URL=url).endswith(STATE)
        with db(database_url=":memory:", state_url=url) as store:
            assert store.state_store.get("example:plan") == "go"
    finally:
        server.close()


def test_state_in_redis_beside_a_conversation_in_sql(run: Run, tmp_path: Path, data: Path) -> None:
    with own_redis(tmp_path / "redis") as server:
        printed = run("multi_backend.py", PRAISON_STATE_URL=server.url)
        assert "RedisStateStore: 1 run, state {'user:theme': 'dark', 'step': 1}" in printed
        with redis.Redis.from_url(server.url) as client:
            assert client.exists("praison:runs:hybrid-session")
    assert len(said(data / "hybrid.db", "hybrid-session")) == 2
    with closing(sqlite3.connect(data / "hybrid.db")) as connection:
        assert connection.execute("SELECT count(*) FROM praison_runs").fetchone() == (0,)


def test_hooks_by_hand(run: Run, data: Path) -> None:
    printed = run("async_hooks.py")
    assert "user: Hello, how can you help me? ['at', 'user_id']" in printed
    assert [role for role, _ in said(data / "agent_data.db", "chat_123")] == ["user", "assistant"]


def test_an_agent_that_is_awaited(run: Run) -> None:
    printed = run("async_agent.py")
    assert "Your name is Ada.\n3 runs, 3 completed" in printed


def test_a_whole_turn_by_hooks(run: Run, data: Path) -> None:
    printed = run("async_lifecycle.py")
    assert "data_analyzer({'file': 'data.csv'}) returned {'rows': 1000, 'columns': 5}" in printed
    roles = [role for role, _ in said(data / "lifecycle.db", "session_789")]
    assert roles == ["user", "assistant", "tool", "assistant"]


def test_stores_of_no_base_class(run: Run) -> None:
    printed = run("method_stores.py")
    assert "sync: Hello\nIn this thread: False\nasync: Hello {'tone': 'kind'}\n" in printed
    assert "sync form: Hello again" in printed


def test_contexts_of_both_colours(run: Run, data: Path) -> None:
    assert "['from with', 'from async with', 'closed by hand']" in run("mixed_contexts.py")
    assert len(said(data / "mixed.db", "session")) == 3


def test_backends_of_ones_own(run: Run, data: Path) -> None:
    printed = run("custom_backend.py")
    assert "NotebookStore: ['Hum']\nMemoryStateStore: 2\nnb stands for notebook\n" in printed
    assert "Unknown conversation backend: notbook" in printed
    assert said(data / "notebook-bees.db", "s") == [("user", "Hum")]


def test_a_sql_dialect_of_ones_own(run: Run, data: Path) -> None:
    assert "Schema 1.0.0: ['Hello']" in run("own_sql_dialect.py")
    with closing(sqlite3.connect(data / "mydb.db")) as connection:
        rows = connection.execute("SELECT role, content FROM praison_messages").fetchall()
    assert rows == [("user", "Hello")]


def test_default_registries(run: Run) -> None:
    printed = run("default_registries.py")
    assert "1 registry for 8 threads\nHello Ada\nGoodbye Ada\nThe other kind knows {}" in printed


def test_backends_are_listed(run: Run) -> None:
    printed = run("list_backends.py")
    assert "neon stands for postgres" in printed
    assert "mongodb_atlas stands for mongodb_vector" in printed
    assert "SQLite can be used: True" in printed


def test_settings_from_the_environment(run: Run, postgres_database: str, tmp_path: Path) -> None:
    with own_redis(tmp_path / "redis") as server:
        printed = run("environment.py", DATABASE_URL=postgres_database, REDIS_URL=server.url)
    assert "Your name is User7.\nYour name is User8.\n" in printed
    assert "state in RedisStateStore" in printed
    assert said(postgres_database, "user-8")[0] == ("user", "My name is User8.")


def test_conversations_in_json_files(run: Run, data: Path) -> None:
    printed = run("json_files.py")
    assert "conversations/user-123.jsonl: 5 lines, 3 with Ada\n2 runs in runs.json" in printed
    assert said(f"json:{data / 'conversations'}", "user-123") == TOLD


def test_what_is_old_is_deleted(run: Run, data: Path) -> None:
    assert "Deleted ['old'], kept ['new']" in run("retention.py")
    with db(database_url=f"sqlite:///{data / 'retention.db'}") as store:
        assert [session.session_id for session in store.list_sessions()] == ["new"]


def test_an_agent_answers_while_the_database_is_away(run: Run, data: Path) -> None:
    printed = run("outage.py")
    assert "ok False, True that writes wait\nAll is stored: True\n" in printed
    assert "UnavailableError: postgresql at 127.0.0.1\nIn memory: You said: Hello" in printed
    assert said(data / "outage" / "agent.db", "s") == TOLD[:2]


def test_many_users_over_few_connections(run: Run, postgres_database: str) -> None:
    printed = run("pools.py", PRAISON_CONVERSATION_URL=postgres_database)
    assert "40 messages of 40 users over 5 connections at most\n40 sessions" in printed
    assert said(postgres_database, "pool-39") == [("user", "Hello")]
