"""Operations on key-value state.

Each key has one row of kind 0, its head: the value, or "" and version 0 where there is only a hash,
and the expiry of the key. The fields of a hash are rows of kind 1 and live and die with the head,
so whoever writes a key locks its head first. `now` is seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from praison_persist.sql.conversation import chunks
from praison_persist.sql.dialects import DIALECTS
from praison_persist.sql.replica import about_all
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_or_replace

__all__ = [
    "add",
    "clear",
    "delete",
    "delete_fields",
    "expire",
    "expiry",
    "page",
    "purge",
    "read",
    "read_fields",
    "write",
    "write_fields",
    "write_if",
]

_HEAD, _FIELD = 0, 1
_NO_VALUE = ""  # no JSON text is empty

Add = Callable[[str | None], int]


class Head(NamedTuple):
    """What decides about a key."""

    version: int
    expires_at: float | None

    def lives(self, now: float) -> bool:
        """Whether the key has not expired."""
        return self.expires_at is None or self.expires_at > now


def read(
    connection: sa.Connection, t: Tables, keys: Sequence[str], now: float
) -> dict[str, tuple[str, int]]:
    """Return key -> text and version for those of the keys that have a value."""
    c = t.state.c
    found: dict[str, tuple[str, int]] = {}
    for some in chunks(keys):
        query = sa.select(c.state_key, c.value, c.version).where(
            c.state_key.in_(some), *_is_head(t.state), _is_live(t.state, now)
        )
        for key, text, version in connection.execute(query):
            if text != _NO_VALUE:
                found[key] = (text, version)
    return found


@about_all
def write(
    connection: sa.Connection,
    t: Tables,
    texts: Mapping[str, str],
    version: int,
    expires_at: float | None,
    now: float,
) -> None:
    """Set values and the expiry of their keys."""
    rows = [_head(key, text, version, expires_at, now) for key, text in texts.items()]
    heads = _claim(connection, t, rows)
    # Those that show the new version were inserted just now.
    older = [row for row in rows if heads[row["state_key"]].version != version]
    _drop_hashes(connection, t, [row["state_key"] for row in older], heads, now)
    if older:
        connection.execute(insert_or_replace(connection, t.state), older)


@about_all
def write_if(
    connection: sa.Connection,
    t: Tables,
    key: str,
    text: str,
    version: int,
    expires_at: float | None,
    expected: int,
    now: float,
) -> bool:
    """Set a value if the stored one is of version `expected`, 0 if there is none."""
    head = (
        _claim(connection, t, [_head(key, text, version, expires_at, now)]).get(key)
        if expected == 0
        else _lock(connection, t, [key]).get(key)
    )
    if head is None:
        return False
    if head.version == version:
        return True  # inserted just now, or by an earlier try whose answer was lost
    live = head.lives(now)
    if (head.version if live else 0) != expected:
        return False
    _drop_hashes(connection, t, [key], {key: head}, now)
    _overwrite(connection, t, _head(key, text, version, expires_at, now))
    return True


@about_all
def add(
    connection: sa.Connection, t: Tables, key: str, total: Add, version: int, now: float
) -> int:
    """Set the value to `total` of the stored one (None if there is none) and return it."""
    first = total(None)
    head = _claim(connection, t, [_head(key, str(first), version, None, now)])[key]
    c = t.state.c
    stored = connection.execute(sa.select(c.value).where(*_is_head(t.state, key))).scalar_one()
    if head.version == version:
        return int(stored)  # inserted just now, or by an earlier try whose answer was lost
    live = head.lives(now)
    _drop_hashes(connection, t, [key], {key: head}, now)
    result = total(stored if live and stored != _NO_VALUE else None)
    kept = head.expires_at if live else None
    _overwrite(connection, t, _head(key, str(result), version, kept, now))
    return result


@about_all
def delete(connection: sa.Connection, t: Tables, keys: Sequence[str], now: float) -> int:
    """Delete keys; return how many there were."""
    deleted = 0
    for some in chunks(sorted(keys)):
        heads = _lock(connection, t, some)
        deleted += sum(head.lives(now) for head in heads.values())
        if heads:
            connection.execute(sa.delete(t.state).where(t.state.c.state_key.in_(list(heads))))
    return deleted


@about_all
def clear(connection: sa.Connection, t: Tables, prefix: str, now: float) -> int:
    """Delete all keys that begin with `prefix`; return how many there were."""
    c = t.state.c
    query = sa.select(c.expires_at).where(*_begins(c.state_key, prefix), *_is_head(t.state))
    times = connection.execute(query.order_by(c.state_key).with_for_update()).scalars().all()
    connection.execute(sa.delete(t.state).where(*_begins(c.state_key, prefix)))
    return sum(at is None or at > now for at in times)


def expiry(
    connection: sa.Connection, t: Tables, key: str, now: float
) -> tuple[float | None] | None:
    """Return when the key expires, None if there is no such key."""
    query = sa.select(t.state.c.expires_at).where(*_is_head(t.state, key), _is_live(t.state, now))
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.expires_at,)


@about_all
def expire(
    connection: sa.Connection, t: Tables, key: str, expires_at: float | None, now: float
) -> bool:
    """Set the expiry of a key; return whether it exists."""
    where = (*_is_head(t.state, key), _is_live(t.state, now))
    update = sa.update(t.state).where(*where).values(expires_at=expires_at)
    return connection.execute(update).rowcount > 0


def page(
    connection: sa.Connection,
    t: Tables,
    literals: Sequence[str],
    limit: int,
    cursor: str | None,
    now: float,
) -> list[str]:
    """Return the keys behind `cursor` that have these texts in this order, by key."""
    c = t.state.c
    query = sa.select(c.state_key).where(
        *_begins(c.state_key, literals[0]), *_is_head(t.state), _is_live(t.state, now)
    )
    if len(literals) > 2 or literals[-1]:  # noqa: PLR2004 - a prefix is itself and ""
        like = "%".join(map(_escaped, literals))
        query = query.where(c.state_key.like(like, escape="/"))
    if cursor is not None:
        query = query.where(c.state_key > cursor)
    return list(connection.execute(query.order_by(c.state_key).limit(limit)).scalars())


def read_fields(
    connection: sa.Connection, t: Tables, key: str, fields: Sequence[str] | None, now: float
) -> dict[str, str]:
    """Return field -> text of a hash, all if None."""
    head = t.state.alias("head")
    c = t.state.c
    query = (
        sa.select(c.field, c.value)
        .join(head, sa.and_(head.c.state_key == c.state_key, *_is_head(head)))
        .where(c.state_key == key, c.kind == _FIELD, _is_live(head, now))
    )
    if fields is None:
        return {row.field: row.value for row in connection.execute(query)}
    found: dict[str, str] = {}
    for some in chunks(fields):
        rows = connection.execute(query.where(c.field.in_(some)))
        found |= {row.field: row.value for row in rows}
    return found


@about_all
def write_fields(
    connection: sa.Connection, t: Tables, key: str, texts: Mapping[str, str], now: float
) -> None:
    """Set fields of a hash."""
    empty = _head(key, _NO_VALUE, 0, None, now)
    head = _claim(connection, t, [empty])[key]
    if not head.lives(now):
        _drop_hashes(connection, t, [key], {key: head}, now)
        _overwrite(connection, t, empty)
    rows = [
        {**empty, "kind": _FIELD, "field": field, "value": text} for field, text in texts.items()
    ]
    connection.execute(insert_or_replace(connection, t.state), rows)


@about_all
def delete_fields(
    connection: sa.Connection, t: Tables, key: str, fields: Sequence[str], now: float
) -> int:
    """Delete fields of a hash, and the key if nothing is left; return how many there were."""
    head = _lock(connection, t, [key]).get(key)
    if head is None or not head.lives(now):
        return 0
    c = t.state.c
    hash_rows = (c.state_key == key, c.kind == _FIELD)
    deleted = 0
    for some in chunks(fields):
        deleted += connection.execute(
            sa.delete(t.state).where(*hash_rows, c.field.in_(some))
        ).rowcount
    if head.version == 0:
        left = connection.execute(sa.select(c.field).where(*hash_rows).limit(1)).first()
        if left is None:
            connection.execute(sa.delete(t.state).where(*_is_head(t.state, key)))
    return deleted


@about_all
def purge(connection: sa.Connection, t: Tables, limit: int, now: float) -> int:
    """Delete up to `limit` expired keys for good, those that expired first; return how many."""
    c = t.state.c
    query = sa.select(c.state_key).where(*_is_head(t.state), c.expires_at <= now)
    skip = DIALECTS[connection.dialect.name].skip_locked
    query = query.order_by(c.expires_at).limit(limit).with_for_update(skip_locked=skip)
    keys = list(connection.execute(query).scalars())
    for some in chunks(keys):
        connection.execute(sa.delete(t.state).where(c.state_key.in_(some)))
    return len(keys)


def _head(
    key: str, text: str, version: int, expires_at: float | None, now: float
) -> dict[str, Any]:
    return {
        "state_key": key,
        "kind": _HEAD,
        "field": "",
        "value": text,
        "version": version,
        "expires_at": expires_at,
        "updated_at": now,
    }


def _overwrite(connection: sa.Connection, t: Tables, row: dict[str, Any]) -> None:
    """Replace a head by `row`, its key aside: SingleStore refuses to set what it shards by."""
    key = {column.name for column in t.state.primary_key}
    values = {name: value for name, value in row.items() if name not in key}
    head = _is_head(t.state, row["state_key"])
    connection.execute(sa.update(t.state).where(*head).values(values))


def _is_head(state: sa.FromClause, key: str | None = None) -> list[sa.ColumnElement[bool]]:
    where = [state.c.kind == _HEAD, state.c.field == ""]
    return where if key is None else [state.c.state_key == key, *where]


def _is_live(state: sa.FromClause, now: float) -> sa.ColumnElement[bool]:
    return sa.or_(state.c.expires_at.is_(None), state.c.expires_at > now)


def _begins(column: sa.ColumnElement[str], prefix: str) -> list[sa.ColumnElement[bool]]:
    """Return a range of the index; LIKE would ignore case on SQLite."""
    after = _successor(prefix)
    low = [column >= prefix] if prefix else []
    return low if after is None else [*low, column < after]


def _successor(prefix: str) -> str | None:
    """Return the least text above all that begin with `prefix`; None if there is none."""
    last_character = 0x10FFFF
    surrogates = range(0xD800, 0xE000)
    kept = prefix.rstrip(chr(last_character))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(surrogates.stop if following in surrogates else following)


def _escaped(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _lock(connection: sa.Connection, t: Tables, keys: Sequence[str]) -> dict[str, Head]:
    """Lock the heads of those of the keys that there are, expired or not."""
    c = t.state.c
    query = sa.select(c.state_key, c.version, c.expires_at)
    query = query.where(c.state_key.in_(keys), *_is_head(t.state))
    rows = connection.execute(query.order_by(c.state_key).with_for_update())
    return {row.state_key: Head(row.version, row.expires_at) for row in rows}


def _claim(connection: sa.Connection, t: Tables, rows: list[dict[str, Any]]) -> dict[str, Head]:
    """Insert heads, lock those that were there, and return all as they are.

    Inserting first takes one lock, and never one on a gap between keys: two transactions that look
    before they insert could each wait for the other's gap (MySQL manual, "InnoDB Locking").
    """
    # In one order, so that two batches do not wait for each other.
    rows = sorted(rows, key=lambda row: str(row["state_key"]))
    insert = _CLAIM[connection.dialect.name](t.state)
    c = t.state.c
    if not DIALECTS[connection.dialect.name].update_returning:
        connection.execute(insert, rows)
        heads: dict[str, Head] = {}
        for some in chunks([str(row["state_key"]) for row in rows]):
            heads |= _lock(connection, t, some)
        return heads
    returned = connection.execute(insert.returning(c.state_key, c.version, c.expires_at), rows)
    return {row.state_key: Head(row.version, row.expires_at) for row in returned}


def _claim_by_conflict(insert: Any, table: sa.Table) -> sa.Insert:
    statement: sa.Insert = insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={"updated_at": insert.excluded.updated_at},
    )
    return statement


def _claim_by_duplicate(table: sa.Table) -> sa.Insert:
    insert = mysql.insert(table)
    return insert.on_duplicate_key_update(updated_at=insert.inserted.updated_at)


_CLAIM: dict[str, Callable[[sa.Table], sa.Insert]] = {
    "postgresql": lambda table: _claim_by_conflict(postgresql.insert(table), table),
    "cockroachdb": lambda table: _claim_by_conflict(postgresql.insert(table), table),
    "sqlite": lambda table: _claim_by_conflict(sqlite.insert(table), table),
    "mysql": _claim_by_duplicate,
    "singlestoredb": _claim_by_duplicate,
}


def _drop_hashes(
    connection: sa.Connection,
    t: Tables,
    keys: Sequence[str],
    heads: Mapping[str, Head],
    now: float,
) -> None:
    """Delete the hashes of those of the keys that have expired and are about to live again."""
    c = t.state.c
    for some in chunks([key for key in keys if not heads[key].lives(now)]):
        connection.execute(sa.delete(t.state).where(c.state_key.in_(some), c.kind == _FIELD))
