"""The search index on SQLite and libSQL: a contentless FTS5 table that triggers keep true.

FTS5 names rows by an integer, and VACUUM may renumber the rows of `messages`, whose key is another:
so a table of its own, `{prefix}search_rows`, numbers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from praison_persist.errors import UnsupportedError
from praison_persist.sql.schema import Tables
from praison_persist.sql.search_names import Narrowed, search_name

__all__ = ["create", "drop", "exists", "narrow"]

# A word that every text has which is stored escaped (types.py): the index does not know its words.
_PLAIN: Final = "praisonplain"


# FTS5 takes what is newer than its tables for letters (Unicode 6.1; fts5_unicode2.c). These code
# points, in hexadecimal, are not: signs, punctuation and symbols up to FFFF, and beyond most emoji.
_LATER: Final = (
    "58D-58E 605 61C-61D 7FE-7FF 888 890-891 8E2 9FD A76 C77 C84 D4F 1ABE 1B7D-1B7E 2066-2069 "
    "20BA-20C0 218A-218B 23F4-23FF 2700 2B4D-2B4F 2B5A-2BFF 2E3C-2E5D 32FF A8FC AB5B "
    "AB6A-AB6B FBC2 FD40-FD4F FDCF FDFE-FDFF 1D800-1DAAF 1F000-1FBEF"
)


def _separators() -> str:
    ranges = (part.partition("-")[::2] for part in _LATER.split())
    return "".join(
        chr(code)
        for first, last in ranges
        for code in range(int(first, 16), int(last or first, 16) + 1)
    )


# DDL as text: SQLAlchemy has neither virtual tables nor triggers. All names are quoted by it.
# sqlite.org/fts5.html, "Contentless Tables" and "The 'delete' Command": what is deleted has to be
# named with the text that was inserted.
_TEXT: Final = (
    "CASE WHEN substr({row}.content, 1, 6) = char(1) || 'json:' "
    "THEN {row}.content || ' {plain}' ELSE {row}.content END"
)
_ADD: Final = """
    INSERT INTO %(rows)s (session_id, seq) VALUES (new.session_id, new.seq);
    INSERT INTO %(words)s (rowid, content)
    SELECT id, %(text_new)s FROM %(rows)s WHERE session_id = new.session_id AND seq = new.seq;
"""
_REMOVE: Final = """
    INSERT INTO %(words)s (%(words)s, rowid, content)
    SELECT 'delete', id, %(text_old)s FROM %(rows)s
    WHERE session_id = old.session_id AND seq = old.seq;
    DELETE FROM %(rows)s WHERE session_id = old.session_id AND seq = old.seq;
"""
_CREATE: Final = (
    """
    CREATE TABLE %(rows)s (
        id INTEGER PRIMARY KEY, session_id VARCHAR(255) NOT NULL, seq BIGINT NOT NULL,
        UNIQUE (session_id, seq)
    )
    """,
    """
    CREATE VIRTUAL TABLE %(words)s USING fts5 (
        content, content='',
        tokenize="unicode61 remove_diacritics 0 categories 'L* N*' separators '%(separators)s'"
    )
    """,
    "INSERT INTO %(rows)s (session_id, seq) SELECT session_id, seq FROM %(messages)s",
    """
    INSERT INTO %(words)s (rowid, content)
    SELECT r.id, %(text_m)s FROM %(rows)s AS r
    JOIN %(messages)s AS m ON m.session_id = r.session_id AND m.seq = r.seq
    """,
    "CREATE TRIGGER %(insert)s AFTER INSERT ON %(messages)s BEGIN %(add)s END",
    "CREATE TRIGGER %(delete)s AFTER DELETE ON %(messages)s BEGIN %(remove)s END",
    """
    CREATE TRIGGER %(update)s AFTER UPDATE OF session_id, seq, content ON %(messages)s
    BEGIN %(remove)s %(add)s END
    """,
)
_DROP: Final = (
    *(f"DROP TRIGGER IF EXISTS %({name})s" for name in ("insert", "delete", "update")),
    *(f"DROP TABLE IF EXISTS %({name})s" for name in ("words", "rows")),
)
_PARTS: Final = ("", "_rows", "_insert", "_delete", "_update")
_COUNT: Final = sa.text("SELECT count(*) FROM sqlite_master WHERE name IN :names").bindparams(
    sa.bindparam("names", expanding=True)
)


def _execute(connection: sa.Connection, t: Tables, statements: Sequence[str]) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    names = {
        "messages": t.messages.name,
        "words": search_name(t),
        **{part[1:]: search_name(t, part) for part in _PARTS[1:]},
    }
    parts = {key: quote(name) for key, name in names.items()}
    parts |= {f"text_{row}": _TEXT.format(row=row, plain=_PLAIN) for row in ("new", "old", "m")}
    parts["separators"] = _separators()
    parts |= {"add": _ADD % parts, "remove": _REMOVE % parts}
    for statement in statements:
        connection.execute(sa.DDL(statement, context=parts))  # type: ignore[no-untyped-call]  # theirs


def create(connection: sa.Connection, t: Tables) -> None:
    """Create the index in the connection's transaction; writers wait until it is built.

    Raises:
        UnsupportedError: this SQLite was built without FTS5.
    """
    if exists(connection, t):
        return
    drop(connection, t)  # what is left where the messages' table was dropped or made anew
    try:
        _execute(connection, t, _CREATE)
    except DBAPIError as error:
        if "no such module" in str(error.orig):
            raise UnsupportedError(
                "There is no search index with this SQLite, which was built without FTS5; "
                "search_messages does without"
            ) from error
        raise


def drop(connection: sa.Connection, t: Tables) -> None:
    """Drop all of it that is there."""
    _execute(connection, t, _DROP)


def exists(connection: sa.Connection, t: Tables) -> bool:
    """Return whether the tables and all their triggers are there."""
    names = [search_name(t, part) for part in _PARTS]
    return bool(connection.execute(_COUNT, {"names": names}).scalar_one() == len(names))


def narrow(connection: sa.Connection, t: Tables, words: Sequence[str]) -> Narrowed | None:
    """See `search_names.Narrow`."""
    known = [word for word in words if any(map(str.isalnum, word))]
    if not known or not exists(connection, t):
        return None
    c = t.messages.c
    numbered = sa.table(search_name(t, "_rows"), *map(sa.column, ("id", "session_id", "seq")))
    # FTS5 is asked through a column that is called like its table.
    index = sa.table(search_name(t), sa.column("rowid"), sa.column(search_name(t)))
    indexed: sa.ColumnElement[Any] = index.c[search_name(t)]
    rows = index.join(numbered, numbered.c.id == index.c.rowid).join(
        t.messages,
        sa.and_(c.session_id == numbered.c.session_id, c.seq == numbered.c.seq),
    )
    every = " AND ".join(f'"{word}"' for word in known)
    condition = indexed.op("MATCH", is_comparison=True, return_type=sa.Boolean())(
        sa.literal(f'({every}) OR "{_PLAIN}"', sa.String())
    )
    return Narrowed(rows, condition, -sa.func.bm25(indexed, type_=sa.Float()))
