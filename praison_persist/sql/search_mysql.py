"""The search index on MariaDB and MySQL: InnoDB's FULLTEXT, without stop words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from praison_persist.errors import UnsupportedError
from praison_persist.sql.schema import Tables
from praison_persist.sql.search_names import Narrowed, index_name

__all__ = ["create", "drop", "exists", "narrow"]

# MySQL manual, "Full-Text Stopwords", INFORMATION_SCHEMA.INNODB_FT_DEFAULT_STOPWORD. The index is
# made without them; one that somebody else made may have them.
_LISTED: Final = (
    "a about an are as at be by com de en for from how i in is it la of on or that the this to was "
    "what when where who will with und www"
)
_STOPWORDS: Final = frozenset(_LISTED.split())
_LETTERS_END: Final = "\uffff"  # beyond, InnoDB's parser knows no letters
# Begins a text that is stored escaped (types.py): such are candidates of every search.
_ESCAPED: Final = "json"

# DDL as text: SQLAlchemy has no ALGORITHM here. In place, MariaDB 10.11 leaves out rows that were
# added after an index of the table had been dropped; the copy has them all.
_CREATE: Final = "CREATE FULLTEXT INDEX %(index)s ON %(table)s (content) ALGORITHM=COPY"
_DROP: Final = "DROP INDEX %(index)s ON %(table)s"

_LOOK: Final = sa.text("""
SELECT (SELECT COUNT(*) FROM information_schema.statistics
        WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table
          AND index_name = :name AND index_type = 'FULLTEXT'),
       (SELECT collation_name FROM information_schema.columns
        WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table
          AND column_name = 'content'),
       @@innodb_ft_min_token_size, @@innodb_ft_max_token_size
""")


def _look(connection: sa.Connection, t: Tables) -> tuple[bool, bool, int, int]:
    """Return whether the index is there, can be used, and the least and greatest length of words.

    Where the column tells upper from lower case, so does the index.
    """
    parameters = {"schema": t.schema, "table": t.messages.name, "name": index_name(t)}
    there, collation, least, most = connection.execute(_LOOK, parameters).one()
    return bool(there), str(collation).endswith("_ci"), int(least), int(most)


def _execute(connection: sa.Connection, t: Tables, statement: str) -> None:
    preparer = connection.dialect.identifier_preparer
    names = {"index": preparer.quote(index_name(t)), "table": preparer.format_table(t.messages)}
    connection.execute(sa.DDL(statement, context=names))  # type: ignore[no-untyped-call]  # theirs


def create(connection: sa.Connection, t: Tables) -> None:
    """Create the index; writers wait until it is built.

    Raises:
        UnsupportedError: the content's collation tells upper from lower case.
    """
    there, usable, _, _ = _look(connection, t)
    if not usable:
        raise UnsupportedError(
            f"There is no search index where the collation of {t.messages.name}.content tells "
            "upper from lower case; search_messages does without. Give the column one that ends "
            "with _ci"
        )
    if not there:
        connection.execute(sa.text("SET SESSION innodb_ft_enable_stopword = OFF"))
        _execute(connection, t, _CREATE)


def drop(connection: sa.Connection, t: Tables) -> None:
    """Drop the index if it is there."""
    if _look(connection, t)[0]:
        _execute(connection, t, _DROP)


def exists(connection: sa.Connection, t: Tables) -> bool:
    """Return whether the index is there."""
    return _look(connection, t)[0]


def narrow(connection: sa.Connection, t: Tables, words: Sequence[str]) -> Narrowed | None:
    """See `search_names.Narrow`."""
    from sqlalchemy.dialects import mysql  # noqa: PLC0415 - where it is used: it takes a while

    there, usable, least, most = _look(connection, t)
    known = [
        word
        for word in words
        if least <= len(word) <= most and word not in _STOPWORDS and _is_known(word)
    ]
    if not (there and usable and known and least <= len(_ESCAPED)):
        return None
    every = " ".join(f'+"{word}"' for word in known)
    against: Any = mysql.match(t.messages.c.content, against=f"({every}) ({_ESCAPED})")
    found = against.in_boolean_mode()
    return Narrowed(t.messages, found, found)


def _is_known(word: str) -> bool:
    """Whether the parser takes it for one word: it has letters and digits only, and no marks."""
    return all(
        letter == "_" or (letter <= _LETTERS_END and (letter.isalpha() or letter.isdecimal()))
        for letter in word
    )
