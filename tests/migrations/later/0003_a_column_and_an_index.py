"""What a later release may do to the tables while an older one runs on them.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def _messages() -> tuple[str, str | None]:
    options = op.get_context().opts
    return f"{options['table_prefix']}messages", options["table_schema"]


def _columns(table: str, schema: str | None) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table, schema)}


def upgrade() -> None:
    table, schema = _messages()
    if op.get_context().as_sql or "tenant" not in _columns(table, schema):
        op.add_column(table, sa.Column("tenant", sa.String(36)), schema=schema)
    op.create_index_online(  # type: ignore[attr-defined]  # env.py adds it
        f"ix_{table}_role", table, ["role", "session_id"], schema=schema
    )


def downgrade() -> None:
    table, schema = _messages()
    op.drop_index(f"ix_{table}_role", table, schema=schema)
    op.drop_column(table, "tenant", schema=schema)
