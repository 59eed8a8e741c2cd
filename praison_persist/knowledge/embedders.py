"""Embedders of either colour, for stores of either colour."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from praison_persist._adapt import background_loop
from praison_persist.knowledge.flows import Embed

__all__ = ["Embedder", "embed_async", "embed_sync"]

Embedder = Callable[[list[str]], Sequence[Sequence[float]] | Awaitable[Sequence[Sequence[float]]]]


def embed_sync(embedder: Embedder | None) -> Embed | None:
    """Return a function that waits for the embeddings; an async embedder's on one loop."""
    if embedder is None:
        return None

    def embed(texts: list[str]) -> list[list[float]]:
        made: Any = embedder(texts)
        if inspect.isawaitable(made):
            made = background_loop().call(_awaited(made))
        return list(made)

    return embed


def embed_async(embedder: Embedder | None) -> Embed | None:
    """Return a coroutine function for the embeddings; a sync embedder works in a thread."""
    if embedder is None:
        return None

    async def embed(texts: list[str]) -> list[list[float]]:
        if _is_async(embedder):
            made: Any = embedder(texts)
        else:
            made = await asyncio.to_thread(embedder, texts)
        return list(await made if inspect.isawaitable(made) else made)

    return embed


def _is_async(embedder: Embedder) -> bool:
    called = getattr(embedder, "__call__", None)  # noqa: B004 - of an object that is callable
    return inspect.iscoroutinefunction(embedder) or inspect.iscoroutinefunction(called)


def _awaited(made: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    async def wait() -> Any:
        return await made

    return wait()
