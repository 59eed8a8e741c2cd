from __future__ import annotations

from pathlib import Path

import pytest

from praison_persist.sql import migrate

from .revision_rules import violations

REVISIONS = [
    *sorted((migrate.script_location() / "versions").glob("*.py")),
    *sorted((Path(__file__).parent / "later").glob("*.py")),
]


@pytest.mark.parametrize("path", REVISIONS, ids=lambda path: path.stem)
def test_a_revision_keeps_to_the_rules(path: Path) -> None:
    assert violations(path) == []


GOOD = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    {}


def downgrade() -> None:
    op.drop_column("messages", "tenant")
"""


def _revision(folder: Path, step: str, text: str = GOOD, name: str = "0002_step.py") -> Path:
    path = folder / name
    path.write_text(text.replace("{}", step))
    return path


@pytest.mark.parametrize(
    "step",
    [
        'op.add_column("messages", sa.Column("tenant", sa.String(36)))',
        'op.add_column("m", sa.Column("n", sa.Integer, nullable=False, server_default="0"))',
        'op.create_index_online("ix", "messages", ["role"])',
        'op.alter_column("messages", "role", nullable=True)',
        'op.create_table("notes", sa.Column("id", sa.String(36), nullable=False))',
    ],
)
def test_what_a_running_release_survives_is_allowed(step: str, tmp_path: Path) -> None:
    assert violations(_revision(tmp_path, step)) == []


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ('op.add_column("m", sa.Column("n", sa.Integer, nullable=False))', "server_default"),
        ('op.add_column("m", sa.Column("n", sa.Integer, unique=True))', "locks out"),
        ('op.create_index("ix", "messages", ["role"])', "create_index_online"),
        ('op.drop_column("messages", "role")', "a release later"),
        ('op.drop_table("messages")', "a release later"),
        ('op.rename_table("messages", "lines")', "create another"),
        ('op.alter_column("m", "role", new_column_name="speaker")', "old name"),
        ('op.alter_column("m", "role", type_=sa.Text())', "rewrites"),
        ('op.alter_column("m", "name", nullable=False)', "NULL"),
        ('op.create_unique_constraint("uq", "m", ["name"])', "may break"),
        ("sa.MetaData().create_all(op.get_bind())", "spelled out"),
        ("from praison_persist.sql import types", "imports praison_persist"),
        ("pass", "has no upgrade"),
    ],
)
def test_what_it_does_not_survive_is_found(step: str, why: str, tmp_path: Path) -> None:
    (found,) = violations(_revision(tmp_path, step))
    assert why in found
    assert found.startswith("0002_step.py:")


def test_a_helper_is_looked_at_as_well(tmp_path: Path) -> None:
    text = GOOD + '\n\ndef _drop() -> None:\n    op.drop_table("messages")\n'
    (found,) = violations(_revision(tmp_path, "_drop()", text))
    assert "drop_table" in found


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("0003_step.py", "0002", "0002"),
        ("0003_step.py", '"0002"', '"0003"'),
        ("2_step.py", '"0002"', '"2"'),
    ],
)
def test_the_chain_is_numbered(name: str, old: str, new: str, tmp_path: Path) -> None:
    text = GOOD.replace(old, new)
    path = _revision(tmp_path, 'op.execute("SELECT 1")', text, name)
    assert len(violations(path)) == 1
