"""Functions of a database called over Supabase's REST API, which is PostgREST behind a gateway.

Through httpx, not the vendor's client (postgrest 2.34): its errors lack the HTTP status where the
body is JSON, and a gateway's 401 or 429 says nothing else by which it could be told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist.errors import ConfigurationError

__all__ = ["FAILURES", "Client", "Place", "RefusedError", "is_transient"]

_PATH = "/rest/v1"
# What a header may hold, without spaces (RFC 9110, 5.5).
_KEY = re.compile(r"[\x21-\x7e]+")

# What may not meet the next try. 52x are Cloudflare's, which is in front of supabase.co.
_TRANSIENT_STATUS = frozenset({408, 429, 502, 503, 504, *range(520, 525)})
_TRANSIENT_CODES = frozenset(
    {
        *("40001", "40P01", "55P03"),  # serialization failure, deadlock, lock timeout
        *("53300", "57P01", "57P02", "57P03"),  # too many connections, the server ends or starts
        *("PGRST000", "PGRST001", "PGRST002", "PGRST003"),  # PostgREST has no connection
    }
)

_BAD_GATEWAY = 502

Client = httpx.Client | httpx.AsyncClient
C = TypeVar("C", httpx.Client, httpx.AsyncClient)


class RefusedError(Exception):
    """The API answered with an error.

    Attributes:
        status: of HTTP.
        code: PostgREST's or PostgreSQL's (SQLSTATE); "" if a gateway answered.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code} {message}".replace("  ", " "))
        self.status, self.code = status, code


FAILURES = (RefusedError, httpx.HTTPError)


class Place:
    """Where a project's API is, and the key to it.

    Args:
        url: https://….supabase.co; default: SUPABASE_URL.
        key: default: SUPABASE_KEY.
        schema: of the functions.
        timeout: seconds to wait for a connection, and for each part of an answer.

    Attributes:
        address: where it is, for messages.

    Raises:
        ConfigurationError: there is no URL or no key, or they cannot be right.
    """

    def __init__(self, url: str | None, key: str | None, schema: str, timeout: float) -> None:
        url, key = url or os.environ.get("SUPABASE_URL"), key or os.environ.get("SUPABASE_KEY")
        if not url or not key:
            raise ConfigurationError(
                "Supabase needs url= and key=, or SUPABASE_URL and SUPABASE_KEY: the project's URL "
                "and its secret (service_role) key are in its settings, API"
            )
        if not _KEY.fullmatch(key):
            raise ConfigurationError("The key of Supabase has characters that none has")
        if not timeout > 0:
            raise ConfigurationError(f"timeout={timeout!r}: seconds, more than 0")
        self._base = _checked(url)
        self._key, self._schema, self._timeout = key, schema, timeout
        self.address = f"supabase at {urlsplit(self._base).netloc}"

    def client(self, kind: Callable[..., C]) -> C:
        """Return a client of this colour, which connects when it is first used."""
        return kind(
            base_url=f"{self._base}{_PATH}/rpc/",
            timeout=self._timeout,
            headers={
                "apikey": self._key,
                "Authorization": f"Bearer {self._key}",
                "Content-Type": "application/json",
                "Content-Profile": self._schema,
            },
        )

    def call(self, client: Client, function: str, arguments: Mapping[str, Any]) -> Flow[Any]:
        """Call a function with all its arguments by name; return the JSON value it returns.

        Raises:
            RefusedError: the API answered with an error, or with what is no JSON.
        """
        request: Any = client.post(function, content=dumps(arguments))
        response: httpx.Response = yield from wait(request)
        status = response.status_code
        try:
            value = loads(response.content) if response.content else None
        except ValueError:
            # A gateway's page: of an error, or of success where the API should have answered.
            shown = _BAD_GATEWAY if response.is_success else status
            raise RefusedError(shown, "", response.reason_phrase) from None
        if response.is_success:
            return value
        told = value if isinstance(value, dict) else {}
        message = str(told.get("message") or response.reason_phrase)
        raise RefusedError(status, str(told.get("code") or ""), message.replace(self._key, "***"))


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port, httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        # Their words quote what they do not understand, perhaps a password.
        raise ConfigurationError("The host or the port in the URL of Supabase is none") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"A Supabase URL is that of a project's API, https://….supabase.co, not one of scheme "
            f"{parts.scheme!r}; a postgresql:// URL belongs to the postgres backend"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            "A Supabase URL has neither a user nor a query; give the key as key= or SUPABASE_KEY"
        )
    return url.rstrip("/").removesuffix(_PATH)


def is_transient(error: BaseException) -> bool:
    """Whether one of FAILURES may not meet the next try."""
    if isinstance(error, RefusedError):
        return error.status in _TRANSIENT_STATUS or error.code in _TRANSIENT_CODES
    return isinstance(error, httpx.TransportError) and not isinstance(
        error, httpx.UnsupportedProtocol | httpx.LocalProtocolError
    )
