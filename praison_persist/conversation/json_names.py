"""Which file a session is in: no two sessions share one, on any file system."""

from __future__ import annotations

import hashlib
import re
import zlib

__all__ = ["SUFFIX", "lock_name", "session_name"]

SUFFIX = ".jsonl"

_STRIPES = 64
_READABLE = 80  # characters that a name keeps of an id that is no name
_PLAIN = re.compile(r"[a-z0-9_-][a-z0-9_.-]{0,99}")
_OTHER = re.compile(r"[^A-Za-z0-9_-]")
# Microsoft, "Naming Files, Paths, and Namespaces": with any suffix they are devices.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def session_name(session_id: str) -> str:
    """Return the name of the session's file.

    An id of small letters, digits, ".", "_" and "-" is the name. Others keep what is readable of
    them, and get a hash behind "~", which no plain name has: file systems take "A" for "a", and
    have no room for 255 characters.
    """
    if _PLAIN.fullmatch(session_id) and not _DEVICES.fullmatch(session_id):
        return f"{session_id}{SUFFIX}"
    digest = hashlib.sha256(session_id.encode()).hexdigest()[:32]
    return f"{_OTHER.sub('_', session_id[:_READABLE])}~{digest}{SUFFIX}"


def lock_name(session_id: str) -> str:
    """Return the name of the lock that the session shares with some others.

    A lock for each would leave a file behind for each session that was ever deleted.
    """
    return f"{zlib.crc32(session_id.encode()) % _STRIPES:02}.lock"
