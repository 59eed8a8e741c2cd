"""File names of sessions: safe on every file system, and different for ids that differ.

An id of small letters, digits, `-` and `_` is its own name. Any other has a readable beginning, `~`
and a hash of the id: `User/1` becomes `user_1~3f0c…`. So `A` and `a` differ where a file system
does not tell them apart, and no id can be made to look like another.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["file_name", "hashed_name", "is_plain", "original_name"]

_PLAIN = re.compile("[a-z0-9_-]{1,120}")
_RESERVED = re.compile("con|prn|aux|nul|com[0-9]|lpt[0-9]")  # by Windows
_PREFIX_MAX = 40  # characters


def is_plain(session_id: str) -> bool:
    """Whether an id can be a file's name as it is."""
    return bool(_PLAIN.fullmatch(session_id)) and not _RESERVED.fullmatch(session_id)


def file_name(session_id: str) -> str:
    """Return the name, without a suffix, of what belongs to a session."""
    return session_id if is_plain(session_id) else hashed_name(session_id)


def hashed_name(session_id: str) -> str:
    """Return the name that is a session's own, whatever files of others there are."""
    prefix = re.sub("[^a-z0-9_-]", "_", session_id.lower()[:_PREFIX_MAX])
    # Lone surrogates are refused as ids, but may stand in the files of others.
    digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}~{digest[:32]}"


def original_name(session_id: str) -> str:
    """Return the name that praisonaiagents gives to a session, and to others that look like it."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in session_id)
