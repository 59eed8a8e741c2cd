"""Searching messages: the database finds what may be meant, `_words` decides what is.

What the database compares is never narrower than the meaning, so that a search answers the same on
each database, with and without the index. Only the order may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from praison_persist._checks import check_search
from praison_persist._words import Terms, snippet, terms_of
from praison_persist.models import ConversationMessage, MessageHit
from praison_persist.sql.replica import about_all
from praison_persist.sql.schema import Tables
from praison_persist.sql.search_index import index_of
from praison_persist.sql.search_shown import shown, shown_in, where_shown
from praison_persist.sql.shown import MESSAGE_FIELDS
from praison_persist.sql.types import ESCAPED

__all__ = ["MessageSearch", "Visible", "search_messages", "search_statement"]

# Returns a further condition on the rows of `messages`.
Visible = Callable[[Tables], sa.ColumnElement[bool]]

_FIRST_ROWS: Final = 50
_MOST_ROWS: Final = 10_000  # that are read at once


@dataclass(frozen=True, slots=True)
class MessageSearch:
    """The arguments of ConversationStore.search_messages."""

    query: str
    session_id: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    role: str | None = None
    limit: int = 20


@about_all
def search_messages(
    connection: sa.Connection, t: Tables, search: MessageSearch, visible: Visible | None = None
) -> list[MessageHit]:
    """See ConversationStore.search_messages.

    Args:
        connection: in a transaction that reads.
        t: the tables.
        search: what is searched for.
        visible: only rows for which its condition holds are found.
    """
    check_search(
        search.query,
        search.session_id,
        search.user_id,
        search.agent_id,
        search.role,
        search.limit,
    )
    terms = terms_of(search.query)
    if not terms:
        return []
    found: list[tuple[ConversationMessage, float]] = []
    query = search_statement(connection, t, search, visible).where(_shown(connection, t, search))
    for message, score in _candidates(connection, query):
        if terms.count(message.content or ""):
            found.append((message, score))
            if len(found) == search.limit:
                break
    if search.session_id is None:
        where_shown(connection, t, [message for message, _ in found])
    else:
        for message, _ in found:
            message.session_id = search.session_id
    return [
        MessageHit(m.session_id, m.seq or 0, m, score, snippet(m.content or "", terms))
        for m, score in found
    ]


def _shown(connection: sa.Connection, t: Tables, search: MessageSearch) -> sa.ColumnElement[bool]:
    """Return a condition on messages: a session shows it, or that of the search does."""
    return shown(t) if search.session_id is None else shown_in(connection, t, search.session_id)


def _candidates(
    connection: sa.Connection, query: sa.Select[Any]
) -> Iterator[tuple[ConversationMessage, float]]:
    """Yield what the query finds, in portions: few of many that may be meant are asked for."""
    offset, size = 0, _FIRST_ROWS
    while True:
        rows = connection.execute(query.limit(size).offset(offset)).all()
        for *values, score in rows:
            yield ConversationMessage(*values), float(score)
        if len(rows) < size:
            return
        offset, size = offset + size, min(size * 4, _MOST_ROWS)


def search_statement(
    connection: sa.Connection, t: Tables, search: MessageSearch, visible: Visible | None = None
) -> sa.Select[Any]:
    """Return a query for the messages that may be meant, and their scores, in order.

    The query of `search` has at least one term.
    """
    c, terms = t.messages.c, terms_of(search.query)
    index = index_of(connection)
    narrowed = None if index is None else index.narrow(connection, t, terms.words)
    score = None if narrowed is None else narrowed.score
    if score is None:
        score = _occurrences(c.content, terms)
    rows: sa.FromClause = t.messages if narrowed is None else narrowed.rows
    where = [_may_match(c.content, terms)]
    if narrowed is not None:
        where.append(narrowed.condition)
    if search.user_id is not None or search.agent_id is not None:
        rows = rows.join(t.sessions, t.sessions.c.session_id == c.session_id)
    filters = {
        c.role: search.role,
        t.sessions.c.user_id: search.user_id,
        t.sessions.c.agent_id: search.agent_id,
    }
    where += [column == value for column, value in filters.items() if value is not None]
    if visible is not None:
        where.append(visible(t))
    labelled = score.label("score")
    return (
        sa.select(*[c[name] for name in MESSAGE_FIELDS], labelled)
        .select_from(rows)
        .where(*where)
        .order_by(labelled.desc(), c.created_at.desc(), c.seq.desc(), c.session_id)
    )


def _may_match(content: sa.ColumnElement[Any], terms: Terms) -> sa.ColumnElement[bool]:
    """Return a condition that no message fails which has all the terms."""
    likes = [content.ilike(f"%{_pattern(term)}%") for term in (*terms.words, *terms.fragments)]
    # An escaped text is read by Python alone.
    escaped = sa.func.substr(content, 1, len(ESCAPED), type_=sa.String()) == ESCAPED
    return sa.or_(sa.and_(*likes), escaped)


def _pattern(term: str) -> str:
    """Return a pattern for LIKE: what has another case beyond ASCII may be any character.

    SQLite, and PostgreSQL in the locale C, fold ASCII only. Terms have no "%", and a "_" of theirs
    finds too much, which does no harm.
    """
    return "".join(
        "_" if not letter.isascii() and letter.upper() != letter else letter for letter in term
    )


def _occurrences(content: sa.ColumnElement[Any], terms: Terms) -> sa.ColumnElement[Any]:
    """Return how often the terms occur, roughly: also within words."""
    folded = sa.func.lower(content, type_=sa.String())
    length = sa.func.char_length(folded)
    counts = [
        (length - sa.func.char_length(sa.func.replace(folded, term, ""))) / float(len(term))
        for term in (*terms.words, *terms.fragments)
    ]
    total: sa.ColumnElement[Any] = sum(counts[1:], counts[0])
    return total
