"""What every vendor's driver says of itself, and how its hooks are called: retried, translated."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from praison_persist._flow import Flow, wait
from praison_persist._retry import RetryPolicy
from praison_persist.errors import BackendError, PersistError, UnavailableError

__all__ = ["Calls", "Vendor", "done"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


def done(value: T) -> Flow[T]:
    """Return a flow that waits for nothing."""
    yield from ()
    return value


class Vendor(ABC):
    """What the drivers of all kinds of stores have in common.

    Attributes:
        address: where the data is, for messages; without credentials.
        failures: the exceptions that its hooks let through from the vendor's package.
        retry: how often to repeat a hook that failed transiently. Each hook may be repeated.
        sleep: waits so many seconds, in the colour of the client.
    """

    address: str = ""
    failures: tuple[type[BaseException], ...] = ()
    retry: RetryPolicy = RetryPolicy(max_retries=0)
    sleep: Callable[[float], Any] = staticmethod(time.sleep)

    @abstractmethod
    def close(self) -> Flow[None]:
        """Release connections. Called once."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether one of `failures` may not meet the next try."""
        del error
        return False

    def translate(self, error: BaseException, action: str) -> PersistError:
        """Return our exception for one of `failures` that was not transient."""
        return BackendError(f"{self.address}: cannot {action}: {self.describe(error)}")

    def describe(self, error: BaseException) -> str:
        """Return the vendor's words, shortened, without credentials."""
        return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


class Calls:
    """Calls the hooks of a driver, until it is closed."""

    def __init__(self, driver: Vendor) -> None:
        self._vendor = driver
        self._closed = False

    def call(self, action: str, hook: Callable[[], Flow[T]]) -> Flow[T]:
        """Call a hook, again as long as that can help; raise what the caller gets otherwise."""
        if self._closed:
            raise PersistError(f"The store of {self._vendor.address} is closed; open a new one")
        driver = self._vendor
        started, attempt, delays = time.monotonic(), 0, None
        while True:
            attempt += 1
            try:
                return (yield from hook())
            except driver.failures as error:
                if not driver.is_transient(error):
                    raise driver.translate(error, action) from error
                delays = delays or driver.retry.delays()
                delay = next(delays, None)
                if delay is None:
                    raise self._unavailable(error, action, attempt, started) from error
                _log.warning(
                    "%s: try %d to %s failed, next in %.2f s: %s",
                    driver.address,
                    attempt,
                    action,
                    delay,
                    type(error).__name__,
                )
            yield from wait(driver.sleep(delay))

    def close(self) -> Flow[None]:
        """Close the driver; again, and nothing happens."""
        if not self._closed:
            self._closed = True
            yield from self._vendor.close()

    def _unavailable(
        self, error: BaseException, action: str, attempts: int, started: float
    ) -> UnavailableError:
        elapsed_s = time.monotonic() - started
        return UnavailableError(
            f"{self._vendor.address}: cannot {action} after {attempts} attempts in "
            f"{elapsed_s:.1f} s: {self._vendor.describe(error)}. "
            "Check that the server runs and can be reached",
            attempts=attempts,
            elapsed_s=elapsed_s,
        )
