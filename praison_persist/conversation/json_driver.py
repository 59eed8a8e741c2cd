"""The driver of conversations in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import filelock

from praison_persist._flow import Flow
from praison_persist.conversation.driver import (
    ConversationDriver,
    Row,
    done,
    numbered,
    replaced,
)
from praison_persist.conversation.json_folder import Folder
from praison_persist.conversation.json_lines import message_lines, session_line
from praison_persist.errors import BackendError, PersistError, UnavailableError

__all__ = ["JSONDriver"]

_SUPERSEDED = 65_536  # bytes of old sessions in a file that are not worth writing it anew


class JSONDriver(ConversationDriver):
    """Conversations in the files of a folder."""

    failures = (OSError, filelock.Timeout)

    def __init__(self, folder: Path, *, pretty: bool, lock_timeout: float) -> None:
        self.address = f"json:{quote(str(folder))}"
        self.path = folder
        self._folder = Folder(folder, pretty=pretty, wait_s=lock_timeout)

    def close(self) -> Flow[None]:
        """Forget what was remembered."""
        self._folder.forget()
        return done(None)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See Vendor.translate."""
        if isinstance(error, filelock.Timeout):
            return UnavailableError(
                f"Cannot {action} in {self._folder.path}: others have held {error.lock_file} for "
                f"{self._folder.wait_s} s. Look what they wait for",
                elapsed_s=self._folder.wait_s,
            )
        return BackendError(
            f"Cannot {action} in {self._folder.path}: {self.describe(error)}. "
            "Check the folder, its permissions and its free space"
        )

    def insert_session(self, session: Row) -> Flow[bool]:
        """See ConversationDriver.insert_session."""
        return self.insert_whole(session | {"last_seq": 0}, [])

    def find_session(self, session_id: str) -> Flow[Row | None]:
        """See ConversationDriver.find_session."""
        with self._folder.reading(session_id) as found:
            return done(None if found is None else found.own_session())

    def replace_session(
        self, session: Row, now: float, expected_version: int | None
    ) -> Flow[Row | None]:
        """See ConversationDriver.replace_session."""
        with self._folder.writing(session["session_id"]) as found:
            if found is None:
                return done(None)
            new = replaced(found.session, session, now, expected_version)
            if found.superseded > max(_SUPERSEDED, found.end // 2):
                self._folder.rewrite(found, new, found.places.values())
            else:
                self._folder.append(found, session_line(new, pretty=self._folder.pretty))
            return done(new)

    def remove_session(self, session_id: str) -> Flow[bool]:
        """See ConversationDriver.remove_session."""
        with self._folder.reading(session_id) as found:
            if found is None:
                return done(False)
            self._folder.remove(found)
            return done(True)

    def sessions(
        self,
        user_id: str | None,
        agent_id: str | None,
        *,
        limit: int | None,
        offset: int,
        below: tuple[float, str] | None,
    ) -> Flow[list[Row]]:
        """See ConversationDriver.sessions. Reads every file of the folder."""
        found = [
            row
            for row in self._folder.summaries()
            if user_id in (None, row["user_id"])
            and agent_id in (None, row["agent_id"])
            and (below is None or _position(row) < below)
        ]
        found.sort(key=_position, reverse=True)
        return done(found[offset:] if limit is None else found[offset : offset + limit])

    def append(
        self, session_id: str, messages: Sequence[Row], now: float
    ) -> Flow[list[Row] | None]:
        """See ConversationDriver.append."""
        with self._folder.writing(session_id) as found:
            if found is None:
                return done(None)
            places = [found.places[m["id"]] for m in messages if m["id"] in found.places]
            known = {row["id"]: row for row in self._folder.rows(found, places)}
            stored, new = numbered(messages, known, found.session["last_seq"])
            if new:
                updated_at = max(found.session["updated_at"], now)
                self._folder.append(
                    found, message_lines(new, updated_at, pretty=self._folder.pretty)
                )
            return done(stored)

    def messages(
        self,
        session_id: str,
        *,
        limit: int | None,
        above: int | None,
        below: int | None,
        before: float | None,
        after: float | None,
        newest_first: bool,
    ) -> Flow[list[Row]]:
        """See ConversationDriver.messages."""
        with self._folder.reading(session_id) as found:
            if found is None:
                return done([])
            every = found.places.values()
            places = (
                place
                for place in (reversed(every) if newest_first else every)
                if (above is None or place.seq > above)
                and (below is None or place.seq < below)
                and (before is None or place.created_at < before)
                and (after is None or place.created_at > after)
            )
            return done(self._folder.rows(found, islice(places, limit)))

    def remove_messages(self, session_id: str, ids: Sequence[str] | None) -> Flow[int]:
        """See ConversationDriver.remove_messages. Writes the file anew: nothing of them stays."""
        with self._folder.writing(session_id) as found:
            if found is None:
                return done(0)
            gone = found.places.keys() if ids is None else found.places.keys() & set(ids)
            count = len(gone)
            if count:
                kept = [place for key, place in found.places.items() if key not in gone]
                self._folder.rewrite(found, found.session, kept)
            return done(count)

    def count(self, session_id: str) -> Flow[int]:
        """See ConversationDriver.count."""
        with self._folder.reading(session_id) as found:
            return done(len(found.places) if found else 0)

    def find_whole(self, session_id: str) -> Flow[tuple[Row, list[Row]] | None]:
        """See ConversationDriver.find_whole."""
        with self._folder.reading(session_id) as found:
            if found is None:
                return done(None)
            return done((found.own_session(), self._folder.rows(found, found.places.values())))

    def insert_whole(self, session: Row, messages: Sequence[Row]) -> Flow[bool]:
        """See ConversationDriver.insert_whole."""
        session_id = session["session_id"]
        with self._folder.holding(session_id) as found:
            if found is not None:
                return done(False)
            self._folder.create(session, messages)
            return done(True)


def _position(row: Row) -> tuple[float, str]:
    return row["updated_at"], row["session_id"]
