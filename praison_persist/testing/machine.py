"""Any sequence of calls, made on a store and on the reference: both have to answer the same."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from operator import methodcaller
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from praison_persist.errors import PersistError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing.reference import ReferenceConversationStore

__all__ = ["ConversationMachine", "agrees_with_reference"]

# Few, so that calls meet; each a neighbour of another.
_SESSION_IDS = st.sampled_from(["a", "A", "a ", "á", "a|b", "😀"])
_MESSAGE_IDS = st.sampled_from(["m", "M", "m ", "m'", "n1", "n2", "n3", "n4"])
_PEOPLE = st.sampled_from([None, "", "u", "U"])
_CHARACTERS = st.characters() | st.sampled_from("\x00\ud800\x01'\"\\%")
_TEXT = st.text(_CHARACTERS, max_size=20) | st.just("\x01json:")
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_DOCUMENTS = st.none() | st.dictionaries(_TEXT, _JSON, max_size=3)
_TIMES = st.integers(-5, 5).map(float) | st.floats(
    -1e10, 1e10, allow_nan=False, allow_subnormal=False
).map(lambda instant: instant + 0.0)  # -0.0 is the same instant as 0.0, and databases may say so
_LIMITS = st.none() | st.integers(0, 6)
_QUERIES = st.sampled_from(["x", "Y", "json", "x y", "'x'", "%", "\x00"])
_MESSAGES = st.builds(
    ConversationMessage,
    id=_MESSAGE_IDS,
    role=st.sampled_from(["user", "assistant", "tool", ""]),
    content=st.none() | st.sampled_from(["", "x", "y", "X, y.", "xy"]) | _TEXT,
    tool_calls=st.none() | st.lists(_JSON, max_size=2),
    tool_call_id=_PEOPLE,
    metadata=_DOCUMENTS,
    created_at=_TIMES,
    run_id=_PEOPLE,
)
_SESSIONS = st.builds(
    ConversationSession,
    session_id=_SESSION_IDS,
    user_id=_PEOPLE,
    agent_id=_PEOPLE,
    name=st.none() | _TEXT,
    state=_DOCUMENTS,
    metadata=_DOCUMENTS,
    created_at=_TIMES,
    updated_at=_TIMES,
)


def _copied(message: ConversationMessage) -> ConversationMessage:
    return replace(message)


class ConversationMachine(RuleBasedStateMachine):
    """Calls one method a step, on the store that `open_store` returns, without sessions."""

    def __init__(self, open_store: Callable[[], ConversationStore]) -> None:
        super().__init__()
        self.store = open_store()
        self.reference = ReferenceConversationStore()
        self.dumps: dict[str, dict[str, Any]] = {}

    def agree(self, call: Callable[[ConversationStore], Any]) -> None:
        """Make a call on both; compare what they return or the kind of their error."""
        expected, found = _outcome(call, self.reference), _outcome(call, self.store)
        assert found == expected, f"{found!r} instead of {expected!r}"

    def can(self, capability: Capability) -> bool:
        """Whether the store under test declares the capability."""
        return capability in self.store.capabilities

    @initialize(session=_SESSIONS)
    def begin(self, session: ConversationSession) -> None:
        """Have one session, so that the first steps do something."""
        self.agree(lambda store: store.create_session(session))

    @rule(session=_SESSIONS, how=st.sampled_from(["create", "ensure", "upsert", "update"]))
    def write_session(self, session: ConversationSession, how: str) -> None:
        """Create, ensure, upsert or update."""
        self.agree(lambda store: getattr(store, f"{how}_session")(session))

    @precondition(lambda self: self.can(Capability.EXPECTED_VERSION))
    @rule(session=_SESSIONS, version=st.integers(1, 4))
    def update_version(self, session: ConversationSession, version: int) -> None:
        """Update a version that may be there."""
        self.agree(lambda store: store.update_session(session, expected_version=version))

    @rule(session_id=_SESSION_IDS)
    def delete_session(self, session_id: str) -> None:
        """Delete a session."""
        self.agree(lambda store: store.delete_session(session_id))

    @rule(session_id=_SESSION_IDS, message=_MESSAGES)
    def add_message(self, session_id: str, message: ConversationMessage) -> None:
        """Append; the id may be known, with the same or other content."""
        self.agree(lambda store: store.add_message(session_id, _copied(message)))

    @rule(session_id=_SESSION_IDS, index=st.integers(0, 7), later=_TIMES)
    def repeat_message(self, session_id: str, index: int, later: float) -> None:
        """Append what is there, as a retry does."""
        stored = self.reference.get_messages(session_id)
        if stored:
            again = replace(stored[index % len(stored)], created_at=later, seq=None)
            self.agree(lambda store: store.add_message(session_id, _copied(again)))

    @precondition(lambda self: self.can(Capability.BATCH))
    @rule(session_id=_SESSION_IDS, messages=st.lists(_MESSAGES, max_size=6))
    def add_messages(self, session_id: str, messages: list[ConversationMessage]) -> None:
        """Append a batch; ids may be known or repeated."""
        self.agree(lambda store: store.add_messages(session_id, [_copied(m) for m in messages]))

    @rule(
        session_id=_SESSION_IDS,
        ids=st.none() | st.lists(_MESSAGE_IDS, max_size=4),
    )
    def delete_messages(self, session_id: str, ids: list[str] | None) -> None:
        """Delete some messages, or all."""
        self.agree(lambda store: store.delete_messages(session_id, ids))

    @rule(
        session_id=_SESSION_IDS,
        limit=_LIMITS,
        before=st.none() | _TIMES,
        after=st.none() | _TIMES,
    )
    def get_messages(
        self, session_id: str, limit: int | None, before: float | None, after: float | None
    ) -> None:
        """Read some messages."""
        self.agree(lambda store: store.get_messages(session_id, limit, before, after))
        self.agree(lambda store: store.count(session_id))

    @rule(user_id=_PEOPLE, agent_id=_PEOPLE, limit=_LIMITS, offset=st.integers(0, 3))
    def list_sessions(
        self, user_id: str | None, agent_id: str | None, limit: int | None, offset: int
    ) -> None:
        """List some sessions."""
        self.agree(lambda store: store.list_sessions(user_id, agent_id, limit or 3, offset))

    @precondition(lambda self: self.can(Capability.CURSORS))
    @rule(session_id=_SESSION_IDS, limit=st.integers(1, 4), backward=st.booleans())
    def page_messages(self, session_id: str, limit: int, backward: bool) -> None:
        """Read all pages of a session."""

        def pages(store: ConversationStore) -> list[list[ConversationMessage]]:
            found, cursor = [], None
            while True:
                page = store.page_messages(
                    session_id, limit=limit, cursor=cursor, backward=backward
                )
                found.append(page.messages)
                cursor = page.next_cursor
                if cursor is None:
                    return found

        self.agree(pages)

    @precondition(lambda self: self.can(Capability.CURSORS))
    @rule(user_id=_PEOPLE, limit=st.integers(1, 3))
    def page_sessions(self, user_id: str | None, limit: int) -> None:
        """Read all pages of sessions."""

        def pages(store: ConversationStore) -> list[list[ConversationSession]]:
            found, cursor = [], None
            while True:
                page = store.page_sessions(user_id, limit=limit, cursor=cursor)
                found.append(page.sessions)
                cursor = page.next_cursor
                if cursor is None:
                    return found

        self.agree(pages)

    @precondition(lambda self: self.can(Capability.SEARCH))
    @rule(query=_QUERIES, session_id=st.none() | _SESSION_IDS, user_id=_PEOPLE)
    def search(self, query: str, session_id: str | None, user_id: str | None) -> None:
        """Search; the order of what is found is each store's own."""

        def found(store: ConversationStore) -> list[tuple[str, int, str]]:
            hits = store.search_messages(
                query, session_id=session_id, user_id=user_id, limit=10_000
            )
            return sorted((hit.session_id, hit.seq, repr(hit.message)) for hit in hits)

        self.agree(found)

    @precondition(lambda self: self.can(Capability.DUMP))
    @rule(session_id=_SESSION_IDS, ours=st.booleans())
    def dump(self, session_id: str, ours: bool) -> None:
        """Keep a dump, of either store, to be loaded later."""
        dumps = [store.dump_session(session_id) for store in (self.reference, self.store)]
        assert (dumps[0] is None) == (dumps[1] is None)
        dump = dumps[ours]
        if dump is not None:
            self.dumps[session_id] = dump

    @precondition(lambda self: self.dumps)
    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        """Load an earlier dump; the session may be gone, or have gone on."""
        dump = self.dumps[data.draw(st.sampled_from(sorted(self.dumps)))]
        self.agree(lambda store: store.load_session(deepcopy(dump)))

    @invariant()
    def hold_the_same(self) -> None:
        """Hold the same sessions in the same order, with the same messages."""
        sessions = self.reference.list_sessions(limit=None)
        self.agree(lambda store: store.list_sessions(limit=1_000))
        for session in sessions:
            self.agree(methodcaller("get_messages", session.session_id))

    def teardown(self) -> None:
        """Leave no session behind."""
        for session in self.reference.list_sessions(limit=None):
            assert self.store.delete_session(session.session_id)
        assert self.store.list_sessions() == []


def _outcome(call: Callable[[ConversationStore], Any], store: ConversationStore) -> Any:
    try:
        return _comparable(call(store))
    except PersistError as error:
        return type(error).__name__


def _comparable(value: Any) -> Any:
    """Return `value` without what the two clocks tell, and with 1, 1.0 and True told apart."""
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, ConversationSession):
        return repr(replace(value, updated_at=0.0))
    if isinstance(value, ConversationMessage):
        return repr(value)
    return value


def agrees_with_reference(
    open_store: Callable[[], ConversationStore], *, examples: int = 10, steps: int = 25
) -> None:
    """Make `examples` sequences of up to `steps` calls on a store and on the reference.

    Args:
        open_store: returns the store, without sessions; called for each sequence. It is not closed.
        examples: how many sequences.
        steps: calls in each.
    """

    class Machine(ConversationMachine):
        def __init__(self) -> None:
            super().__init__(open_store)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[*HealthCheck],  # pyright: ignore[reportArgumentType]  # an Enum is iterable
        ),
    )
