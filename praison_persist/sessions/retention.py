"""How much of a conversation the model is shown: the window, and what becomes of the rest."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence

from praison_persist.errors import ConfigurationError
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.primitives import OpenSession, SessionPrimitives

__all__ = ["COMPACT", "DEFAULT_MAX_MESSAGES", "KEEP_ALL", "TRUNCATE", "WindowedStore", "shift"]

_log = logging.getLogger(__name__)

COMPACT, TRUNCATE, KEEP_ALL = "compact", "truncate", "keep_all"
DEFAULT_MAX_MESSAGES = 100

_HEADING = "[Session Summary]"
# A summary is shown to the model with every turn, and each turn adds to it: it has to stay small.
_SUMMARY_LINES = 20
_LINE_CHARACTERS = 160
_COUNT = re.compile(r"\d+ earlier messages are archived\. The last of them:")
_ARCHIVE_WARNING = 10_000  # messages


class WindowedStore(SessionPrimitives):
    """A store that keeps a window of the newest messages.

    Attributes:
        max_messages: how many messages a window holds, and `get_working_history` returns, unless
            said otherwise; 0: all.
        retention: what becomes of the messages that no longer fit: "compact" moves them to the
            archive and puts a summary in their place, "truncate" drops them, "keep_all" makes the
            window as large as needed.
        active_window: how many messages a window holds besides the summary; 0: all.
    """

    def __init__(
        self,
        max_messages: int = DEFAULT_MAX_MESSAGES,
        retention: str | None = None,
        active_window: int | None = None,
    ) -> None:
        """See the class.

        Args:
            max_messages: see the class.
            retention: None: "compact", or "truncate" where `max_messages` is not the default.
            active_window: None: `max_messages`.

        Raises:
            ConfigurationError: a negative number, or an unknown retention.
        """
        if retention is None:
            retention = COMPACT if max_messages == DEFAULT_MAX_MESSAGES else TRUNCATE
        if retention not in (COMPACT, TRUNCATE, KEEP_ALL):
            raise ConfigurationError(
                f"retention must be one of {COMPACT!r}, {TRUNCATE!r}, {KEEP_ALL!r}, "
                f"not {retention!r}"
            )
        for name, value in (("max_messages", max_messages), ("active_window", active_window)):
            if isinstance(value, bool) or not isinstance(value, int | None) or (value or 0) < 0:
                raise ConfigurationError(f"{name} must be a number of messages, not {value!r}")
        self.max_messages = max_messages
        self.retention = retention
        self.active_window = max_messages if active_window is None else active_window

    def _enforce_window(self, session: OpenSession) -> None:
        window, count = self.active_window, session.message_count
        if not window or count <= window or self.retention == KEEP_ALL:
            return
        overflow = count - window
        # A window that began with a tool's result, without its call, would be refused by models.
        while overflow < count and session.read(overflow, overflow + 1)[0].role == "tool":
            overflow += 1
        name = session.header.session_id
        if self.retention == TRUNCATE:
            session.drop_oldest(overflow)
            shift(session, overflow)
            _log.info("session %r: dropped its %d oldest messages", name, overflow)
            return
        leaving = session.read(0, overflow)
        earlier = leaving[0] if leaving[0].metadata.get("compaction") else None
        if earlier is not None and overflow == 1:
            return  # the summary itself is all that is too much
        turns = leaving if earlier is None else leaving[1:]
        session.roll_up(overflow, _summary(turns, earlier), had_summary=earlier is not None)
        shift(session, overflow - 1)
        _log.debug("session %r: archived %d messages", name, len(turns))


def shift(session: OpenSession, removed: int) -> None:
    """Keep the checkpoint's place among the messages when `removed` before it are gone."""
    checkpoint = session.header.last_compaction
    if checkpoint is not None:
        checkpoint.message_index = max(0, checkpoint.message_index - removed)


def _summary(turns: Sequence[SessionMessage], earlier: SessionMessage | None) -> SessionMessage:
    """Return a message that stands for `turns` and for those that an earlier summary stood for."""
    count, lines = len(turns), []
    if earlier is not None:
        known = earlier.metadata.get("compacted_count")
        count += known if isinstance(known, int) else 0
        lines = _lines_of(earlier.content)
    lines += [line for turn in turns if (line := _line(turn))]
    lines = lines[-_SUMMARY_LINES:]
    if count and count % _ARCHIVE_WARNING < len(turns):
        _log.warning("a session has archived %d messages; prune it or set retention", count)
    said = f"{count} earlier messages are archived. The last of them:"
    return SessionMessage(
        role="system",
        content="\n".join([_HEADING, said, *lines]),
        timestamp=turns[-1].timestamp,
        metadata={"compaction": True, "compacted_count": count},
    )


def _lines_of(content: object) -> list[str]:
    """Return the lines of an earlier summary, ours or another's, without its heading."""
    if not isinstance(content, str):
        return []
    lines = [line for line in content.splitlines() if line.strip()]
    if lines[:1] == [_HEADING]:
        del lines[0]
    if lines and _COUNT.fullmatch(lines[0]):
        del lines[0]
    return [line[: _LINE_CHARACTERS + 20] for line in lines]


def _line(turn: SessionMessage) -> str:
    text = " ".join(_texts(turn.content)).strip()
    text = " ".join(text.split())
    if len(text) > _LINE_CHARACTERS:
        text = f"{text[:_LINE_CHARACTERS]}…"
    return f"{turn.role}: {text}" if text else ""


def _texts(content: object) -> Iterable[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str):
                yield text
