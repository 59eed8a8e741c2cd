"""Checks of what callers hand to a store: one rule for every backend, before it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any

from praison_persist._json import check_json
from praison_persist._words import QUERY_MAX
from praison_persist.errors import InvalidDataError
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    Run,
    Span,
    ToolCall,
    Trace,
)

__all__ = [
    "check_id",
    "check_ids",
    "check_integer",
    "check_limit",
    "check_message",
    "check_optional_id",
    "check_page_limit",
    "check_run",
    "check_run_end",
    "check_search",
    "check_seqs",
    "check_session",
    "check_span",
    "check_span_end",
    "check_text",
    "check_time",
    "check_tool_call",
    "check_trace",
    "check_trace_end",
]

_ID_MAX = 255  # characters
_ROLE_MAX = 50  # characters
_STATUS_MAX = 32  # characters
_INTEGER_MAX = 2**62  # any database can count one further
# NUL ends a string in some drivers, surrogates have no UTF-8: an id has to be exact everywhere.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def check_id(value: object, name: str) -> None:
    """Refuse what cannot be an id.

    Raises:
        InvalidDataError: no string, empty, longer than 255 characters, NUL or lone surrogates.
    """
    if not isinstance(value, str) or not value:
        raise InvalidDataError(f"{name} must be a non-empty string, not {value!r}")
    if len(value) > _ID_MAX:
        raise InvalidDataError(
            f"{name} has {len(value)} characters, at most {_ID_MAX} can be stored: {value[:40]!r}…"
        )
    if _UNSTORABLE.search(value):
        raise InvalidDataError(f"{name} {value!r} contains NUL or a lone surrogate")


def check_optional_id(value: object, name: str) -> None:
    """Refuse what can be neither None nor an id; an empty user or agent id is one like another."""
    if value is not None and value != "":
        check_id(value, name)


def check_ids(values: Sequence[str] | None, name: str) -> None:
    """Refuse a string in place of a list of ids, whose characters would be taken for ids.

    Raises:
        InvalidDataError: as said, or one of them cannot be an id.
    """
    if isinstance(values, str):
        raise InvalidDataError(f"{name} must be a list of ids, not the string {values!r}")
    for value in values or ():
        check_id(value, name)


def check_limit(value: int | None) -> None:
    """Refuse a limit that is negative or no whole number; None is no limit.

    Raises:
        InvalidDataError: as said, or beyond what databases count to.
    """
    if value is not None:
        check_integer(value, "limit", 0)


def check_page_limit(value: int) -> None:
    """Refuse a page of nothing, whose reader would never come to an end.

    Raises:
        InvalidDataError: less than 1, None, or no whole number.
    """
    check_integer(value, "limit", 1)


def check_search(
    query: object,
    session_id: object,
    user_id: object,
    agent_id: object,
    role: object,
    limit: object,
) -> None:
    """Refuse a search that could only be misunderstood; a filter that is None is none.

    Raises:
        InvalidDataError: names the argument, the value and what to do.
    """
    if not isinstance(query, str):
        raise InvalidDataError(f"query must be a string, not {query!r}")
    if len(query) > QUERY_MAX:
        raise InvalidDataError(
            f"query has {len(query)} characters, at most {QUERY_MAX} can be searched for: "
            f"{query[:40]!r}…"
        )
    if session_id is not None:
        check_id(session_id, "session_id")
    check_optional_id(user_id, "user_id")
    check_optional_id(agent_id, "agent_id")
    if role is not None:
        _check_word(role, "role", _ROLE_MAX)
    check_integer(limit, "limit", 1)


def check_seqs(values: Sequence[Any]) -> None:
    """Refuse positions in a session that are neither all unknown (None) nor all growing.

    Raises:
        InvalidDataError: as said.
    """
    if all(value is None for value in values):
        return
    last = 0
    for value in values:
        check_integer(value, "message.seq", last + 1)
        last = value


def check_integer(value: object, name: str, least: int) -> None:
    """Refuse what is no whole number of at least `least`, or more than databases count to.

    Raises:
        InvalidDataError: as said.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidDataError(f"{name} must be a whole number of at least {least}, not {value!r}")
    if value > _INTEGER_MAX:
        raise InvalidDataError(f"{name} must be at most {_INTEGER_MAX}, not {value!r}")


def check_message(message: ConversationMessage) -> None:
    """Refuse a message that could not be read back as it is.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    check_id(message.id, "message.id")
    _check_word(message.role, "message.role", _ROLE_MAX)
    check_text(message.content, "message.content")
    check_optional_id(message.tool_call_id, "message.tool_call_id")
    check_optional_id(message.run_id, "message.run_id")
    _check_document(message.tool_calls, list, "message.tool_calls")
    _check_document(message.metadata, dict, "message.metadata")
    check_time(message.created_at, "message.created_at")


def check_session(session: ConversationSession) -> None:
    """Refuse a session that could not be read back as it is.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    check_id(session.session_id, "session.session_id")
    check_optional_id(session.user_id, "session.user_id")
    check_optional_id(session.agent_id, "session.agent_id")
    check_text(session.name, "session.name")
    _check_document(session.state, dict, "session.state")
    _check_document(session.metadata, dict, "session.metadata")
    check_time(session.created_at, "session.created_at")
    check_time(session.updated_at, "session.updated_at")
    if session.version is not None:
        check_integer(session.version, "session.version", 1)


def check_run(run: Run) -> None:
    """Refuse a run that could not be read back as it is. Its messages are not looked at.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    check_id(run.session_id, "run.session_id")
    check_id(run.run_id, "run.run_id")
    for name in ("agent_name", "owner", "input_content"):
        check_text(getattr(run, name), f"run.{name}")
    check_time(run.started_at, "run.started_at")
    check_run_end(run.status, run.output_content, run.metrics, run.metadata, run.ended_at)


def check_run_end(
    status: object, output_content: object, metrics: object, metadata: object, ended_at: object
) -> None:
    """Refuse an end of a run that could not be read back as it is.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    _check_end(status, ended_at, "run")
    check_text(output_content, "run.output_content")
    _check_document(metrics, dict, "run.metrics")
    _check_document(metadata, dict, "run.metadata")


def check_tool_call(call: ToolCall) -> None:
    """Refuse a tool call that could not be read back as it is.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    check_id(call.session_id, "tool_call.session_id")
    check_id(call.id, "tool_call.id")
    check_optional_id(call.run_id, "tool_call.run_id")
    check_optional_id(call.call_id, "tool_call.call_id")
    _check_required_text(call.tool_name, "tool_call.tool_name")
    check_text(call.error, "tool_call.error")
    check_json(call.args, "tool_call.args")
    check_json(call.result, "tool_call.result")
    _check_document(call.metadata, dict, "tool_call.metadata")
    check_time(call.timestamp, "tool_call.timestamp")
    if call.duration_ms is not None:
        check_time(call.duration_ms, "tool_call.duration_ms", "milliseconds")


def check_trace(trace: Trace) -> None:
    """Refuse a trace that could not be read back as it is. Its spans are not looked at.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    check_id(trace.trace_id, "trace.trace_id")
    for name in ("session_id", "run_id", "user_id"):
        check_optional_id(getattr(trace, name), f"trace.{name}")
    check_text(trace.agent_name, "trace.agent_name")
    check_time(trace.started_at, "trace.started_at")
    check_trace_end(trace.status, trace.metadata, trace.ended_at)


def check_trace_end(status: object, metadata: object, ended_at: object) -> None:
    """Refuse an end of a trace that could not be read back as it is.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    _check_end(status, ended_at, "trace")
    _check_document(metadata, dict, "trace.metadata")


def check_span(span: Span) -> None:
    """Refuse a span that could not be read back as it is.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    check_id(span.span_id, "span.span_id")
    check_id(span.trace_id, "span.trace_id")
    check_optional_id(span.parent_span_id, "span.parent_span_id")
    _check_required_text(span.name, "span.name")
    check_time(span.started_at, "span.started_at")
    _check_document(span.events, list, "span.events")
    check_span_end(span.status, span.attributes, span.ended_at)


def check_span_end(status: object, attributes: object, ended_at: object) -> None:
    """Refuse an end of a span that could not be read back as it is.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    _check_end(status, ended_at, "span")
    _check_document(attributes, dict, "span.attributes")


def _check_end(status: object, ended_at: object, of: str) -> None:
    _check_word(status, f"{of}.status", _STATUS_MAX)
    if ended_at is not None:
        check_time(ended_at, f"{of}.ended_at")


def check_time(value: object, name: str, unit: str = "seconds since the epoch") -> None:
    """Refuse what is no finite number, or one that a double cannot hold exactly.

    Raises:
        InvalidDataError: as said.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not _is_double(value):
        raise InvalidDataError(f"{name} must be {unit}, not {value!r}")


def _is_double(value: object) -> bool:
    try:
        return isfinite(value) and float(value) == value  # type: ignore[arg-type]  # a number
    except OverflowError:
        return False


def _check_word(value: object, name: str, longest: int) -> None:
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidDataError(
            f"{name} must be a string of up to {longest} characters, not {value!r}"
        )
    if _UNSTORABLE.search(value):
        raise InvalidDataError(f"{name} {value!r} contains NUL or a lone surrogate")


def check_text(value: object, name: str) -> None:
    """Refuse what is neither a text nor None.

    Raises:
        InvalidDataError: as said.
    """
    if value is not None:
        _check_required_text(value, name, "a string or None")


def _check_required_text(value: object, name: str, wanted: str = "a string") -> None:
    if not isinstance(value, str):
        raise InvalidDataError(
            f"{name} must be {wanted}, not {type(value).__name__}; "
            "store structured content as metadata or as JSON text"
        )


def _check_document(value: object, kind: type, name: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise InvalidDataError(
            f"{name} must be a {kind.__name__} or None, not {type(value).__name__}"
        )
    check_json(value, name)
