"""The search index on PostgreSQL: GIN over the words of the content, without stemming.

It is an index on an expression, which a query has to repeat to the letter: literals, no parameters.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, DropIndex

from praison_persist.errors import UnsupportedError
from praison_persist.sql.schema import Tables
from praison_persist.sql.search_names import Narrowed, index_name
from praison_persist.sql.types import LongText

__all__ = ["create", "drop", "exists", "narrow"]

# A tsvector ends at 1 MiB (PostgreSQL manual, "Text Search Limitations"), and an INSERT beyond it
# fails. A character makes at most four bytes of it, or five with its positions.
_INDEXED: Final = 200_000  # characters
_WORD_MAX: Final = 500  # characters; lexemes end at 2 KB

# The parser would keep URLs, paths, e-mail addresses and numbers with signs together. "%" is left
# out for the drivers' sake, and separates by itself.
_PUNCTUATION: Final = "".join(sorted(set(string.punctuation) - set("_%")))
# What no text has: its punctuation is gone. It marks a text that the index does not know whole.
_PLAIN: Final = "'praison:plain'"

# The state of the index; and whether the parser knows letters beyond ASCII, which it takes from the
# locale of the database: in "C" everything beyond ASCII is a letter.
_LOOK: Final = sa.text("""
SELECT (SELECT indisvalid FROM pg_catalog.pg_index
        JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relname = :name AND nspname = COALESCE(CAST(:schema AS text), current_schema())),
       to_tsvector('pg_catalog.simple', U&'\\00C4\\201C')
           = to_tsvector('pg_catalog.simple', U&'\\00E4')
""")


def _literal(text: str) -> sa.ColumnElement[Any]:
    doubled = text.replace("'", "''")
    return sa.literal_column(f"'{doubled}'")


def _number(value: int) -> sa.ColumnElement[Any]:
    return sa.literal_column(str(value))


def _simple() -> sa.ColumnElement[Any]:
    """Return the text search configuration: words in lower case, none left out."""
    return sa.literal_column("'pg_catalog.simple'::regconfig")


def _document(content: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the indexed expression."""
    spaces = _literal(" " * len(_PUNCTUATION))
    begin = sa.func.left(content, _number(_INDEXED), type_=sa.Text())
    words = sa.func.to_tsvector(
        _simple(), sa.func.translate(begin, _literal(_PUNCTUATION), spaces, type_=sa.Text())
    )
    # `ESCAPED` of types.py, as a literal.
    escaped = sa.func.left(content, _number(6), type_=sa.Text()) == sa.literal_column(
        "chr(1) || 'json:'"
    )
    long = sa.func.length(content) > _number(_INDEXED)
    plain = sa.case(
        (sa.or_(long, escaped), sa.cast(_literal(_PLAIN), _Vector())),
        else_=sa.cast(_literal(""), _Vector()),
    )
    return sa.func.tsvector_concat(words, plain)


class _Vector(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        return "TSVECTOR"


class _Query(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        return "TSQUERY"


def _index(t: Tables) -> sa.Index:
    # Of a table of its own: those of `Tables` are what Alembic compares with.
    messages = sa.Table(
        t.messages.name, sa.MetaData(schema=t.schema), sa.Column("content", LongText())
    )
    return sa.Index(
        index_name(t),
        _document(messages.c.content),
        postgresql_using="gin",
        postgresql_concurrently=True,
        _table=messages,
    )


def _look(connection: sa.Connection, t: Tables) -> tuple[bool | None, bool]:
    """Return whether the index is whole, None if there is none, and whether it can be used."""
    parameters = {"name": index_name(t), "schema": t.schema}
    found = connection.execute(_LOOK, parameters).one()
    return found[0], found[1]


def create(connection: sa.Connection, t: Tables) -> None:
    """Create the index beside readers and writers; replace what an interrupted build left.

    Raises:
        UnsupportedError: the database's locale knows no letters beyond ASCII.
    """
    # CREATE INDEX CONCURRENTLY takes no part in a transaction.
    connection.execution_options(isolation_level="AUTOCOMMIT")
    state, usable = _look(connection, t)
    if not usable:
        raise UnsupportedError(
            "There is no search index in a PostgreSQL database of the locale C, whose words end "
            "at spaces only; search_messages does without. Make a database with LC_CTYPE C.UTF-8"
        )
    if state:
        return
    if state is False:
        connection.execute(DropIndex(_index(t)))
    connection.execute(CreateIndex(_index(t)))
    # Of an expression, the planner knows nothing until then.
    table = connection.dialect.identifier_preparer.format_table(t.messages)
    analyze = sa.DDL("ANALYZE %(messages)s", context={"messages": table})  # type: ignore[no-untyped-call]  # theirs
    connection.execute(analyze)


def drop(connection: sa.Connection, t: Tables) -> None:
    """Drop the index if it is there."""
    connection.execution_options(isolation_level="AUTOCOMMIT")
    connection.execute(DropIndex(_index(t), if_exists=True))


def exists(connection: sa.Connection, t: Tables) -> bool:
    """Return whether the index is there, and whole."""
    return bool(_look(connection, t)[0])


def narrow(connection: sa.Connection, t: Tables, words: Sequence[str]) -> Narrowed | None:
    """See `search_names.Narrow`."""
    # Others, such as a "²", may be no words to the parser.
    known = [word for word in words if len(word) <= _WORD_MAX and _is_known(word)]
    if not known or _look(connection, t) != (True, True):
        return None
    query = sa.func.plainto_tsquery(_simple(), " ".join(known), type_=_Query())
    document = _document(t.messages.c.content)
    either = sa.func.tsquery_or(query, sa.cast(_literal(_PLAIN), _Query()))
    condition = document.op("@@", is_comparison=True, return_type=sa.Boolean())(either)
    # Not by ts_rank_cd: it makes the document of each hit anew, which takes six times as long as
    # counting the words.
    return Narrowed(t.messages, condition, None)


def _is_known(word: str) -> bool:
    return any(letter.isalpha() or letter.isdecimal() for letter in word)
