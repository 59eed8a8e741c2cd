"""Finding what was said: a search over all sessions, a look around a message, recent sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from praison_persist._checks import check_id
from praison_persist.sessions.checks import check_count, check_text
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import ExtendedSessionData
from praison_persist.sessions.primitives import SessionFilter, SessionPrimitives
from praison_persist.sessions.reports import SessionHit, SessionSummary

__all__ = ["SearchMethods", "lineage_of", "text_of_message"]

_SPARE_HITS = 20  # kept beyond the best ones before they are sorted out
_BOOKENDS = 2  # turns at each end
_SNIPPET_CHARACTERS = 120
_TITLE_CHARACTERS = 60
_PHRASE_SCORE, _TERM_SCORE = 2.0, 1.0
# Runs of machines would otherwise crowd out what a person said.
_AUTOMATED_FACTOR = 0.25
_AUTOMATED_SOURCES = {"scheduled", "automated", "cron", "system", "batch"}
_AUTOMATED_RATE = 60.0  # messages per hour
_RATE_MESSAGES = 4  # fewer say nothing about a rate
_LINEAGE = ("lineage_id", "root_session_id", "thread_id")


class SearchMethods(SessionPrimitives):
    """Search over the archived and the active messages; an index counts through both, from 0."""

    def search(self, query: str, *, limit: int = 5, window: int = 5) -> list[SessionHit]:
        """Return the sessions in which the words of the query are found, best first.

        A session counts by how often and how whole the query is found, whatever its case; runs of
        machines count for a quarter. Of sessions that continue one another (metadata `lineage_id`,
        `root_session_id` or `thread_id`) the best is returned.

        Args:
            query: words; a blank one finds nothing.
            limit: at most so many sessions.
            window: so many messages before and after the best one are returned with it.
        """
        check_text(query, "query")
        check_count(limit, "limit")
        check_count(window, "window")
        phrase = query.strip().lower()
        terms = phrase.split()
        if not terms or not limit:
            return []
        found: list[_Found] = []
        for session in self._matching(terms):
            hit = _hit(session, phrase, terms, window)
            if hit is not None:
                found.append((hit, lineage_of(session)))
            if len(found) > limit + _SPARE_HITS:
                found = _best(found, limit)
        return [hit for hit, _ in _best(found, limit)]

    def window(
        self, session_id: str, around_message_id: str | int | None = None, *, window: int = 5
    ) -> list[dict[str, Any]]:
        """Return a message with those around it, oldest first.

        Args:
            session_id: of the session.
            around_message_id: index of the message, as in `SessionHit.anchor_index`; the last
                message if it is none.
            window: so many messages before it and after it.

        Returns:
            Dicts with `index`, `role`, `content`, `timestamp` and `archived`.
        """
        check_id(session_id, "session_id")
        check_count(window, "window")
        view = self._read(session_id, archive=True)
        if view is None:
            return []
        messages = _all_messages(view.session)
        return _around(messages, _index(around_message_id, len(messages)), window)

    def recent(self, *, limit: int = 10) -> list[SessionSummary]:
        """Return the newest `limit` sessions, last written first."""
        check_count(limit, "limit")
        return [
            SessionSummary(
                session_id=view.session.session_id,
                title=_short_title(view.session),
                when=view.session.updated_at,
                message_count=view.message_count,
            )
            for view in self._list(SessionFilter(), limit)
        ]


def lineage_of(session: ExtendedSessionData) -> str | None:
    """Return what sessions that continue one another share, or None."""
    values = (session.metadata.get(key) for key in _LINEAGE)
    return next((str(value) for value in values if value), None)


def text_of_message(message: SessionMessage) -> str:
    """Return what a message says: its text, or that of its parts."""
    content = message.content
    if isinstance(content, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in content)
        return " ".join(part for part in parts if isinstance(part, str))
    return content or ""


_Found = tuple[SessionHit, str | None]  # with the lineage of its session


def _best(found: list[_Found], limit: int) -> list[_Found]:
    """Return the best hits, best first, one of each lineage."""
    best: list[_Found] = []
    seen: set[str] = set()
    for hit, lineage in sorted(found, key=lambda pair: _rank(pair[0]), reverse=True):
        if lineage is None or lineage not in seen:
            best.append((hit, lineage))
            seen.add(lineage or "")
        if len(best) == limit:
            break
    return best


def _rank(hit: SessionHit) -> tuple[float, str]:
    return hit.score, hit.when or ""


Numbered = list[tuple[SessionMessage, bool]]


def _all_messages(session: ExtendedSessionData) -> Numbered:
    """Return each message with whether it is archived."""
    archived = [(message, True) for message in session.archived_messages]
    return archived + [(message, False) for message in session.messages]


def _hit(
    session: ExtendedSessionData, phrase: str, terms: Sequence[str], window: int
) -> SessionHit | None:
    messages = _all_messages(session)
    scores = [_score(text_of_message(message).lower(), phrase, terms) for message, _ in messages]
    total = sum(scores)
    if not total:
        return None
    best = scores.index(max(scores))
    automated = _is_automated(session, [message for message, _ in messages])
    return SessionHit(
        session_id=session.session_id,
        title=_title(session, messages),
        when=session.updated_at or session.created_at,
        snippet=_snippet(text_of_message(messages[best][0]), phrase, terms),
        score=total * _AUTOMATED_FACTOR if automated else total,
        anchor_index=best,
        messages=_around(messages, best, window),
        bookends=_bookends(messages),
    )


def _score(text: str, phrase: str, terms: Sequence[str]) -> float:
    whole = _PHRASE_SCORE if phrase in text else 0.0
    return whole + sum(_TERM_SCORE for term in terms if term in text)


def _around(messages: Numbered, anchor: int, window: int) -> list[dict[str, Any]]:
    first, last = max(0, anchor - window), min(len(messages), anchor + window + 1)
    return [_entry(messages, index) for index in range(first, last)]


def _entry(messages: Numbered, index: int) -> dict[str, Any]:
    message, archived = messages[index]
    said = message.to_dict()
    entry = {"index": index} | {key: said[key] for key in ("role", "content", "timestamp")}
    return entry | {"archived": archived}


def _index(value: object, count: int) -> int:
    try:
        index = count - 1 if value is None else int(str(value))
    except ValueError:
        index = count - 1
    return max(0, min(index, count - 1))


def _bookends(messages: Numbered) -> dict[str, list[dict[str, Any]]]:
    turns = [
        index
        for index, (message, _) in enumerate(messages)
        if message.role in ("user", "assistant")
    ]
    if not turns:
        return {}
    closing = turns[-_BOOKENDS:] if len(turns) > _BOOKENDS else []
    return {
        "opening": [_entry(messages, index) for index in turns[:_BOOKENDS]],
        "closing": [_entry(messages, index) for index in closing],
    }


def _snippet(text: str, phrase: str, terms: Sequence[str]) -> str:
    text = " ".join(text.split())
    lower = text.lower()
    places = [lower.find(wanted) for wanted in (phrase, *terms)]
    at = next((place for place in places if place >= 0), 0)
    start = max(0, at - _SNIPPET_CHARACTERS // 2)
    end = start + _SNIPPET_CHARACTERS
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _is_automated(session: ExtendedSessionData, messages: Sequence[SessionMessage]) -> bool:
    source = str(session.metadata.get("source") or "").lower()
    if source in _AUTOMATED_SOURCES or session.metadata.get("automated") is True:
        return True
    if len(messages) < _RATE_MESSAGES:
        return False
    times = [message.timestamp for message in messages]
    hours = (max(times) - min(times)) / 3600
    return hours > 0 and len(times) / hours > _AUTOMATED_RATE


def _short_title(session: ExtendedSessionData) -> str:
    return session.shown_title or session.agent_name or session.session_id


def _title(session: ExtendedSessionData, messages: Numbered) -> str:
    if session.shown_title or session.agent_name:
        return _short_title(session)
    for message, _ in messages:
        text = " ".join(text_of_message(message).split())
        if message.role == "user" and text:
            return text[:_TITLE_CHARACTERS]
    return session.session_id
