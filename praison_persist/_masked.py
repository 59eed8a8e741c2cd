"""URLs and connection strings as they may be shown."""

from __future__ import annotations

import re

__all__ = ["is_secret", "masked"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/*")
_AUTHORITY = re.compile("[/?]")  # ends it
# What may stand between the slashes where there are no credentials.
_PLAIN_HOST = re.compile(r"(\[[^\]]*\]|[^:/?@]*)(:[0-9]*)?")
_SECRETS = "password|passwd|pwd|token|key|secret|credential|authorization"
_SECRET = re.compile(f"(?i)({_SECRETS})")
_IN_QUERY = re.compile(rf"(?i)({_SECRETS})\s*=[^&]*")
_IN_PARTS = re.compile(rf"(?i)({_SECRETS})\s*=[^;]*")


def is_secret(name: str) -> bool:
    """Whether an option of this name holds what is not to be shown."""
    return _SECRET.search(name) is not None


def masked(url: str) -> str:
    """Return `url` without any password, for messages; also when it cannot be parsed."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return _IN_PARTS.sub(r"\1=***", url)  # a path, or a connection string of key=value;
    rest = _IN_QUERY.sub(r"\1=***", url[scheme.end() :])
    # Everything up to the last "@" may be credentials: passwords with an unencoded "@" exist.
    credentials, at, location = rest.rpartition("@")
    if at:
        user = credentials.partition(":")[0]
        rest = f"{user}:***@{location}" if ":" in credentials else f"{credentials}@{location}"
    else:
        # A port that is no number may be a password whose host was forgotten.
        authority = _AUTHORITY.split(rest, 1)[0]
        if not all(_PLAIN_HOST.fullmatch(host) for host in authority.split(",")):
            rest = f"***{rest[len(authority) :]}"
    return scheme.group() + rest
