"""What agents did, in any state store: runs, tool calls, traces with their spans.

A state store has keys and no order, so that each list of a session is numbered from 1:

    run:{session}:{run}          the run, without messages and tool calls
    runs:{session}:{n}           the id of the nth run; runs:{session} says where the list may end
    running:{session}            a hash of the ids of those that have not ended
    call:{session}:{id}          the tool call; calls:{session}:{n} as of runs
    trace:{id}                   the trace with the spans that were stored with it
    traces:{session}:{n}         as of runs
    span:{id}                    a span that was started by itself; spans:{trace} is a hash of those

A number is given before what it stands for is written, so that a writer that dies leaves a number
without a run behind, which is passed over, and never a run without a number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from praison_persist._checks import (
    check_id,
    check_ids,
    check_limit,
    check_optional_id,
    check_run,
    check_run_end,
    check_span,
    check_span_end,
    check_tool_call,
    check_trace,
    check_trace_end,
)
from praison_persist._flow import Flow, wait
from praison_persist.errors import (
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
)
from praison_persist.models import ConversationMessage, Run, Span, ToolCall, Trace
from praison_persist.protocols import (
    AsyncConversationStore,
    AsyncStateStore,
    Capability,
    ConversationStore,
    StateCapability,
    StateStore,
)
from praison_persist.state.keys import state_key

__all__ = ["RunFlows"]

_NEEDED = (StateCapability.VERSIONS, StateCapability.SET_IF_ABSENT)
_PAGE = 500  # messages, or keys, read at a time


class RunFlows:
    """The methods of a run store as flows, over stores of one colour."""

    def __init__(
        self,
        state: StateStore | AsyncStateStore,
        conversations: ConversationStore | AsyncConversationStore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        missing = [kind.name for kind in _NEEDED if kind not in state.capabilities]
        if missing:
            raise ConfigurationError(
                f"{state!r} cannot keep runs: it does not support {', '.join(missing)}"
            )
        self._state, self._conversations, self._clock = state, conversations, clock

    # Runs

    def start_run(self, run: Run) -> Flow[Run]:
        """See `RunStore.start_run`."""
        check_run(run)
        session = run.session_id
        key = state_key("run", session, run.run_id)
        stored = yield from wait(self._state.get(key))
        if stored is not None:
            return _run(stored)
        yield from self._check_session(session, "runs")
        after_seq = yield from self._last_seq(session)
        if run.status == "running":
            # Before the run itself: one that is not there is passed over.
            yield from wait(self._state.hset(state_key("running", session), run.run_id, 1))
        return (yield from self._store_run(run, after_seq))

    def end_run(
        self,
        session_id: str,
        run_id: str,
        *,
        status: str,
        output_content: str | None,
        metrics: dict[str, Any] | None,
        metadata: dict[str, Any] | None,
        ended_at: float | None,
    ) -> Flow[bool]:
        """See `RunStore.end_run`."""
        check_id(session_id, "session_id")
        check_id(run_id, "run_id")
        at = self._clock() if ended_at is None else ended_at
        check_run_end(status, output_content, metrics or {}, metadata or {}, at)

        def change(row: dict[str, Any]) -> dict[str, Any]:
            return {
                **row,
                "status": status,
                "output_content": output_content,
                "metrics": {**row["metrics"], **(metrics or {})},
                "metadata": {**row["metadata"], **(metadata or {})},
                "ended_at": at,
            }

        known = yield from self._update(state_key("run", session_id, run_id), change)
        if known and status != "running":
            yield from wait(self._state.hdel(state_key("running", session_id), run_id))
        return known

    def get_runs(self, session_id: str, limit: int | None) -> Flow[list[Run]]:
        """See `RunStore.get_runs`."""
        check_id(session_id, "session_id")
        check_limit(limit)
        rows = yield from self._newest_runs(session_id, limit)
        runs = [(_run(row), int(row["after_seq"])) for row in rows]
        if not runs:
            return []
        calls: dict[str, list[ToolCall]] = {}
        for call in (yield from self._calls(session_id, {run.run_id for run, _ in runs}, None)):
            calls.setdefault(call.run_id or "", []).append(call)
        messages: dict[str, list[ConversationMessage]] = {}
        for message in (yield from self._messages(session_id, min(seq for _, seq in runs))):
            messages.setdefault(message.run_id or "", []).append(message)
        return [
            replace(
                run, messages=messages.get(run.run_id, []), tool_calls=calls.get(run.run_id, [])
            )
            for run, _ in runs
        ]

    def _newest_runs(self, session_id: str, limit: int | None) -> Flow[list[Any]]:
        """Return the newest runs, newest first, and read no more of them than it takes."""
        numbered = yield from self._numbered("runs", session_id)
        ids = list(dict.fromkeys(reversed(numbered)))
        rows: list[Any] = []
        while ids and (limit is None or len(rows) < limit):
            # Numbers that stand for no run are passed over, so that it may take another round.
            size = len(ids) if limit is None else limit - len(rows)
            some, ids = ids[:size], ids[size:]
            rows += yield from self._rows([state_key("run", session_id, one) for one in some])
        return sorted(rows, key=lambda row: -int(row["seq"]))

    def find_runs(self, session_id: str, run_ids: Sequence[str]) -> Flow[dict[str, Run]]:
        """See `RunStore.find_runs`."""
        check_id(session_id, "session_id")
        check_ids(run_ids, "run_ids")
        rows = yield from self._rows([state_key("run", session_id, run_id) for run_id in run_ids])
        return {row["run_id"]: _run(row) for row in rows}

    def running(self, session_id: str) -> Flow[list[Run]]:
        """See `RunStore.running`."""
        check_id(session_id, "session_id")
        ids = yield from wait(self._state.hgetall(state_key("running", session_id)))
        rows = yield from self._rows([state_key("run", session_id, run_id) for run_id in ids])
        runs = [_run(row) for row in rows if row["status"] == "running"]
        return sorted(runs, key=lambda run: run.seq or 0)

    # Tool calls

    def add_tool_call(self, call: ToolCall) -> Flow[ToolCall]:
        """See `RunStore.add_tool_call`."""
        check_tool_call(call)
        key, row = state_key("call", call.session_id, call.id), asdict(call)
        if not (yield from wait(self._state.exists(key))):
            yield from self._check_session(call.session_id, "tool calls")
            yield from self._number("calls", call.session_id, [call.id, call.run_id])
        yield from wait(self._state.set(key, row))
        return replace(call)

    def get_tool_calls(
        self, session_id: str, run_id: str | None, limit: int | None
    ) -> Flow[list[ToolCall]]:
        """See `RunStore.get_tool_calls`."""
        check_id(session_id, "session_id")
        check_optional_id(run_id, "run_id")
        check_limit(limit)
        return (yield from self._calls(session_id, None if run_id is None else {run_id}, limit))

    def _calls(
        self, session_id: str, run_ids: set[str] | None, limit: int | None
    ) -> Flow[list[ToolCall]]:
        numbered = yield from self._numbered("calls", session_id)
        # Ids are made when a call begins and grow with time.
        ids = sorted({call for call, run in numbered if run_ids is None or run in run_ids})
        newest = ids if limit is None else ids[max(len(ids) - limit, 0) :]
        rows = yield from self._rows([state_key("call", session_id, call) for call in newest])
        calls = [ToolCall(**row) for row in rows]
        return [call for call in calls if run_ids is None or call.run_id in run_ids]

    # Traces

    def start_trace(self, trace: Trace) -> Flow[None]:
        """See `RunStore.start_trace`."""
        check_trace(trace)
        key = state_key("trace", trace.trace_id)
        if not (yield from wait(self._state.exists(key))):
            yield from self._number_trace(trace)
            row = {**asdict(trace), "spans": []}
            yield from wait(self._state.set_if_absent(key, row))

    def end_trace(
        self,
        trace_id: str,
        *,
        status: str,
        metadata: dict[str, Any] | None,
        ended_at: float | None,
    ) -> Flow[bool]:
        """See `RunStore.end_trace`."""
        check_id(trace_id, "trace_id")
        at = self._clock() if ended_at is None else ended_at
        check_trace_end(status, metadata or {}, at)
        key = state_key("trace", trace_id)
        return (yield from self._update(key, _ending("metadata", metadata or {}, status, at)))

    def start_span(self, span: Span) -> Flow[None]:
        """See `RunStore.start_span`."""
        check_span(span)
        yield from wait(self._state.hset(state_key("spans", span.trace_id), span.span_id, 1))
        yield from wait(self._state.set_if_absent(state_key("span", span.span_id), asdict(span)))

    def end_span(
        self,
        span_id: str,
        *,
        status: str,
        attributes: dict[str, Any] | None,
        ended_at: float | None,
    ) -> Flow[bool]:
        """See `RunStore.end_span`."""
        check_id(span_id, "span_id")
        at = self._clock() if ended_at is None else ended_at
        check_span_end(status, attributes or {}, at)
        key = state_key("span", span_id)
        return (yield from self._update(key, _ending("attributes", attributes or {}, status, at)))

    def add_trace(self, trace: Trace) -> Flow[None]:
        """See `RunStore.add_trace`."""
        check_trace(trace)
        for span in trace.spans:
            check_span(span)
            if span.trace_id != trace.trace_id:
                raise InvalidDataError(
                    f"span.trace_id is {span.trace_id!r} in the trace {trace.trace_id!r}"
                )
        key = state_key("trace", trace.trace_id)
        if not (yield from wait(self._state.exists(key))):
            yield from self._number_trace(trace)
        yield from wait(self._state.set(key, asdict(trace)))
        yield from self._delete_spans(trace.trace_id)

    def get_traces(
        self, session_id: str | None, user_id: str | None, limit: int | None
    ) -> Flow[list[Trace]]:
        """See `RunStore.get_traces`. Without a session, all traces of the store are read."""
        check_optional_id(session_id, "session_id")
        check_optional_id(user_id, "user_id")
        check_limit(limit)
        if session_id is None:
            keys = yield from self._keys("trace:")
        else:
            ids = yield from self._numbered("traces", session_id)
            keys = [state_key("trace", trace_id) for trace_id in dict.fromkeys(ids)]
        rows = [
            row
            for row in (yield from self._rows(keys))
            if session_id in (None, row["session_id"]) and user_id in (None, row["user_id"])
        ]
        rows.sort(key=lambda row: (row["started_at"], row["trace_id"]), reverse=True)
        traces = []
        for row in rows[:limit]:
            spans = [Span(**span) for span in row["spans"]]
            spans += yield from self._started_spans(row["trace_id"])
            spans.sort(key=lambda span: (span.started_at, span.span_id))
            traces.append(Trace(**{**row, "spans": spans}))
        return traces

    def _number_trace(self, trace: Trace) -> Flow[None]:
        if trace.session_id is not None:
            yield from self._number("traces", trace.session_id, trace.trace_id)

    def _started_spans(self, trace_id: str) -> Flow[list[Span]]:
        ids = yield from wait(self._state.hgetall(state_key("spans", trace_id)))
        rows = yield from self._rows([state_key("span", span_id) for span_id in ids])
        return [Span(**row) for row in rows if row["trace_id"] == trace_id]

    def _delete_spans(self, trace_id: str) -> Flow[None]:
        ids = yield from wait(self._state.hgetall(state_key("spans", trace_id)))
        for span_id in ids:
            yield from wait(self._state.delete(state_key("span", span_id)))
        if ids:
            yield from wait(self._state.delete(state_key("spans", trace_id)))

    # A session as a whole

    def delete_session(self, session_id: str) -> Flow[None]:
        """See `RunStore.delete_session`. The numbers go last, so that a repetition finds all."""
        check_id(session_id, "session_id")
        for run_id in (yield from self._numbered("runs", session_id)):
            yield from wait(self._state.delete(state_key("run", session_id, run_id)))
        for call_id, _run_id in (yield from self._numbered("calls", session_id)):
            yield from wait(self._state.delete(state_key("call", session_id, call_id)))
        for trace_id in (yield from self._numbered("traces", session_id)):
            key = state_key("trace", trace_id)
            trace = yield from wait(self._state.get(key))
            if trace is not None and trace["session_id"] == session_id:
                yield from self._delete_spans(trace_id)
                yield from wait(self._state.delete(key))
        yield from wait(self._state.delete(state_key("running", session_id)))
        for kind in ("runs", "calls", "traces"):
            count = len((yield from self._numbered(kind, session_id)))
            yield from wait(self._state.delete(state_key(kind, session_id)))
            # From the end, so that no gap is left if this is interrupted.
            for number in range(count, 0, -1):
                yield from wait(self._state.delete(state_key(kind, session_id, str(number))))

    def dump_session(self, session_id: str) -> Flow[dict[str, Any]]:
        """See `RunStore.dump_session`."""
        check_id(session_id, "session_id")
        ids = dict.fromkeys((yield from self._numbered("runs", session_id)))
        runs = yield from self._rows([state_key("run", session_id, run_id) for run_id in ids])
        calls = yield from self._calls(session_id, None, None)
        traces = yield from self.get_traces(session_id, None, None)
        return {
            "runs": [{**run, "until_seq": None} for run in runs],
            "tool_calls": [_renamed(asdict(call), "timestamp", "started_at") for call in calls],
            "traces": [_without(asdict(trace), "spans") for trace in traces],
            "spans": [asdict(span) for trace in traces for span in trace.spans],
        }

    def load_session(self, session_id: str, dump: Mapping[str, Any]) -> Flow[None]:
        """See `RunStore.load_session`."""
        for row in sorted(dump.get("runs") or [], key=lambda row: int(row["seq"])):
            run = Run.from_dict({**row, "session_id": session_id})
            check_run(run)
            if run.status == "running":
                key = state_key("running", session_id)
                yield from wait(self._state.hset(key, run.run_id, 1))
            yield from self._store_run(run, int(row.get("after_seq") or 0))
        for row in dump.get("tool_calls") or []:
            call = _renamed({**row, "session_id": session_id}, "started_at", "timestamp")
            yield from self.add_tool_call(ToolCall.from_dict(call))
        spans: dict[str, list[Span]] = {}
        for row in dump.get("spans") or []:
            spans.setdefault(row["trace_id"], []).append(Span.from_dict(row))
        for row in dump.get("traces") or []:
            trace = Trace.from_dict({**row, "session_id": session_id})
            yield from self.add_trace(replace(trace, spans=spans.get(trace.trace_id, [])))

    # What the above share

    def _store_run(self, run: Run, after_seq: int) -> Flow[Run]:
        key = state_key("run", run.session_id, run.run_id)
        seq = yield from self._number("runs", run.session_id, run.run_id)
        row = _without(asdict(replace(run, messages=[], tool_calls=[])), "messages", "tool_calls")
        row |= {"seq": seq, "after_seq": after_seq}
        if (yield from wait(self._state.set_if_absent(key, row))):
            return replace(run, seq=seq)
        return _run((yield from wait(self._state.get(key))))

    def _check_session(self, session_id: str, what: str) -> Flow[None]:
        if (yield from wait(self._conversations.get_session(session_id))) is None:
            raise NotFoundError(f"There is no session {session_id!r}; create it before its {what}")

    def _last_seq(self, session_id: str) -> Flow[int]:
        """Return the seq behind which messages of a run that begins now lie."""
        if Capability.CURSORS not in self._conversations.capabilities:
            return 0
        page = yield from wait(
            self._conversations.page_messages(session_id, limit=1, backward=True)
        )
        return (page.messages[0].seq or 0) if page.messages else 0

    def _messages(self, session_id: str, after_seq: int) -> Flow[list[ConversationMessage]]:
        """Return the messages behind `after_seq`, oldest first."""
        store = self._conversations
        if Capability.CURSORS not in store.capabilities:
            return (yield from wait(store.get_messages(session_id)))
        found: list[ConversationMessage] = []
        cursor: str | None = None
        while True:
            page = yield from wait(
                store.page_messages(session_id, limit=_PAGE, cursor=cursor, backward=True)
            )
            found = [m for m in page.messages if (m.seq or 0) > after_seq] + found
            cursor = page.next_cursor
            if cursor is None or (page.messages[0].seq or 0) <= after_seq:
                return found

    def _number(self, kind: str, session_id: str, entry: Any) -> Flow[int]:
        """Give the next number of this list of the session to `entry`; return it.

        The list has no gaps and its entries do not change, so that a repetition, or another who
        writes the same at the same time, meets its own entry.
        """
        last = state_key(kind, session_id)
        number = int((yield from wait(self._state.get(last, 0))))
        while True:
            number += 1
            key = state_key(kind, session_id, str(number))
            if (yield from wait(self._state.set_if_absent(key, entry))):
                # Where the next one begins to look. It may lag behind what others wrote meanwhile.
                yield from wait(self._state.set(last, number))
                return number
            if (yield from wait(self._state.get(key))) == entry:
                return number

    def _numbered(self, kind: str, session_id: str) -> Flow[list[Any]]:
        """Return the entries of this list of the session, in order."""
        entries: list[Any] = []
        while True:
            start = len(entries) + 1
            numbers = range(start, start + _PAGE)
            page = [state_key(kind, session_id, str(number)) for number in numbers]
            found = yield from self._rows(page)
            entries += found
            if len(found) < _PAGE:
                return entries

    def _rows(self, keys: Sequence[str]) -> Flow[list[Any]]:
        """Return the values of these keys, in their order, without those that are not there."""
        found: dict[str, Any] = {}
        for start in range(0, len(keys), _PAGE):
            found |= yield from wait(self._state.get_many(keys[start : start + _PAGE]))
        return [found[key] for key in keys if key in found]

    def _keys(self, prefix: str) -> Flow[list[str]]:
        keys: list[str] = []
        cursor: str | None = None
        while True:
            page = yield from wait(self._state.page_keys(prefix, limit=_PAGE, cursor=cursor))
            keys += page.keys
            cursor = page.next_cursor
            if cursor is None:
                return keys

    def _update(self, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Flow[bool]:
        """Change a value whatever others do to it meanwhile. Return whether there is one."""
        while True:
            found = yield from wait(self._state.get_versioned(key))
            if found is None:
                return False
            try:
                yield from wait(
                    self._state.set(key, change(found.value), expected_version=found.version)
                )
            except ConflictError:
                continue  # another was faster
            return True


def _run(row: dict[str, Any]) -> Run:
    return Run(**_without(row, "after_seq"))


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _renamed(row: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {**_without(row, old), new: row[old]} if old in row else row


def _ending(
    document: str, changes: dict[str, Any], status: str, ended_at: float
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(row: dict[str, Any]) -> dict[str, Any]:
        return {
            **row,
            document: {**(row[document] or {}), **changes},
            "status": status,
            "ended_at": ended_at,
        }

    return change
