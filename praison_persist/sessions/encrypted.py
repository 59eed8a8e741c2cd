"""Sessions of which nobody can read what is said without the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from praison_persist.errors import ConfigurationError, UnsupportedError
from praison_persist.sessions.base import SessionStore
from praison_persist.sessions.cipher import Cipher, generate_session_key
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import ExtendedSessionData, SessionSnapshot
from praison_persist.sessions.primitives import (
    Change,
    OpenSession,
    SessionFilter,
    SessionView,
)
from praison_persist.sessions.reports import SessionHit

__all__ = ["EncryptedSessionStore", "generate_session_key"]

R = TypeVar("R")


class EncryptedSessionStore(SessionStore):
    """Keeps sessions in another store, encrypted.

    Encrypted are contents, tool calls and metadata of messages, summaries, titles, a session's
    metadata, runtime states, labels and metadata of snapshots. Ids, roles, times, names of agents
    and the links between sessions stay readable: they are what sessions are found by. What was
    stored before there was a key is read as it is.

    The window is kept here, with the other store's settings: what it sees it could not summarise.
    Exports are decrypted.
    """

    def __init__(self, store: SessionStore, key: str | bytes) -> None:
        """See the class.

        Args:
            store: where the sessions are kept.
            key: of `generate_session_key`. Who loses it loses the sessions.

        Raises:
            ConfigurationError: no key, or no store of this package.
            MissingDependencyError: the package cryptography is not installed.
        """
        if not isinstance(store, SessionStore):
            raise ConfigurationError(
                f"store must be a SessionStore of praison_persist, not {type(store).__name__}"
            )
        self._cipher = Cipher(key)
        super().__init__(store.max_messages, store.retention, store.active_window)
        self._inner = store

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inner!r})"

    def search(self, query: str, *, limit: int = 5, window: int = 5) -> list[SessionHit]:
        """Raise: what is stored can be searched by nobody.

        Raises:
            UnsupportedError: always. No answer would look like "nothing found".
        """
        del query, limit, window
        raise UnsupportedError(
            "EncryptedSessionStore cannot search: what is stored is encrypted. Read the sessions "
            "with get_session and search there, or keep them in a store without encryption"
        )

    def flush_mirror(self, timeout: float | None = None) -> bool:
        """See MirroredStore; the mirror is the other store's, and is given what is encrypted."""
        return self._inner.flush_mirror(timeout)

    def close_mirror(self) -> None:
        """See MirroredStore."""
        self._inner.close_mirror()

    def invalidate_cache(self, session_id: str | None = None) -> None:
        """See HierarchyMethods."""
        self._inner.invalidate_cache(session_id)

    def _mirror_messages(self, session_id: str, messages: Sequence[SessionMessage]) -> None:
        sealed = [self._cipher.seal_message(message) for message in messages]
        self._inner._mirror_messages(session_id, sealed)  # noqa: SLF001 - one store around another

    def _read(
        self, session_id: str, *, last: int | None = None, archive: bool = False
    ) -> SessionView | None:
        view = self._inner._read(session_id, last=last, archive=archive)  # noqa: SLF001 - as above
        if view is not None:
            self._cipher.open_session(view.session)
        return view

    def _append_by(
        self, session_id: str, message: SessionMessage, change: Change, *, retention: bool = True
    ) -> bool:
        sealed = self._cipher.seal_message(message)
        by = self._sealed(change, retention=retention)
        return self._inner._append_by(session_id, sealed, by, retention=False)  # noqa: SLF001 - as above

    def _write(self, session_id: str, change: Change, *, what: str, retention: bool = True) -> bool:
        by = self._sealed(change, retention=retention)
        return self._inner._write(session_id, by, what=what, retention=False)  # noqa: SLF001 - as above

    def _sealed(self, change: Change, *, retention: bool) -> Change:
        """Return the change as the other store makes it, with room made in the window here."""

        def sealed(session: OpenSession) -> None:
            opened = _OpenedSession(session, self._cipher)
            change(opened)
            if retention:
                self._enforce_window(opened)
            opened.seal()

        return sealed

    def _put(self, session: ExtendedSessionData, *, overwrite: bool) -> None:
        self._inner._put(self._cipher.sealed_session(session), overwrite=overwrite)  # noqa: SLF001 - as above

    def _delete(self, session_id: str) -> bool:
        return self._inner._delete(session_id)  # noqa: SLF001 - as above

    def _fork(self, session_id: str, fork: ExtendedSessionData, count: int | None) -> None:
        self._inner._fork(session_id, self._cipher.sealed_session(fork), count)  # noqa: SLF001 - as above

    def _children(self, session_id: str) -> list[str]:
        return self._inner._children(session_id)  # noqa: SLF001 - as above

    def _list(self, only: SessionFilter, limit: int | None) -> list[SessionView]:
        views = self._inner._list(only, limit)  # noqa: SLF001 - as above
        for view in views:
            self._cipher.open_session(view.session)
        return views

    def _all(self) -> Iterator[ExtendedSessionData]:
        for session in self._inner._all():  # noqa: SLF001 - as above
            self._cipher.open_session(session)
            yield session


class _OpenedSession(OpenSession):
    """A session within a change, decrypted."""

    def __init__(self, sealed: OpenSession, cipher: Cipher) -> None:
        self._sealed, self._cipher = sealed, cipher
        self.header, self.is_new = sealed.header, sealed.is_new
        cipher.open_header(self.header)

    def seal(self) -> None:
        """Encrypt the header again: what the change has made of it is to be stored."""
        self._cipher.seal_header(self.header)

    @property
    def message_count(self) -> int:
        return self._sealed.message_count

    def read(self, start: int = 0, stop: int | None = None) -> list[SessionMessage]:
        return [self._cipher.open_message(message) for message in self._sealed.read(start, stop)]

    def append(self, messages: Sequence[SessionMessage]) -> None:
        self._sealed.append([self._cipher.seal_message(message) for message in messages])

    def replace_last(self, message: SessionMessage) -> None:
        self._sealed.replace_last(self._cipher.seal_message(message))

    def keep(self, count: int) -> None:
        self._sealed.keep(count)

    def drop_archive(self) -> None:
        self._sealed.drop_archive()

    def drop_oldest(self, count: int) -> None:
        self._sealed.drop_oldest(count)

    def roll_up(self, count: int, summary: SessionMessage, *, had_summary: bool) -> None:
        summary = self._cipher.seal_message(summary)
        self._sealed.roll_up(count, summary, had_summary=had_summary)

    def take_snapshot(self, snapshot: SessionSnapshot) -> None:
        self._within(lambda: self._sealed.take_snapshot(self._cipher.sealed_label(snapshot)))

    def restore(self, snapshot_id: str) -> bool:
        return self._within(lambda: self._sealed.restore(snapshot_id))

    def _within(self, action: Callable[[], R]) -> R:
        """Do what stores or sets the header's checkpoint, which is to be encrypted then."""
        self._cipher.seal_header(self.header)
        try:
            return action()
        finally:
            self._cipher.open_header(self.header)
