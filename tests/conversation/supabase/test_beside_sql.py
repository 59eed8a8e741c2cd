"""The REST store and the SQL store on the same tables, at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from praison_persist.conversation.supabase import SupabaseConversationStore
from praison_persist.errors import ConflictError, UnsupportedError
from praison_persist.models import Run, Trace
from praison_persist.protocols import ConversationStore
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.testing.contract import message, race, session
from tests.programs import environment, python
from tests.servers import administer
from tests.services.supabase import KEY, Supabase

HARD: dict[str, Any] = {
    "nul": "a\x00b",
    "lone": "\ud800",
    "order": {"z": 1, "a": 2},
    "numbers": [1.0, 1, 10**30, 0.1, -0.0, 1e300],
    "quotes": "\\\"'$1 %s",
}
TEXTS = ["", "\x00", "\x01json:", "\ud83d", "😀\\u0000", '{"a": "\\u0000"}']


@pytest.fixture
def rest(supabase: Supabase) -> Iterator[SupabaseConversationStore]:
    with SupabaseConversationStore(supabase.url, KEY) as store:
        yield store


@pytest.fixture
def sql(database: str) -> Iterator[SQLConversationStore]:
    with SQLConversationStore(database) as store:
        yield store


@pytest.fixture(params=["written over REST", "written over SQL"])
def pair(
    request: pytest.FixtureRequest, rest: SupabaseConversationStore, sql: SQLConversationStore
) -> tuple[ConversationStore, ConversationStore]:
    """Who writes and who reads."""
    return (rest, sql) if request.param == "written over REST" else (sql, rest)


def test_each_reads_what_the_other_wrote(
    pair: tuple[ConversationStore, ConversationStore],
) -> None:
    writer, reader = pair
    given = session(user_id="u", agent_id="", name="\x00", state=HARD, metadata={})
    created = writer.create_session(given)
    added = writer.add_messages(
        "s",
        [
            message(text, id=str(number), metadata=HARD, tool_calls=[HARD], created_at=0.1 + number)
            for number, text in enumerate(TEXTS)
        ]
        + [message(None, id="none", created_at=1700000000)],
    )
    found = reader.get_session("s")
    assert found is not None
    assert (found.state, found.name) == (created.state, created.name) == (HARD, "\x00")
    assert list(found.state or {}) == list(HARD)
    assert reader.get_messages("s") == added
    assert all(type(each.created_at) is float for each in reader.get_messages("s"))
    assert reader.list_sessions("u") == writer.list_sessions("u")
    assert reader.dump_session("s") is not None
    assert [page.id for page in reader.page_messages("s", limit=2).messages] == ["0", "1"]


def test_each_recognises_a_write_of_the_other(
    pair: tuple[ConversationStore, ConversationStore],
) -> None:
    first, second = pair
    first.create_session(session())
    given = message("text", id="m", metadata=HARD)
    stored = first.add_message("s", given)
    assert second.add_message("s", message("text", id="m", metadata=HARD)) == stored
    with pytest.raises(ConflictError, match="content"):
        second.add_messages("s", [message("new", id="n"), message("another", id="m")])
    assert [each.id for each in second.get_messages("s")] == ["m"]
    assert second.add_messages("s", [message("new", id="n"), given, message(id="o")])[0].seq == 2
    assert [each.id for each in first.get_messages("s")] == ["m", "n", "o"]


def test_both_number_one_session(
    rest: SupabaseConversationStore, sql: SQLConversationStore
) -> None:
    rest.create_session(session())
    stores = (rest, sql)

    def write(index: int) -> list[int | None]:
        return [stores[index % 2].add_message("s", message(str(n))).seq for n in range(8)]

    told = race(4, write)
    assert sorted(seq or 0 for seqs in told for seq in seqs) == list(range(1, 33))
    assert all(seqs == sorted(seqs, key=lambda seq: seq or 0) for seqs in told)
    assert rest.get_messages("s") == sql.get_messages("s")


def test_two_processes_lose_nothing(
    supabase: Supabase, rest: SupabaseConversationStore, tmp_path: Path
) -> None:
    rest.create_session(session())
    program = """
import sys
from praison_persist.conversation.supabase import SupabaseConversationStore
from praison_persist.testing.contract import message, race

def write(thread):
    for number in range(9):
        store.add_message("s", message(id=f"{sys.argv[3]}/{thread}/{number}"))

with SupabaseConversationStore(*sys.argv[1:3]) as store:
    race(3, write)
"""
    variables = environment(tmp_path)
    ended = race(
        2,
        lambda process: python(
            "-c", program, supabase.url, KEY, str(process), cwd=tmp_path, variables=variables
        ),
    )
    assert [process.stderr for process in ended] == ["", ""]
    found = rest.get_messages("s")
    assert {each.id for each in found} == {
        f"{process}/{thread}/{n}" for process in range(2) for thread in range(3) for n in range(9)
    }
    assert [each.seq for each in found] == list(range(1, 55))


def test_more_rows_than_the_api_would_return(
    rest: SupabaseConversationStore, database: str
) -> None:
    """PostgREST cuts off rows at its max-rows, and says nothing."""
    rest.create_session(session())
    rest.add_messages("s", [message(str(number)) for number in range(1500)])
    administer(
        database,
        "INSERT INTO praison_sessions (session_id, created_at, updated_at) "
        "SELECT 'more/' || n, 0, 0 FROM generate_series(1, 1100) AS n",
    )
    assert [each.content for each in rest.get_messages("s")] == [str(n) for n in range(1500)]
    assert len(rest.list_sessions(limit=None)) == 1101
    assert rest.delete_messages("s") == 1500


def test_a_session_is_deleted_with_what_was_done_in_it(
    rest: SupabaseConversationStore, sql: SQLConversationStore
) -> None:
    rest.create_session(session())
    sql.runs.start_run(Run(run_id="r", session_id="s"))
    sql.runs.start_trace(Trace(trace_id="t", session_id="s"))
    with pytest.raises(UnsupportedError, match="SQL store"):
        rest.dump_session("s")
    assert rest.delete_session("s")
    assert sql.runs.get_runs("s") == []
    assert sql.runs.get_traces("s") == []


@pytest.fixture
def shown(database: str) -> Iterator[str]:
    """The project after the revision that lets sessions show messages of others."""
    column = administer(
        database,
        "SELECT 1 FROM pg_attribute WHERE attrelid = 'praison_sessions'::regclass "
        "AND attname = 'view_seq'",
    )
    if not column:
        administer(
            database,
            "ALTER TABLE praison_sessions ADD COLUMN view_seq bigint",
            "CREATE TABLE praison_ranges (session_id text, at_seq bigint, first_seq bigint, "
            "source_id text, created_at double precision)",
            "GRANT ALL ON praison_ranges TO service_role",
        )
    yield database
    if not column:
        administer(
            database,
            "ALTER TABLE praison_sessions DROP COLUMN view_seq",
            "DROP TABLE praison_ranges",
        )


class TestViews:
    def test_a_session_with_a_view_is_refused_whole(
        self, shown: str, rest: SupabaseConversationStore
    ) -> None:
        rest.create_session(session())
        rest.add_message("s", message(id="m"))
        dump = rest.dump_session("s")
        assert dump is not None
        administer(shown, "UPDATE praison_sessions SET view_seq = 1")
        calls: list[Callable[[], object]] = [
            lambda: rest.get_messages("s"),
            lambda: rest.page_messages("s", backward=True),
            lambda: rest.count("s"),
            lambda: rest.add_message("s", message()),
            lambda: rest.delete_messages("s"),
            lambda: rest.delete_messages("s", ["m"]),
            lambda: rest.delete_session("s"),
            lambda: rest.dump_session("s"),
            lambda: rest.load_session(dump),
        ]
        for call in calls:
            with pytest.raises(UnsupportedError, match="postgresql:// URL"):
                call()
        assert rest.get_session("s") is not None
        assert [each.session_id for each in rest.list_sessions()] == ["s"]
        administer(shown, "UPDATE praison_sessions SET view_seq = NULL")
        assert [each.id for each in rest.get_messages("s")] == ["m"]

    def test_messages_that_a_fork_shows_are_not_deleted(
        self, shown: str, rest: SupabaseConversationStore
    ) -> None:
        for name in ("parent", "child"):
            rest.create_session(session(name))
        rest.add_message("parent", message(id="m"))
        administer(
            shown,
            "INSERT INTO praison_ranges (session_id, at_seq, first_seq, source_id, created_at) "
            "VALUES ('child', 0, 1, 'parent', 0)",
        )
        with pytest.raises(UnsupportedError, match="postgresql:// URL"):
            rest.delete_messages("parent")
        with pytest.raises(UnsupportedError, match="postgresql:// URL"):
            rest.delete_session("parent")
        rest.add_message("parent", message(id="n"))
        assert [each.id for each in rest.get_messages("parent")] == ["m", "n"]
        administer(shown, "DELETE FROM praison_ranges")
        assert rest.delete_messages("parent", ["m"]) == 1


def test_what_was_written_over_rest_is_found(
    rest: SupabaseConversationStore, sql: SQLConversationStore
) -> None:
    """The index is kept by whoever writes, with the rights and settings it has."""
    sql.create_search_index()
    try:
        rest.create_session(session())
        rest.add_message("s", message("a needle in the hay", id="m"))
        assert [hit.message.id for hit in sql.search_messages("needle")] == ["m"]
    finally:
        sql.drop_search_index()
