"""Messages that could not be stored: kept in files elsewhere until their session takes them in."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from praison_persist.sessions._reading import dicts_of
from praison_persist.sessions.documents import (
    CorruptDocumentError,
    Documents,
    replace_file,
    set_aside,
)
from praison_persist.sessions.file_names import file_name, original_name
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import now_iso

__all__ = ["Spill", "Spilled"]

_log = logging.getLogger(__name__)

_LAST_MILLISECOND = 10**15  # in a file's name: less are milliseconds, more are nanoseconds


@dataclass(frozen=True, slots=True)
class Spilled:
    """Messages of one change that is not stored; see OpenDocument.take_in."""

    path: Path
    messages: list[SessionMessage]
    replaced: dict[str, Any] | None


class Spill:
    """The spilled messages of the sessions of one folder, in files of a folder that many share."""

    def __init__(self, folder: Path, session_dir: Path, *, is_default: bool) -> None:
        """See the class.

        Args:
            folder: where the files are.
            session_dir: the folder of the sessions.
            is_default: take files that name no session folder, as those of praisonaiagents.
        """
        self.folder = folder
        self._session_dir = str(session_dir)
        self._is_default = is_default
        self._documents = Documents(cache_maxsize=1)

    def put(
        self, session_id: str, messages: Sequence[SessionMessage], replaced: dict[str, Any] | None
    ) -> Path:
        """Keep messages and return their file, which also stands for what they replace.

        Raises:
            OSError: that is not possible either.
        """
        # An answer that is being written is replaced several times a second.
        superseded = [
            spilled
            for spilled in (self.waiting(session_id) if replaced is not None else ())
            if [message.to_dict() for message in spilled.messages] == [replaced]
        ]
        for spilled in superseded:
            replaced = spilled.replaced
        token = os.urandom(4).hex()
        name = f"{file_name(session_id)}.{time.time_ns()}.{os.getpid()}.{token}.json"
        path = self.folder / name
        replace_file(
            path,
            {
                "session_id": session_id,
                "session_dir": self._session_dir,
                "spilled_at": now_iso(),
                "messages": [message.to_dict() for message in messages],
                "replaced": replaced,
            },
        )
        self.remove(superseded)
        return path

    def waiting(self, session_id: str) -> list[Spilled]:
        """Return what is kept for a session, oldest first.

        Raises:
            OSError: the folder or one of the files cannot be read.
        """
        prefixes = {f"{file_name(session_id)}.", f"{original_name(session_id)}."}
        try:
            names = [
                name
                for name in os.listdir(self.folder)  # noqa: PTH208 - most of them are not ours
                if name.endswith(".json") and any(map(name.startswith, prefixes))
            ]
        except FileNotFoundError:
            return []
        found = [self._read(session_id, self.folder / name) for name in sorted(names, key=_time)]
        return [spilled for spilled in found if spilled is not None]

    def _read(self, session_id: str, path: Path) -> Spilled | None:
        try:
            document = self._documents.read(path)
        except CorruptDocumentError as error:
            with suppress(FileNotFoundError):
                kept = set_aside(path)
                _log.error(
                    "the spilled messages in %s cannot be read: %s; see %s", path, error, kept
                )
            return None
        if document is None or document.get("session_id") != session_id:
            return None
        folder = document.get("session_dir")
        if folder != self._session_dir and not (folder is None and self._is_default):
            return None
        replaced = document.get("replaced")
        return Spilled(
            path=path,
            messages=[
                SessionMessage.from_dict(item) for item in dicts_of(document.get("messages"))
            ],
            replaced=replaced if isinstance(replaced, dict) else None,
        )

    def remove(self, spilled: Iterable[Spilled]) -> None:
        """Forget messages that their session has taken in."""
        for entry in spilled:
            try:
                entry.path.unlink(missing_ok=True)
            except OSError as error:
                # Harmless: what is there already is not taken in a second time.
                _log.warning(
                    "%s: its messages are stored; it can be removed: %s", entry.path, error
                )


def _time(name: str) -> int:
    """Return when a file was written, in nanoseconds, by its name."""
    parts = name.rsplit(".", 4)
    moment = parts[1] if len(parts) == 5 else ""  # noqa: PLR2004 - name, time, process, token, json
    if not moment.isdecimal():
        return 0
    return int(moment) * (1 if int(moment) >= _LAST_MILLISECOND else 1_000_000)
