"""Conversations as JSON Lines in a folder: nothing to install, and people can read them.

A message is appended to the file of its session and on disk when the call returns. Any number of
processes may share the folder. Listing sessions reads every file; for thousands of sessions that
are listed often, use a database.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from praison_persist.conversation.base import (
    AsyncBaseConversationStore,
    BaseConversationStore,
    in_thread,
)
from praison_persist.conversation.json_driver import JSONDriver
from praison_persist.errors import ConfigurationError

__all__ = ["AsyncJSONConversationStore", "JSONConversationStore"]

_PATH = "./praisonai_conversations"


class JSONConversationStore(BaseConversationStore):
    """Conversations in the files of a folder. Shared by threads and processes.

    What praisonai's JSON store wrote there is read, and taken over when it is first written to.

    Args:
        path: the folder; made when the first session is.
        pretty: writes text as it is; False escapes all that is not ASCII, and saves spaces.
        lock_timeout: seconds to wait for others who use the same session.
        url: "json:folder", "json:///relative/folder" or "json:////absolute/folder", for a path.
        clock: tells the time of writes, in seconds since the epoch.

    Raises:
        ConfigurationError: the URL is none of these.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = _PATH,
        pretty: bool = True,
        *,
        lock_timeout: float = 30.0,
        url: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        driver = JSONDriver(_folder(path, url), pretty=pretty, lock_timeout=lock_timeout)
        super().__init__(driver, clock=clock)


class AsyncJSONConversationStore(AsyncBaseConversationStore):
    """`JSONConversationStore` for asyncio: its work is done in worker threads."""

    def __init__(
        self,
        path: str | os.PathLike[str] = _PATH,
        pretty: bool = True,
        *,
        lock_timeout: float = 30.0,
        url: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        driver = JSONDriver(_folder(path, url), pretty=pretty, lock_timeout=lock_timeout)
        super().__init__(driver, clock=clock, drive=in_thread)


def _folder(path: str | os.PathLike[str], url: str | None) -> Path:
    """Return the folder, absolute, so that a later chdir does not move the data."""
    if url is not None:
        if path != _PATH:
            raise ConfigurationError("path= and url= both say where the folder is; give one")
        path = _path_of(url)
    if not os.fspath(path):
        raise ConfigurationError("path= names no folder")
    return Path(path).expanduser().absolute()


def _path_of(url: str) -> str:
    scheme, _, location = url.partition(":")
    host_and_path = location.removeprefix("//")
    if host_and_path != location:
        host, _, location = host_and_path.partition("/")
    else:
        host = ""
    if scheme.lower() != "json" or host or not location:
        raise ConfigurationError(
            f"{url!r} is no URL of a folder: write json:folder, json:///relative/folder or "
            "json:////absolute/folder"
        )
    return unquote(location)
