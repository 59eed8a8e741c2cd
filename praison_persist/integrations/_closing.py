"""Adapters as context managers of both colours."""

from __future__ import annotations

from abc import abstractmethod
from types import TracebackType
from typing import Self

__all__ = ["Closing"]


class Closing:
    """What closes on leaving a `with` or `async with` block.

    No ABC of its own: the frameworks' classes that it stands beside are, with their metaclass.
    """

    @abstractmethod
    def close(self) -> None:
        """Close what a URL opened; a store that was handed in stays open.

        Closing twice is closing once.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close what a URL opened, on the running event loop; see `close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
