"""URLs of vendors that have none of their own: vendor://user:password@host:port/path."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from praison_persist.errors import ConfigurationError

__all__ = ["URLParts", "url_parts"]


@dataclass(frozen=True, slots=True)
class URLParts:
    """A URL taken apart; what it does not have is None.

    Attributes:
        hosts: one or several, without brackets and ports.
        path: without the slash before it.
        secure: by the scheme: it ends in "s" after the vendor's name.
    """

    hosts: tuple[str, ...]
    port: int | None
    username: str | None
    password: str | None
    path: str | None
    secure: bool


def url_parts(url: str, vendor: str) -> URLParts:
    """Take vendor://… or vendors://… apart.

    Raises:
        ConfigurationError: it is of another form; shows nothing of user and password.
    """
    form = f"A URL of {vendor} is {vendor}://user:password@host:port/path"
    if not isinstance(url, str):
        raise ConfigurationError(f"{form}, not of type {type(url).__name__}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"{form}: one with brackets that do not fit was given") from error
    if parts.scheme not in (vendor, f"{vendor}s"):
        raise ConfigurationError(f"{form}, not one of scheme {parts.scheme!r}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{form}; what it has behind ? or # belongs into options")
    credentials, _, places = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    hosts, ports = zip(*(_place(place, form) for place in places.split(",")), strict=True)
    given = {port for port in ports if port is not None}
    if len(given) > 1:
        raise ConfigurationError(f"{form}: all hosts have one port, not {sorted(given)}")
    return URLParts(
        tuple(host for host in hosts if host),
        next(iter(given), None),
        unquote(username) or None,
        unquote(password) or None,
        unquote(parts.path.removeprefix("/")) or None,
        parts.scheme != vendor,
    )


def _place(place: str, form: str) -> tuple[str, int | None]:
    """Return a host and its port."""
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):  # noqa: PLR2004 - of TCP
        raise ConfigurationError(f"{form}: the port cannot be {port!r}")
    return unquote(host), int(port) if port else None
