"""The tables. Alembic creates them (migrations/); this is what queries are written against.

`messages` is keyed by (session_id, seq): a conversation lies together, is read in its order
without sorting, and can be sharded by session. `seq` is counted on the session's row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import sqlalchemy as sa

from praison_persist.errors import ConfigurationError
from praison_persist.sql.types import Identifier, JSONDocument, LongText, PackedVector

__all__ = ["DEFAULT_PREFIX", "Tables", "check_identifier", "tables"]

DEFAULT_PREFIX = "praison_"

# 40 leaves room for the longest name below within PostgreSQL's 63 bytes (NAMEDATALEN - 1).
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


def check_identifier(value: str, name: str) -> str:
    """Return `value` if it may be part of a table's name.

    Raises:
        ConfigurationError: anything but ASCII letters, digits and underscores, or too long.
    """
    if not _IDENTIFIER.fullmatch(value):
        raise ConfigurationError(
            f"{name} {value!r} cannot be used in a table name: "
            "write up to 40 ASCII letters, digits and underscores, not beginning with a digit"
        )
    return value


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table under one prefix and schema."""

    metadata: sa.MetaData
    sessions: sa.Table
    messages: sa.Table
    runs: sa.Table
    tool_calls: sa.Table
    traces: sa.Table
    spans: sa.Table
    state: sa.Table
    collections: sa.Table
    documents: sa.Table
    terms: sa.Table
    ranges: sa.Table
    snapshots: sa.Table
    details: sa.Table
    runtime_states: sa.Table
    prefix: str
    schema: str | None

    @property
    def version_table(self) -> str:
        """Name of the table that holds Alembic's revision for these tables alone."""
        return f"{self.prefix}alembic_version"


@lru_cache(maxsize=64)
def tables(prefix: str = DEFAULT_PREFIX, schema: str | None = None) -> Tables:
    """Return the tables named with `prefix`, in the database schema `schema`.

    Raises:
        ConfigurationError: the prefix or the schema is no identifier.
    """
    if prefix:
        check_identifier(prefix, "table_prefix")
    if schema is not None:
        check_identifier(schema, "schema")
    metadata = sa.MetaData(schema=schema)
    session_ref = sa.ForeignKey(
        _qualified(schema, f"{prefix}sessions.session_id"), ondelete="CASCADE"
    )
    return Tables(
        metadata=metadata,
        sessions=_sessions(metadata, prefix),
        messages=_messages(metadata, prefix, session_ref),
        runs=_runs(metadata, prefix, session_ref._copy()),
        tool_calls=_tool_calls(metadata, prefix, session_ref._copy()),
        traces=_traces(metadata, prefix),
        spans=_spans(metadata, prefix),
        state=_state(metadata, prefix),
        collections=_collections(metadata, prefix),
        documents=_documents(metadata, prefix),
        terms=_terms(metadata, prefix),
        ranges=_ranges(metadata, prefix, session_ref._copy()),
        snapshots=_snapshots(metadata, prefix, session_ref._copy()),
        details=_details(metadata, prefix, session_ref._copy()),
        runtime_states=_runtime_states(metadata, prefix, session_ref._copy()),
        prefix=prefix,
        schema=schema,
    )


def _qualified(schema: str | None, name: str) -> str:
    return f"{schema}.{name}" if schema else name


def _sessions(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}sessions",
        metadata,
        sa.Column("session_id", Identifier(), primary_key=True),
        sa.Column("user_id", Identifier()),
        sa.Column("agent_id", Identifier()),
        sa.Column("name", LongText()),
        sa.Column("state", JSONDocument()),
        sa.Column("metadata", JSONDocument()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("last_seq", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("last_run_seq", sa.BigInteger(), nullable=False, server_default="0"),
        # Which of its views the session shows; NULL: all messages of its own. See views.py.
        sa.Column("view_seq", sa.BigInteger()),
        sa.Index(f"ix_{prefix}sessions_updated", "updated_at", "session_id"),
        sa.Index(f"ix_{prefix}sessions_user", "user_id", "updated_at", "session_id"),
    )


def _messages(metadata: sa.MetaData, prefix: str, session: sa.ForeignKey) -> sa.Table:
    return sa.Table(
        f"{prefix}messages",
        metadata,
        sa.Column("session_id", Identifier(), session, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("run_id", Identifier()),
        sa.Column("role", sa.String(50), nullable=False),
        sa.Column("content", LongText()),
        sa.Column("tool_calls", JSONDocument()),
        sa.Column("tool_call_id", Identifier()),
        sa.Column("metadata", JSONDocument()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "seq"),
        # id first: ids grow with time, so that new entries of all sessions land on the same page.
        sa.UniqueConstraint("id", "session_id", name=f"uq_{prefix}messages_id"),
    )


def _runs(metadata: sa.MetaData, prefix: str, session: sa.ForeignKey) -> sa.Table:
    return sa.Table(
        f"{prefix}runs",
        metadata,
        sa.Column("session_id", Identifier(), session, nullable=False),
        sa.Column("run_id", Identifier(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("agent_name", LongText()),
        sa.Column("owner", LongText()),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("input_content", LongText()),
        sa.Column("output_content", LongText()),
        sa.Column("metadata", JSONDocument()),
        sa.Column("metrics", JSONDocument()),
        # The messages of the run lie in after_seq < seq <= until_seq.
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("until_seq", sa.BigInteger()),
        sa.PrimaryKeyConstraint("session_id", "run_id"),
        sa.UniqueConstraint("session_id", "seq", name=f"uq_{prefix}runs_seq"),
    )


def _tool_calls(metadata: sa.MetaData, prefix: str, session: sa.ForeignKey) -> sa.Table:
    return sa.Table(
        f"{prefix}tool_calls",
        metadata,
        sa.Column("session_id", Identifier(), session, nullable=False),
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("run_id", Identifier()),
        sa.Column("call_id", Identifier()),
        sa.Column("tool_name", LongText(), nullable=False),
        sa.Column("args", JSONDocument()),
        sa.Column("result", JSONDocument()),
        sa.Column("error", LongText()),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("duration_ms", sa.Double()),
        sa.Column("metadata", JSONDocument()),
        sa.PrimaryKeyConstraint("session_id", "id"),
    )


def _traces(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}traces",
        metadata,
        sa.Column("trace_id", Identifier(), primary_key=True),
        sa.Column("session_id", Identifier()),
        sa.Column("run_id", Identifier()),
        sa.Column("agent_name", LongText()),
        sa.Column("user_id", Identifier()),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("metadata", JSONDocument()),
        sa.Index(f"ix_{prefix}traces_session", "session_id", "started_at"),
        sa.Index(f"ix_{prefix}traces_user", "user_id", "started_at"),
    )


def _spans(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}spans",
        metadata,
        sa.Column("trace_id", Identifier(), nullable=False),
        sa.Column("span_id", Identifier(), nullable=False),
        sa.Column("parent_span_id", Identifier()),
        sa.Column("name", LongText(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("attributes", JSONDocument()),
        sa.Column("events", JSONDocument()),
        sa.PrimaryKeyConstraint("trace_id", "span_id"),
        # A span is ended by its own id alone.
        sa.Index(f"ix_{prefix}spans_id", "span_id"),
    )


def _state(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}state",
        metadata,
        # 480 + 255 characters of four bytes stay below InnoDB's 3072-byte key limit.
        sa.Column("state_key", Identifier(480), nullable=False),
        # 0 a value, 1 a hash's field: the same key may have both.
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("field", Identifier(), nullable=False),
        sa.Column("value", LongText(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("expires_at", sa.Double()),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("state_key", "kind", "field"),
        sa.Index(f"ix_{prefix}state_expires", "expires_at"),
    )


def _collections(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}collections",
        metadata,
        sa.Column("name", Identifier(48), primary_key=True),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("distance", sa.String(16), nullable=False),
        sa.Column("metadata", JSONDocument()),
        sa.Column("created_at", sa.Double(), nullable=False),
    )


def _documents(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}documents",
        metadata,
        sa.Column("collection", Identifier(48), nullable=False),
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("content", LongText(), nullable=False),
        sa.Column("embedding", PackedVector(), nullable=False),
        sa.Column("metadata", JSONDocument()),
        sa.Column("content_hash", sa.String(64)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "id"),
    )


def _terms(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}terms",
        metadata,
        # With the document's id, 403 characters of four bytes stay below InnoDB's 3072.
        sa.Column("collection", Identifier(48), nullable=False),
        sa.Column("document_id", Identifier(), nullable=False),
        sa.Column("term", Identifier(100), nullable=False),
        sa.Column("number", sa.Double()),
        sa.PrimaryKeyConstraint("collection", "document_id", "term"),
        sa.Index(f"ix_{prefix}terms_term", "collection", "term", "number"),
    )


def _ranges(metadata: sa.MetaData, prefix: str, session: sa.ForeignKey) -> sa.Table:
    return sa.Table(
        f"{prefix}ranges",
        metadata,
        sa.Column("session_id", Identifier(), session, nullable=False),
        # Of the session's counter: the number that making the view took.
        sa.Column("at_seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger()),
        # Whose messages first_seq <= seq <= last_seq are; NULL as last_seq: and all behind.
        sa.Column("source_id", Identifier(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "at_seq", "first_seq"),
        sa.Index(f"ix_{prefix}ranges_source", "source_id"),
    )


def _snapshots(metadata: sa.MetaData, prefix: str, session: sa.ForeignKey) -> sa.Table:
    return sa.Table(
        f"{prefix}snapshots",
        metadata,
        sa.Column("session_id", Identifier(), session, nullable=False),
        sa.Column("snapshot_id", Identifier(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("last_compaction", JSONDocument()),
        sa.Column("label", LongText()),
        sa.Column("metadata", JSONDocument()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "snapshot_id"),
    )


def _details(metadata: sa.MetaData, prefix: str, session: sa.ForeignKey) -> sa.Table:
    return sa.Table(
        f"{prefix}session_details",
        metadata,
        sa.Column("session_id", Identifier(), session, primary_key=True),
        sa.Column("agent_name", Identifier()),
        sa.Column("gateway_session_id", Identifier()),
        sa.Column("gateway_agent_id", Identifier()),
        sa.Column("parent_id", Identifier()),
        sa.Column("fork_seq", sa.BigInteger()),
        # Up to it, messages of the session's own are archived: kept, and not shown.
        sa.Column("archive_seq", sa.BigInteger()),
        sa.Column("is_shared", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("last_compaction", JSONDocument()),
        sa.Column("extra", JSONDocument()),
        sa.Index(f"ix_{prefix}session_details_agent", "agent_name"),
        sa.Index(f"ix_{prefix}session_details_gateway", "gateway_session_id"),
        sa.Index(f"ix_{prefix}session_details_gateway_agent", "gateway_agent_id"),
        sa.Index(f"ix_{prefix}session_details_parent", "parent_id"),
    )


def _runtime_states(metadata: sa.MetaData, prefix: str, session: sa.ForeignKey) -> sa.Table:
    return sa.Table(
        f"{prefix}runtime_states",
        metadata,
        # 3 * 255 characters of four bytes stay below InnoDB's 3072-byte key limit.
        sa.Column("session_id", Identifier(), session, nullable=False),
        sa.Column("runtime_id", Identifier(), nullable=False),
        sa.Column("turn_id", Identifier(), nullable=False),
        sa.Column("state", JSONDocument()),
        sa.PrimaryKeyConstraint("session_id", "runtime_id", "turn_id"),
    )
