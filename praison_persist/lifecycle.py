"""What each event of an agent stores: one flow an event, for stores of either colour."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from praison_persist import owners, transcript
from praison_persist._checks import check_id
from praison_persist._flow import Flow, wait
from praison_persist.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    UnsupportedError,
)
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    Run,
    ToolCall,
    Trace,
)
from praison_persist.protocols import (
    AsyncConversationStore,
    AsyncRunStore,
    AsyncStateStore,
    Capability,
    ConversationStore,
    RunStore,
    StateStore,
)
from praison_persist.state.keys import state_key

__all__ = ["History", "Stores", "agent_start", "append", "prompt_text"]

_PAGE = 200  # messages that a resume reads at a time, at most
_PAGE_MIN = 20
_UPDATE_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one colour.

    Attributes:
        state: of sessions, users and the app.
        apart: runs, traces and what is known of agents are kept in `state`, not together with the
            conversation.
    """

    conversation: ConversationStore | AsyncConversationStore
    runs: RunStore | AsyncRunStore | None
    state: StateStore | AsyncStateStore | None = None
    apart: bool = False


def state_of(stores: Stores) -> StateStore | AsyncStateStore:
    """Return the state store.

    Raises:
        UnsupportedError: there is none.
    """
    if stores.state is None:
        raise UnsupportedError(
            f"{type(stores.conversation).__name__} keeps no state; pass state_url="
        )
    return stores.state


@dataclass(frozen=True, slots=True)
class History:
    """How much of a session a resume hands to the model.

    Attributes:
        limit: messages at most; None is no limit.
        token_limit: tokens at most, as `count_tokens` counts them; None is no limit.
    """

    limit: int | None = 200
    token_limit: int | None = None
    count_tokens: Callable[[ConversationMessage], int] = field(default=transcript.tokens)

    def __post_init__(self) -> None:
        for name, value in (("history_limit", self.limit), ("history_tokens", self.token_limit)):
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or value < 0
            ):
                raise ConfigurationError(
                    f"{name}={value!r} must be a number of at least 0, or None"
                )

    @property
    def is_unlimited(self) -> bool:
        """Whether all of a session is handed over."""
        return self.limit is None and self.token_limit is None

    def is_exceeded_by(self, messages: Sequence[ConversationMessage]) -> bool:
        """Whether these are more messages, or tokens, than are handed over."""
        if self.limit is not None and len(messages) > self.limit:
            return True
        if self.token_limit is None:
            return False
        return sum(self.count_tokens(message) for message in messages) > self.token_limit


def agent_start(
    stores: Stores, session: ConversationSession, history: History
) -> Flow[list[ConversationMessage]]:
    """Resume the session, or create it. Return what the model is to be handed, oldest first."""
    yield from begin(stores, session)
    return (yield from resume(stores, session.session_id, history))


def begin(stores: Stores, session: ConversationSession) -> Flow[ConversationSession]:
    """Create the session if it does not exist, for its agent that starts; return it as stored."""
    stored = yield from wait(stores.conversation.ensure_session(session))
    yield from end_interrupted(stores, session.session_id)
    if stores.apart:
        yield from _change_agent(
            stores,
            session.session_id,
            {
                "agent_name": session.agent_id,
                "status": "started",
                "started_at": now(),
                "ended_at": None,
            },
            session.metadata or {},
        )
    return stored


def end_interrupted(stores: Stores, session_id: str) -> Flow[None]:
    """End the runs of this session whose process died."""
    if stores.runs is None:
        return
    for run in (yield from wait(stores.runs.running(session_id))):
        if not owners.is_alive(run.owner):
            yield from wait(stores.runs.end_run(session_id, run.run_id, status="interrupted"))


def resume(stores: Stores, session_id: str, history: History) -> Flow[list[ConversationMessage]]:
    """Return the newest messages as a transcript that a provider accepts, within the limits."""
    newest: list[ConversationMessage] = []
    runs: dict[str, Run] = {}
    cursor: str | None = None
    # One more than is handed over tells that there are more.
    size = _PAGE if history.limit is None else min(_PAGE, max(history.limit + 1, _PAGE_MIN))
    while True:
        page, cursor = yield from _page_back(stores, session_id, cursor, size)
        newest = page + newest
        runs |= yield from _runs_of(stores, session_id, page, runs)
        if cursor is not None and history.is_unlimited:
            continue
        found = transcript.repair(transcript.visible(newest, runs))
        if cursor is None or history.is_exceeded_by(found):
            return transcript.window(
                found, history.limit, history.token_limit, history.count_tokens
            )


def _page_back(
    stores: Stores, session_id: str, cursor: str | None, size: int
) -> Flow[tuple[list[ConversationMessage], str | None]]:
    store = stores.conversation
    if Capability.CURSORS not in store.capabilities:
        return (yield from wait(store.get_messages(session_id))), None
    page = yield from wait(
        store.page_messages(session_id, limit=size, cursor=cursor, backward=True)
    )
    return page.messages, page.next_cursor


def _runs_of(
    stores: Stores,
    session_id: str,
    messages: Sequence[ConversationMessage],
    known: Mapping[str, Run],
) -> Flow[dict[str, Run]]:
    found = dict.fromkeys(message.run_id for message in messages if message.run_id)
    ids = [run_id for run_id in found if run_id not in known]
    if stores.runs is None or not ids:
        return {}
    return (yield from wait(stores.runs.find_runs(session_id, ids)))


def append(stores: Stores, messages: Sequence[ConversationMessage]) -> Flow[None]:
    """Append messages to their session, which is created if it does not exist."""
    for session_id in dict.fromkeys(message.session_id for message in messages):
        batch = [message for message in messages if message.session_id == session_id]
        try:
            yield from _add(stores.conversation, session_id, batch)
        except NotFoundError:
            session = ConversationSession(session_id=session_id)
            yield from wait(stores.conversation.ensure_session(session))
            yield from _add(stores.conversation, session_id, batch)


def _add(
    store: ConversationStore | AsyncConversationStore,
    session_id: str,
    messages: Sequence[ConversationMessage],
) -> Flow[None]:
    if len(messages) > 1 and Capability.BATCH in store.capabilities:
        yield from wait(store.add_messages(session_id, messages))
        return
    for message in messages:
        yield from wait(store.add_message(session_id, message))


def agent_end(stores: Stores, session_id: str, metadata: dict[str, Any]) -> Flow[None]:
    """Merge metadata into the session's; what others change meanwhile is kept."""
    store = stores.conversation
    if stores.apart:
        changes = {"status": "ended", "ended_at": metadata.get("ended_at")}
        yield from _change_agent(stores, session_id, changes, metadata)
    for attempt in range(_UPDATE_ATTEMPTS):
        session = yield from wait(store.get_session(session_id))
        if session is None:
            return
        session.metadata = {**(session.metadata or {}), **metadata}
        try:
            if Capability.EXPECTED_VERSION in store.capabilities:
                yield from wait(store.update_session(session, expected_version=session.version))
            else:
                yield from wait(store.update_session(session))
        except ConflictError:
            if attempt == _UPDATE_ATTEMPTS - 1:
                raise
        else:
            return


def _change_agent(
    stores: Stores, session_id: str, changes: dict[str, Any], metadata: dict[str, Any]
) -> Flow[None]:
    """Merge changes and metadata into what is known of the session's agent."""
    state, key = state_of(stores), state_key("agent", session_id)
    while True:
        found = yield from wait(state.get_versioned(key))
        known, version = ({}, 0) if found is None else (found.value, found.version)
        merged = {**known.get("metadata", {}), **metadata}
        try:
            yield from wait(
                state.set(key, {**known, **changes, "metadata": merged}, expected_version=version)
            )
        except ConflictError:
            continue  # another was faster
        return


def agent_state(stores: Stores, session_id: str) -> Flow[dict[str, Any] | None]:
    """Return what is known of the session's agent: its name, status, times and metadata."""
    check_id(session_id, "session_id")
    found: dict[str, Any] | None = yield from wait(
        state_of(stores).get(state_key("agent", session_id))
    )
    return found


def delete_session(stores: Stores, session_id: str) -> Flow[bool]:
    """Delete the session with all that belongs to it. Return whether it existed."""
    check_id(session_id, "session_id")
    # The session goes last: who repeats this after a failure still finds it.
    if stores.apart and stores.runs is not None:
        yield from wait(stores.runs.delete_session(session_id))
    if stores.state is not None:
        yield from wait(stores.state.delete(state_key("state", "session", session_id)))
        yield from wait(stores.state.delete(state_key("agent", session_id)))
    return (yield from wait(stores.conversation.delete_session(session_id)))


def run_start(stores: Stores, run: Run) -> Flow[None]:
    """Store that a run begins; its session is created if it does not exist."""
    if stores.runs is None:
        return
    try:
        yield from wait(stores.runs.start_run(run))
    except NotFoundError:
        session = ConversationSession(session_id=run.session_id, agent_id=run.agent_name)
        yield from wait(stores.conversation.ensure_session(session))
        yield from wait(stores.runs.start_run(run))


def run_end(stores: Stores, run: Run, calls: Sequence[ToolCall], trace: Trace | None) -> Flow[None]:
    """Store how a run ended, with what is now known of its tool calls and its trace."""
    if stores.runs is None:
        return
    for call in calls:
        yield from tool_call(stores, call)
    known = yield from _end(stores.runs, run)
    if not known:
        yield from run_start(stores, run)
        yield from _end(stores.runs, run)
    if trace is not None:
        yield from wait(stores.runs.add_trace(trace))


def _end(store: RunStore | AsyncRunStore, run: Run) -> Flow[bool]:
    return (
        yield from wait(
            store.end_run(
                run.session_id,
                run.run_id,
                status=run.status,
                output_content=run.output_content,
                metrics=run.metrics,
                metadata=run.metadata,
                ended_at=run.ended_at,
            )
        )
    )


def tool_call(stores: Stores, call: ToolCall) -> Flow[None]:
    """Store a tool call; its session is created if it does not exist."""
    if stores.runs is None:
        return
    try:
        yield from wait(stores.runs.add_tool_call(call))
    except (NotFoundError, ConflictError):
        session = ConversationSession(session_id=call.session_id)
        yield from wait(stores.conversation.ensure_session(session))
        yield from wait(stores.runs.add_tool_call(call))


def tool_turn(
    stores: Stores, call: ToolCall, messages: Sequence[ConversationMessage]
) -> Flow[None]:
    """Store a tool call together with the messages that show it to the model."""
    yield from append(stores, messages)
    yield from tool_call(stores, call)


def prompt_text(input_content: str | None) -> str:
    """Return the text of a prompt as agents report it: a multimodal one arrives as its repr.

    The first text part stands for it, as in the agent's own history.
    """
    text = input_content or ""
    if not text.startswith("[{"):
        return text
    try:
        parts = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    found = [part.get("text") for part in parts if isinstance(part, dict)]
    return next((part for part in found if isinstance(part, str)), text)


def now() -> float:
    """Return the time, in seconds since the epoch."""
    return time.time()
