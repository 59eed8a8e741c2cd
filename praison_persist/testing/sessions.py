"""The contract of sessions: created once, replaced as a whole, deleted with all they hold."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from praison_persist.errors import ConflictError, NotFoundError, UnsupportedError
from praison_persist.models import ConversationSession
from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing.contract import (
    StoreContract,
    message,
    needs,
    race,
    refused,
    session,
    trying,
)

__all__ = ["DIFFERING_IDS", "IMPOSSIBLE_IDS", "SessionContract"]

# Each pair of these is one and the same to some collation, file system, URL or padding rule.
DIFFERING_IDS = (
    "Alice",
    "alice",
    "alice ",
    " alice",
    "alicé",
    "alice\u0301",
    "\uff41\uff4c\uff49\uff43\uff45",  # full width
    "a/b",
    "a_b",
    "a:b",
    "a\\b",
    "a%2Fb",
    "..",
    "a'b",
    'a"b',
    "a;--",
    "a\tb",
    "a\nb",
    "İ",
    "i",
    "ß",
    "ss",
    "0",
    "00",
    "👩‍👩‍👧",
    "👩",
    "x" * 255,
    "x" * 254,
    "é" * 255,
    "😀" * 255,
)
IMPOSSIBLE_IDS: tuple[Any, ...] = ("", "x" * 256, "a\x00b", "\ud800", None, 5, b"a")

_METHODS: dict[str, Callable[[ConversationStore, Any], object]] = {
    "create_session": lambda store, key: store.create_session(session(key)),
    "ensure_session": lambda store, key: store.ensure_session(session(key)),
    "upsert_session": lambda store, key: store.upsert_session(session(key)),
    "update_session": lambda store, key: store.update_session(session(key)),
    "get_session": lambda store, key: store.get_session(key),
    "delete_session": lambda store, key: store.delete_session(key),
    "add_message": lambda store, key: store.add_message(key, message()),
    "add_messages": lambda store, key: store.add_messages(key, [message()]),
    "get_messages": lambda store, key: store.get_messages(key),
    "page_messages": lambda store, key: store.page_messages(key),
    "delete_messages": lambda store, key: store.delete_messages(key),
    "count": lambda store, key: store.count(key),
    "dump_session": lambda store, key: store.dump_session(key),
}


def _ids(sessions: list[ConversationSession]) -> list[str]:
    return [found.session_id for found in sessions]


class SessionContract(StoreContract):
    """Sessions."""

    def test_a_session_comes_back_as_it_was_created(self, store: ConversationStore) -> None:
        """A field that is dropped or defaulted on the way is lost silently."""
        given = session(
            user_id="u",
            agent_id="a",
            name="n",
            state={"step": 1},
            metadata={"k": [1, None]},
            created_at=1.25,
            updated_at=2.5,
        )
        stored = store.create_session(given)
        assert stored.version == 1
        assert stored == store.get_session("s")
        given.version = 1
        assert stored == given

    def test_creating_an_id_again_is_refused_and_keeps_the_first(
        self, store: ConversationStore
    ) -> None:
        """The second start of a program wipes the conversation of the first."""
        first = store.create_session(session(name="first"))
        store.add_message("s", message("kept"))
        with pytest.raises(ConflictError, match="'s'"):
            store.create_session(session(name="second"))
        found = store.get_session("s")
        assert found is not None
        assert (found.name, found.created_at) == ("first", first.created_at)
        assert [m.content for m in store.get_messages("s")] == ["kept"]

    def test_ids_that_differ_are_different_sessions(self, store: ConversationStore) -> None:
        """One user reads the conversation of another: collations, padding, sanitised file names."""
        for index, key in enumerate(DIFFERING_IDS):
            store.create_session(session(key, user_id=key, name=str(index)))
            store.add_message(key, message(str(index), id=key))
        for index, key in enumerate(DIFFERING_IDS):
            found = store.get_session(key)
            assert found is not None
            assert (found.session_id, found.user_id, found.name) == (key, key, str(index))
            assert [(m.id, m.content) for m in store.get_messages(key)] == [(key, str(index))]
            assert _ids(store.list_sessions(user_id=key)) == [key]
        assert sorted(_ids(store.list_sessions(limit=None))) == sorted(DIFFERING_IDS)

    def test_message_ids_that_differ_are_different_messages(self, store: ConversationStore) -> None:
        """A message is taken for the repetition of another and dropped."""
        store.create_session(session())
        for key in DIFFERING_IDS:
            store.add_message("s", message(key, id=key, tool_call_id=key, run_id=key))
        found = store.get_messages("s")
        for name in ("id", "content", "tool_call_id", "run_id"):
            assert [getattr(m, name) for m in found] == list(DIFFERING_IDS)
        assert store.delete_messages("s", ["alice"]) == 1
        assert store.count("s") == len(DIFFERING_IDS) - 1

    def test_an_impossible_id_is_refused_by_every_method(self, store: ConversationStore) -> None:
        """It is cut to fit, or compared as a number, and meets the session of another."""
        store.create_session(session("x" * 255))
        store.create_session(session("5"))
        before = store.list_sessions()
        for name, method in _METHODS.items():
            with trying(name):
                with contextlib.suppress(UnsupportedError):
                    refused(IMPOSSIBLE_IDS, functools.partial(method, store), "session_id")
                assert store.list_sessions() == before
                assert [store.count(s.session_id) for s in before] == [0, 0]

    @pytest.mark.parametrize("field", ["user_id", "agent_id"])
    def test_an_impossible_user_or_agent_is_refused(
        self, store: ConversationStore, field: str
    ) -> None:
        """A filter that is cut or converted shows the sessions of others."""
        keys: tuple[Any, ...] = ("x" * 256, "a\x00", "\udfff", 5)
        refused(keys, lambda key: store.create_session(session(**{field: key})), field)
        refused(keys, lambda key: store.list_sessions(**{field: key}), field)
        assert store.list_sessions() == []

    def test_an_unknown_session_is_answered_not_created(self, store: ConversationStore) -> None:
        """A mistyped id creates a session, or raises what the next method does not."""
        store.create_session(session("other"))
        for write in ("update_session", "add_message", "add_messages"):
            with (
                contextlib.suppress(UnsupportedError),
                pytest.raises(NotFoundError, match="'unknown'"),
            ):
                _METHODS[write](store, "unknown")
        assert store.get_session("unknown") is None
        assert store.get_messages("unknown") == []
        assert store.count("unknown") == 0
        assert store.delete_messages("unknown") == 0
        assert store.delete_messages("unknown", ["m"]) == 0
        assert store.delete_session("unknown") is False
        if Capability.CURSORS in store.capabilities:
            page = store.page_messages("unknown")
            assert (page.messages, page.next_cursor) == ([], None)
        if Capability.DUMP in store.capabilities:
            assert store.dump_session("unknown") is None
        assert _ids(store.list_sessions()) == ["other"]

    def test_ensure_creates_once_and_then_returns_what_is_stored(
        self, store: ConversationStore
    ) -> None:
        """A resumed session is overwritten by the defaults of the program that resumes it."""
        created = store.ensure_session(session(name="first", state={"n": 1}))
        again = store.ensure_session(session(name="second", state=None))
        assert created == again == store.get_session("s")
        assert again.name == "first"

    def test_ensure_raced_by_sixteen_threads_gives_one_session(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """Look, then create: the losers of the race get an error and start without history."""
        stores = (store, second)
        for round_ in range(3):
            key = f"s{round_}"

            def ensure(index: int, key: str = key) -> ConversationSession:
                return stores[index % 2].ensure_session(session(key, name=str(index)))

            found = race(16, ensure)
            assert len({(s.session_id, s.name, s.created_at) for s in found}) == 1
        assert len(store.list_sessions()) == 3

    def test_upsert_creates_and_then_replaces(self, store: ConversationStore) -> None:
        """An upsert that only ever creates keeps stale state."""
        created = store.upsert_session(session(name="first", created_at=1.0))
        replaced = store.upsert_session(session(name="second", created_at=2.0))
        assert (created.name, replaced.name) == ("first", "second")
        assert replaced.created_at == 1.0
        assert store.get_session("s") == replaced

    def test_raced_upserts_end_with_one_of_them(self, store: ConversationStore) -> None:
        """The loser of the race to create is told that its fields are stored, and they are not."""
        stored = race(8, lambda index: store.upsert_session(session(name=str(index))))
        assert [s.name for s in stored] == [str(index) for index in range(8)]
        found = store.get_session("s")
        assert found is not None
        assert found.version == 8

    def test_update_replaces_every_field_but_created_at(self, store: ConversationStore) -> None:
        """A field that an update cannot clear, or one that it forgets, keeps stale data."""
        store.create_session(
            session(user_id="u", agent_id="a", name="n", state={"a": 1}, metadata={"b": 2})
        )
        before = store.get_session("s")
        assert before is not None
        changed = session(user_id="v", agent_id="b", name="m", state={}, metadata={"c": []})
        changed.created_at = 5.0
        stored = store.update_session(changed)
        assert stored == store.get_session("s")
        assert stored.created_at == before.created_at
        assert stored.updated_at >= before.updated_at
        assert stored.version == (before.version or 0) + 1
        for name in ("user_id", "agent_id", "name", "state", "metadata"):
            assert getattr(stored, name) == getattr(changed, name)
        cleared = store.update_session(session())
        fields = ("user_id", "agent_id", "name", "state", "metadata")
        assert [getattr(cleared, name) for name in fields] == [None] * 5

    def test_update_of_an_unknown_session_is_refused(self, store: ConversationStore) -> None:
        """State is saved into nothing."""
        with pytest.raises(NotFoundError):
            store.update_session(session())
        assert store.get_session("s") is None

    def test_an_update_keeps_the_messages(self, store: ConversationStore) -> None:
        """Replacing the row of a session may cascade to what refers to it."""
        store.create_session(session())
        store.add_message("s", message("kept"))
        store.update_session(session(name="new"))
        store.upsert_session(session(name="newer"))
        assert [m.content for m in store.get_messages("s")] == ["kept"]

    def test_a_clock_that_steps_back_does_not_age_a_session(self, store: ConversationStore) -> None:
        """After a correction of the clock, the latest session is listed last."""
        future = 4e9
        store.create_session(session(updated_at=future))
        assert store.update_session(session()).updated_at == future
        store.add_message("s", message())
        found = store.get_session("s")
        assert found is not None
        assert found.updated_at == future

    @needs(Capability.EXPECTED_VERSION)
    def test_an_update_of_a_version_that_is_gone_is_refused(self, store: ConversationStore) -> None:
        """Two writers read, both write back, and what the first changed is lost."""
        read = store.create_session(session(state={"n": 0}))
        stored = store.update_session(session(state={"n": 1}), expected_version=read.version)
        with pytest.raises(ConflictError, match="version"):
            store.update_session(session(state={"n": 2}), expected_version=read.version)
        assert store.get_session("s") == stored
        with pytest.raises(NotFoundError):
            store.update_session(session("unknown"), expected_version=1)

    @needs(Capability.EXPECTED_VERSION)
    def test_of_racing_updates_of_one_version_one_wins(self, store: ConversationStore) -> None:
        """A version that is checked before the write, not with it, lets two writers through."""
        version = store.create_session(session()).version

        def update(index: int) -> bool:
            try:
                store.update_session(session(name=str(index)), expected_version=version)
            except ConflictError:
                return False
            return True

        assert sum(race(8, update)) == 1

    @needs(Capability.EXPECTED_VERSION)
    def test_an_impossible_expected_version_is_refused(self, store: ConversationStore) -> None:
        """It overflows the driver, or matches by conversion."""
        store.create_session(session())
        refused(
            (0, -1, True, "1", 1.0, 2**70),
            lambda version: store.update_session(session(), expected_version=version),
            "expected_version",
        )

    def test_delete_takes_all_messages_and_leaves_other_sessions(
        self, store: ConversationStore
    ) -> None:
        """Rows that survive their session come back when its id is used again."""
        for key in ("s", "s2"):
            store.create_session(session(key))
            for index in range(3):
                store.add_message(key, message(str(index)))
        assert store.delete_session("s") is True
        assert store.delete_session("s") is False
        assert store.get_session("s") is None
        assert store.get_messages("s") == []
        assert store.count("s2") == 3

    def test_a_session_created_anew_after_its_deletion_is_empty(
        self, store: ConversationStore
    ) -> None:
        """A deleted conversation reappears, or goes on counting where it ended."""
        store.create_session(session(name="old", state={"a": 1}))
        store.add_message("s", message("old", id="m"))
        store.delete_session("s")
        created = store.create_session(session())
        assert (created.name, created.state, created.version) == (None, None, 1)
        assert store.get_messages("s") == []
        assert store.add_message("s", message("new", id="m")).seq == 1

    def test_sessions_are_listed_last_written_first(self, store: ConversationStore) -> None:
        """The most recent session is not the one that was used most recently."""
        for index in range(4):
            store.create_session(session(f"s{index}", created_at=index, updated_at=index))
        assert _ids(store.list_sessions()) == ["s3", "s2", "s1", "s0"]
        store.add_message("s1", message())
        store.update_session(session("s0"))
        assert _ids(store.list_sessions()) == ["s0", "s1", "s3", "s2"]

    def test_list_filters_by_user_and_agent(self, store: ConversationStore) -> None:
        """A filter that is dropped shows one user the sessions of all."""
        users, agents = ("u", "v", "", None), ("a", "", None)
        for user, agent in itertools.product(users, agents):
            store.create_session(session(f"{user}/{agent}", user_id=user, agent_id=agent))
        assert len(store.list_sessions()) == 12
        assert {s.user_id for s in store.list_sessions(user_id="u")} == {"u"}
        assert len(store.list_sessions(user_id="u")) == 3
        assert len(store.list_sessions(agent_id="a")) == 4
        assert _ids(store.list_sessions(user_id="v", agent_id="a")) == ["v/a"]
        assert store.list_sessions(user_id="nobody") == []
        for pattern in ("%", "_", "*", "u'", "' OR ''='"):
            assert store.list_sessions(user_id=pattern) == []

    def test_an_empty_user_is_not_all_users(self, store: ConversationStore) -> None:
        """An application whose user is not signed in lists everybody's sessions."""
        store.create_session(session("empty", user_id=""))
        store.create_session(session("none", user_id=None))
        store.create_session(session("u", user_id="u"))
        assert _ids(store.list_sessions(user_id="")) == ["empty"]

    def test_list_limit_and_offset(self, store: ConversationStore) -> None:
        """A limit of 0 is no limit; a negative one is the database's own idea."""
        for index in range(5):
            store.create_session(session(f"s{index}", updated_at=index))
        assert store.list_sessions(limit=0) == []
        assert _ids(store.list_sessions(limit=2)) == ["s4", "s3"]
        assert _ids(store.list_sessions(limit=2, offset=4)) == ["s0"]
        assert _ids(store.list_sessions(limit=None, offset=3)) == ["s1", "s0"]
        assert store.list_sessions(offset=5) == []
        assert len(store.list_sessions(limit=2**40)) == 5
        wrong = (-1, True, 1.5, "2", 2**64)
        refused(wrong, lambda limit: store.list_sessions(limit=limit), "limit")
        refused((None, *wrong), lambda offset: store.list_sessions(offset=offset), "offset")

    def test_sessions_written_at_the_same_time_have_one_order(
        self, store: ConversationStore
    ) -> None:
        """Pages by offset repeat one of two equal sessions and hide the other."""
        keys = [f"s{index}" for index in range(10)]
        for key in keys:
            store.create_session(session(key, updated_at=1.0))
        listed = _ids(store.list_sessions())
        assert sorted(listed) == sorted(keys)
        paged = [_ids(store.list_sessions(limit=3, offset=offset)) for offset in (0, 3, 6, 9)]
        assert list(itertools.chain(*paged)) == listed

    def test_a_session_that_is_read_is_a_copy(self, store: ConversationStore) -> None:
        """A caller that changes what it read, or what it gave, changes what is stored."""
        given = session(state={"list": [1]}, metadata={"a": {}})
        created = store.create_session(given)
        for value in (given, created, store.get_session("s"), store.list_sessions()[0]):
            assert value is not None
            assert value.state is not None
            assert value.metadata is not None
            value.state["list"].append(2)
            value.metadata["a"]["b"] = 1
        found = store.get_session("s")
        assert found is not None
        assert (found.state, found.metadata) == ({"list": [1]}, {"a": {}})

    def test_what_is_not_declared_is_refused(self, store: ConversationStore) -> None:
        """A capability that is missing is ignored, or half there."""
        store.create_session(session())
        calls: dict[Capability, Callable[[], object]] = {
            Capability.BATCH: lambda: store.add_messages("s", [message()]),
            Capability.CURSORS: lambda: (store.page_messages("s"), store.page_sessions()),
            Capability.EXPECTED_VERSION: lambda: store.update_session(
                session(), expected_version=1
            ),
            Capability.DUMP: lambda: store.dump_session("s"),
            Capability.SEARCH: lambda: store.search_messages("word"),
        }
        assert set(calls) == set(Capability)
        for capability, call in calls.items():
            if capability in store.capabilities:
                call()
            else:
                with pytest.raises(UnsupportedError, match=capability.name):
                    call()
