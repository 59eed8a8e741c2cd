"""A checkpointer of LangGraph over any state store."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from praison_persist._flow import arun, run
from praison_persist.integrations._closing import Closing
from praison_persist.integrations.langgraph import _deletion as deletion
from praison_persist.integrations.langgraph._checkpoints import Checkpoints
from praison_persist.integrations.langgraph._keys import check_key_prefix
from praison_persist.integrations.langgraph._listing import Listing
from praison_persist.integrations.langgraph._opening import StateOrURL, open_state

__all__ = ["PersistSaver"]


class PersistSaver(Closing, BaseCheckpointSaver[str]):  # type: ignore[misc]  # typed only where LangGraph is installed
    """Keeps the checkpoints of graphs in a state store, for sync and async graphs.

    Args:
        store: a state store of either colour, which stays the caller's to close; or the URL of one,
            a path of an SQLite file, or the name of a backend.
        serde: serializes checkpoints; None: LangGraph's own.
        key_prefix: begins all keys in the store; 1 to 60 letters, digits, "_" and ".".
        options: of the store that is made from a URL.

    Raises:
        ConfigurationError: the URL, an option or the prefix cannot be right, or the store has no
            compare-and-set.
        MissingDependencyError: the driver is not installed.
    """

    def __init__(
        self,
        store: StateOrURL,
        *,
        serde: SerializerProtocol | None = None,
        key_prefix: str = "langgraph",
        **options: Any,
    ) -> None:
        super().__init__(serde=serde)
        self._prefix = check_key_prefix(key_prefix)
        self._opened = open_state(store, options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._opened.sync!r})"

    # LangGraph clones a checkpointer and sets the serde of the clone: it is looked up at each call.
    @property
    def _sync(self) -> Checkpoints:
        return Checkpoints(self._opened.sync, self.serde, self._prefix)

    @property
    def _async(self) -> Checkpoints:
        return Checkpoints(self._opened.asynchronous, self.serde, self._prefix)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that the config names, or the latest; None if there is none."""
        return run(self._sync.get(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, newest first.

        Args:
            config: names a thread, perhaps a namespace (else all), perhaps a checkpoint; None:
                all threads, one after the other.
            filter: metadata that they have, by name.
            before: yield only those with lesser ids than the checkpoint that this names.
            limit: how many at most.
        """
        listing = Listing(self._sync, config, metadata=filter, before=before, limit=limit)
        while page := run(listing.next_page()):
            yield from page

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; return the config that names it."""
        return run(self._sync.put(config, checkpoint, metadata, new_versions))

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote after the checkpoint; the same again is the same write."""
        run(self._sync.put_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """Delete all that there is of a thread."""
        run(deletion.delete_thread(self._sync, str(thread_id)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints whose metadata has one of these as its `run_id`."""
        run(deletion.delete_for_runs(self._sync, run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another."""
        run(deletion.copy_thread(self._sync, str(source_thread_id), str(target_thread_id)))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete all but the latest checkpoint of each namespace, or ("delete") all.

        Of graphs with delta channels, ancestors that the latest one is replayed from are kept.
        """
        run(deletion.prune(self._sync, [str(each) for each in thread_ids], strategy))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See `get_tuple`."""
        return await arun(self._async.get(config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """See `list`."""
        listing = Listing(self._async, config, metadata=filter, before=before, limit=limit)
        while page := await arun(listing.next_page()):
            for each in page:
                yield each

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """See `put`."""
        return await arun(self._async.put(config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """See `put_writes`."""
        await arun(self._async.put_writes(config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """See `delete_thread`."""
        await arun(deletion.delete_thread(self._async, str(thread_id)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """See `delete_for_runs`."""
        await arun(deletion.delete_for_runs(self._async, run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """See `copy_thread`."""
        await arun(deletion.copy_thread(self._async, str(source_thread_id), str(target_thread_id)))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """See `prune`."""
        await arun(deletion.prune(self._async, [str(each) for each in thread_ids], strategy))

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return a greater version, which no other branch of the thread gives to another value."""
        del channel
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:032}.{random.random():016}"  # noqa: S311 - tells branches apart

    def close(self) -> None:
        """See `Closing.close`."""
        self._opened.close()

    async def aclose(self) -> None:
        """See `Closing.aclose`."""
        await self._opened.aclose()
