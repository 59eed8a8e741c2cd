"""What adopting the tables of the package praisonai would do, found out without doing it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import sqlalchemy as sa

from praison_persist.errors import SchemaError
from praison_persist.sql.exclusive import run_reading
from praison_persist.sql.revision import State, other_prefixes, state_of, unadoptable
from praison_persist.sql.schema import DEFAULT_PREFIX, Tables, tables
from praison_persist.sql.url import parse_url

__all__ = ["AdoptedTable", "Adoption", "adopt_report"]


@dataclass(frozen=True, slots=True)
class AdoptedTable:
    """A table of the old package.

    Attributes:
        rows: how many it holds; all of them stay.
        added: columns that it would be given.
        foreign: columns that somebody else added; they stay.
    """

    name: str
    rows: int
    added: list[str]
    foreign: list[str]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What adoption would do; `str()` says it to a person.

    Attributes:
        state: of the database; adoption is needed if it is legacy or was left half-way.
        orphans: messages whose session does not exist.
        orphaned_sessions: sessions that would be created for them.
        other_prefixes: under which the database holds further tables of praisonai.
    """

    target: str
    state: State
    tables: list[AdoptedTable] = field(default_factory=list)
    orphans: int = 0
    orphaned_sessions: int = 0
    other_prefixes: list[str] = field(default_factory=list)

    @property
    def needed(self) -> bool:
        """Whether there is anything to adopt."""
        return self.state in (State.LEGACY, State.HALF)

    def __str__(self) -> str:
        lines = [f"{self.target} {self.state.value}"]
        for table in self.tables:
            lines.append(f"{table.name}: {table.rows} rows stay")
            if table.added:
                lines.append(f"{table.name}: adds {', '.join(table.added)}")
            if table.foreign:
                lines.append(f"{table.name}: keeps {', '.join(table.foreign)}")
        if self.orphans:
            lines.append(
                f"{self.orphans} messages belong to no session: "
                f"{self.orphaned_sessions} sessions are created for them"
            )
        if self.other_prefixes:
            found = ", ".join(self.other_prefixes)
            lines.append(f"Tables of praisonai with another prefix: {found} (--table-prefix)")
        if not self.needed:
            lines.append("Nothing to adopt")
        return "\n".join(lines)


def adopt_report(
    url: str | os.PathLike[str],
    *,
    table_prefix: str = DEFAULT_PREFIX,
    schema: str | None = None,
) -> Adoption:
    """Return what `upgrade` would do with praisonai's tables. Changes nothing.

    Raises:
        UnavailableError: the database cannot be reached.
        SchemaError: its tables cannot be adopted.
    """
    target, ours = parse_url(url), tables(table_prefix, schema)
    report = run_reading(target, lambda connection: _report(connection, str(target), ours))
    if report.state is State.LEGACY and not target.dialect.adopts:
        raise SchemaError(unadoptable(target, ours))
    return report


def _report(connection: sa.Connection, target: str, ours: Tables) -> Adoption:
    state = state_of(connection, ours)
    others = other_prefixes(connection, ours)
    if state not in (State.LEGACY, State.HALF):
        return Adoption(target, state, other_prefixes=others)
    inspector = sa.inspect(connection)
    there = [t for t in (ours.sessions, ours.messages) if inspector.has_table(t.name, t.schema)]
    sessions, messages = (ours.sessions in there), (ours.messages in there)
    orphans, of_sessions = _orphans(connection, ours, sessions=sessions) if messages else (0, 0)
    return Adoption(
        target,
        state,
        [_table(connection, inspector, table) for table in there],
        orphans,
        of_sessions,
        others,
    )


def _table(connection: sa.Connection, inspector: sa.Inspector, table: sa.Table) -> AdoptedTable:
    there = [column["name"] for column in inspector.get_columns(table.name, table.schema)]
    rows = connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
    added = [column.name for column in table.columns if column.name not in there]
    return AdoptedTable(table.name, rows, added, [n for n in there if n not in table.columns])


def _orphans(connection: sa.Connection, ours: Tables, *, sessions: bool) -> tuple[int, int]:
    """Count messages without a session, and the sessions they name; NULL counts as one."""
    s, m = ours.sessions.c, ours.messages.c
    counts = sa.select(sa.func.count().label("n")).select_from(ours.messages)
    if sessions:
        counts = counts.where(~sa.exists().where(s.session_id == m.session_id))
    by_session = counts.group_by(m.session_id).subquery("orphans")
    total = sa.func.coalesce(sa.func.sum(by_session.c.n), 0)
    row = connection.execute(sa.select(total, sa.func.count()).select_from(by_session)).one()
    return int(row[0]), int(row[1])
