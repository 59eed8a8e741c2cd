"""What the stores on SurrealDB share: connections of either colour, requests, what went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from surrealdb.errors import NotAllowedError, SurrealError, parse_query_error, parse_rpc_error

from praison_persist._flow import Flow, wait
from praison_persist._loops import PerLoop
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist._surrealdb_client import (
    LOST,
    AsyncEmbedded,
    AsyncRemote,
    Embedded,
    EngineError,
    Place,
    Remote,
)
from praison_persist._vendor import Vendor
from praison_persist.errors import PersistError, UnavailableError

__all__ = ["REFUSED", "Connection", "Connections", "SurrealDBVendor", "connect", "connect_async"]

# What a statement may fail with.
REFUSED = (SurrealError, EngineError)

# Writers of one record or index meet: seldom for long.
_RACE = RetryPolicy(100, 0.002, 0.1)

_UNDONE = "not executed due to a failed transaction"  # another statement's error says why
_CONFLICT = re.compile("conflict|can be retried", re.IGNORECASE)
_EXPIRED = re.compile("expired", re.IGNORECASE)
_NOT_ALLOWED = re.compile("authentication|permission|IAM error|not allowed", re.IGNORECASE)
_HTTP_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_UNAUTHORIZED = (401, 403)


class Connection(Protocol):
    """See `praison_persist._surrealdb_client`."""

    def query(self, text: str, values: dict[str, Any]) -> Any:
        """Return a response, or a coroutine of it."""

    def renew(self) -> Any:
        """Sign in again; None, or a coroutine."""

    def close(self) -> Any:
        """Close it; None, or a coroutine."""


# Returns the connection of this process or event loop; closes all: returns None, or a coroutine.
Connections = tuple[Callable[[], Connection], Callable[[], Any]]


def connect(place: Place) -> Connections:
    """Return the connections of a store, without connecting."""
    made = PerProcess(
        lambda: Embedded(place) if place.embedded else Remote(place),
        lambda connection: connection.close(),
    )
    return made.get, made.close


def connect_async(place: Place) -> Connections:
    """Return the connections of a store for asyncio, without connecting."""
    if place.embedded:
        engine = AsyncEmbedded(
            PerProcess(lambda: Embedded(place), lambda connection: connection.close())
        )
        return lambda: engine, engine.close
    made = PerLoop(lambda: AsyncRemote(place), lambda connection: connection.close())
    return made.get, made.close


class SurrealDBVendor(Vendor):
    """Requests, and the meaning of their errors.

    Args:
        connections: of the colour of `sleep`.
    """

    failures = (*LOST, *REFUSED)

    def __init__(
        self,
        connections: Connections,
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._connection, self._close = connections
        self.address, self.retry, self.sleep = address, retry, sleep

    def close(self) -> Flow[None]:
        """See Vendor.close."""
        yield from wait(self._close())

    def is_transient(self, error: BaseException) -> bool:
        """See Vendor.is_transient."""
        status = _status(error)
        if status is not None:
            return status in _HTTP_TRANSIENT
        if isinstance(error, LOST) or type(error) is SurrealError or _is_connection(error):
            return True
        return bool(_CONFLICT.search(str(error)))

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See Vendor.translate."""
        text = self.describe(error)
        if (
            isinstance(error, NotAllowedError)
            or _status(error) in _UNAUTHORIZED
            or (isinstance(error, SurrealError) and _NOT_ALLOWED.search(text))
        ):
            return UnavailableError(
                f"{self.address} refused: {text}. Check username, password, auth_level and rights"
            )
        return super().translate(error, action)

    def change(self, text: str, values: dict[str, Any]) -> Flow[list[Any]]:
        """Run statements, again while other writers are in the way; return their results."""
        delays_s = _RACE.delays()
        while True:
            try:
                return (yield from self.ask(text, values))
            except REFUSED as error:
                delay_s = next(delays_s, None) if _CONFLICT.search(str(error)) else None
                if delay_s is None:
                    raise
            yield from wait(self.sleep(delay_s))

    def ask(self, text: str, values: dict[str, Any]) -> Flow[list[Any]]:
        """Return the results of the statements."""
        try:
            return _results((yield from wait(self._connection().query(text, values))))
        except (*LOST, SurrealError) as error:
            if _status(error) != 401 and not _EXPIRED.search(str(error)):  # noqa: PLR2004 - HTTP's
                raise
            # A token is for an hour, by default: docs "DEFINE USER, DURATION".
            yield from wait(self._connection().renew())
        return _results((yield from wait(self._connection().query(text, values))))


def _results(response: Any) -> list[Any]:
    """Return what the statements of a response returned; raises the error of one."""
    if response.get("error") is not None:
        raise parse_rpc_error(response["error"])
    failed = [each for each in response["result"] if each["status"] != "OK"]
    if failed:
        told = [each for each in failed if _UNDONE not in str(each["result"])]
        raise parse_query_error((told or failed)[0])
    return [each["result"] for each in response["result"]]


def _is_connection(error: BaseException) -> bool:
    return type(error).__name__ in ("ConnectionUnavailableError", "UnexpectedResponseError")


def _status(error: BaseException) -> int | None:
    """Return the HTTP status in an error of requests, aiohttp or websockets."""
    status = getattr(error, "status", None)
    if status is None:
        status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
