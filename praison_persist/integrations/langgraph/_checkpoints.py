"""Checkpoints of LangGraph in a state store: flows that put and get them. See `_keys`.

The values of channels are kept once for each version of the channel, since most do not change from
one checkpoint to the next. A checkpoint is written with its new values before it is added to the
index, so that one that is found is complete. What a task wrote is one value, and a hash beside the
checkpoint names the tasks, so that many tasks at a time do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from praison_persist._flow import Flow, wait
from praison_persist._ids import new_id
from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.integrations.langgraph._codec import pack, unpack
from praison_persist.integrations.langgraph._config import Place, place_of, runnable_config
from praison_persist.integrations.langgraph._index import Index
from praison_persist.integrations.langgraph._keys import Keys, RunKeys, place_field
from praison_persist.protocols import AsyncStateStore, StateStore

__all__ = ["Checkpoints", "Stored"]

_BATCH = 500  # keys read at once
_FIELD_MAX = 200  # of a task's id in the hash


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as it is kept.

    Attributes:
        row: {"checkpoint": packed, "metadata": packed, "parent": id or None, "run": id or None}.
        checkpoint: without the values of its channels.
    """

    namespace: str
    checkpoint_id: str
    row: dict[str, Any]
    checkpoint: dict[str, Any]
    metadata: CheckpointMetadata

    @property
    def versions(self) -> Mapping[str, str | int | float]:
        """Channel -> version."""
        versions: Mapping[str, str | int | float] = self.checkpoint["channel_versions"]
        return versions


class Checkpoints:
    """Checkpoints in a state store of either colour."""

    def __init__(
        self, state: StateStore | AsyncStateStore, serde: SerializerProtocol, prefix: str
    ) -> None:
        self.state, self.serde, self.prefix = state, serde, prefix
        self.run_keys = RunKeys(prefix)

    def keys(self, thread_id: str) -> Keys:
        """Return the keys of a thread."""
        return Keys(self.prefix, thread_id)

    def index(self, thread_id: str, namespace: str) -> Index:
        """Return the index of the checkpoint ids of a namespace."""
        keys = self.keys(thread_id)
        chunk = partial(keys.ids_chunk, namespace)
        return Index(self.state, keys.head(namespace), chunk, thread_id)

    def namespaces(self, thread_id: str) -> Flow[list[str]]:
        """Return the namespaces of a thread, those made first first."""
        entries = yield from self._namespace_index(thread_id).all()
        # One that two made at the same time is there twice.
        return list(dict.fromkeys(entry.partition(" ")[2] for entry in reversed(entries)))

    def _namespace_index(self, thread_id: str) -> Index:
        keys = self.keys(thread_id)
        return Index(self.state, keys.namespaces, keys.namespaces_chunk, thread_id)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Flow[RunnableConfig]:
        """See `BaseCheckpointSaver.put`."""
        place = place_of(config)
        kept: dict[str, Any] = dict(checkpoint)
        values = kept.pop("channel_values")
        all_metadata = get_checkpoint_metadata(config, metadata)
        run_id = all_metadata.get("run_id")
        row = {
            "checkpoint": pack(self.serde, kept),
            "metadata": pack(self.serde, all_metadata),
            "parent": place.checkpoint_id,
            "run": run_id if isinstance(run_id, str) and run_id else None,
        }
        keys = self.keys(place.thread_id)
        blobs = {
            keys.blob(place.namespace, channel, version): pack(self.serde, values[channel])
            for channel, version in new_versions.items()
            if channel in values
        }
        checkpoint_id = str(checkpoint["id"])
        yield from self.write(place.thread_id, place.namespace, {checkpoint_id: row}, blobs)
        return runnable_config(place.thread_id, place.namespace, checkpoint_id)

    def write(
        self,
        thread_id: str,
        namespace: str,
        rows: Mapping[str, dict[str, Any]],
        others: Mapping[str, Any],
    ) -> Flow[None]:
        """Write checkpoints by their ids, and other values with them; then index them."""
        keys = self.keys(thread_id)
        values = dict(others)
        for checkpoint_id, row in rows.items():
            values[keys.checkpoint(namespace, checkpoint_id)] = row
            if row["run"] is None:
                continue
            place = [thread_id, namespace, checkpoint_id]
            # Before the checkpoint: what is not there is passed over.
            key = self.run_keys.run(row["run"])
            yield from wait(self.state.hset(key, place_field(*place), place))
            values[keys.run(row["run"])] = row["run"]
        yield from wait(self.state.set_many(values))
        index = self.index(thread_id, namespace)
        for checkpoint_id in rows:
            yield from index.add(checkpoint_id, partial(self._announce, thread_id, namespace))

    def _announce(self, thread_id: str, namespace: str) -> Flow[None]:
        # A time first, so that namespaces are added in the order of the index.
        return self._namespace_index(thread_id).add(f"{new_id()} {namespace}")

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> Flow[None]:
        """See `BaseCheckpointSaver.put_writes`: the first regular write of a position stays."""
        place = place_of(config)
        if place.checkpoint_id is None:
            raise InvalidDataError(
                f"Writes of the task {task_id!r} need a checkpoint: the config has no checkpoint_id"
            )
        new = {
            str(WRITES_IDX_MAP.get(channel, position)): [
                channel,
                *pack(self.serde, value),
                task_path,
            ]
            for position, (channel, value) in enumerate(writes)
        }
        if not new:
            return
        keys = self.keys(place.thread_id)
        tasks = keys.tasks(place.namespace, place.checkpoint_id)
        key = keys.writes(place.namespace, place.checkpoint_id, task_id)
        # The task before its writes, so that writes that are there are found.
        yield from wait(self.state.hset(tasks, _task_field(task_id), task_id))
        if (yield from wait(self.state.set_if_absent(key, new))):
            return
        while True:
            found = yield from wait(self.state.get_versioned(key))
            stored: dict[str, Any] = {} if found is None else found.value
            # Errors, interrupts and what resumes them have positions below 0 and are replaced.
            regular = {at: write for at, write in stored.items() if int(at) >= 0}
            merged = {**stored, **new, **regular}
            if merged == stored:
                return
            version = 0 if found is None else found.version
            try:
                yield from wait(self.state.set(key, merged, expected_version=version))
            except ConflictError:
                continue  # another was faster
            return

    def get(self, config: RunnableConfig) -> Flow[CheckpointTuple | None]:
        """See `BaseCheckpointSaver.get_tuple`."""
        place = place_of(config)
        stored = yield from self._named_or_latest(place)
        if stored is None:
            return None
        return (yield from self.complete(place.thread_id, [stored]))[0]

    def _named_or_latest(self, place: Place) -> Flow[Stored | None]:
        thread_id, namespace = place.thread_id, place.namespace
        if place.checkpoint_id is not None:
            found = yield from self.read(thread_id, [(namespace, place.checkpoint_id)])
            return found[0] if found else None
        index, reading = self.index(thread_id, namespace), None
        while True:
            ids, reading = yield from index.read(reading)
            # More than one only where others delete at the same time.
            for checkpoint_id in ids:
                found = yield from self.read(thread_id, [(namespace, checkpoint_id)])
                if found:
                    return found[0]
            if reading is None:
                return None

    def read(self, thread_id: str, places: Sequence[tuple[str, str]]) -> Flow[list[Stored]]:
        """Return those checkpoints, by namespace and id, that there are; in their order."""
        keys = self.keys(thread_id)
        names = {keys.checkpoint(*place): place for place in places}
        rows = yield from self.values(list(names))
        return [self._stored(*names[key], row) for key, row in rows.items()]

    def _stored(self, namespace: str, checkpoint_id: str, row: dict[str, Any]) -> Stored:
        return Stored(
            namespace,
            checkpoint_id,
            row,
            unpack(self.serde, row["checkpoint"]),
            unpack(self.serde, row["metadata"]),
        )

    def values(self, keys: Sequence[str]) -> Flow[dict[str, Any]]:
        """Return key -> value for those of the keys that there are, in their order."""
        found: dict[str, Any] = {}
        for start in range(0, len(keys), _BATCH):
            found |= yield from wait(self.state.get_many(keys[start : start + _BATCH]))
        return found

    def blob_keys(self, thread_id: str, stored: Stored) -> dict[str, str]:
        """Return channel -> key of its value, for all channels that have a version."""
        keys = self.keys(thread_id)
        return {
            channel: keys.blob(stored.namespace, channel, version)
            for channel, version in stored.versions.items()
        }

    def write_keys(self, thread_id: str, stored: Stored) -> Flow[dict[str, str]]:
        """Return task -> key of its writes."""
        keys = self.keys(thread_id)
        place = stored.namespace, stored.checkpoint_id
        tasks = yield from wait(self.state.hgetall(keys.tasks(*place)))
        return {task_id: keys.writes(*place, task_id) for task_id in tasks.values()}

    def complete(self, thread_id: str, rows: Sequence[Stored]) -> Flow[list[CheckpointTuple]]:
        """Return the checkpoints with the values of their channels and their pending writes."""
        blobs = [self.blob_keys(thread_id, stored) for stored in rows]
        writes: list[dict[str, str]] = []
        for stored in rows:
            of_tasks = yield from self.write_keys(thread_id, stored)
            writes.append(of_tasks)
        wanted = dict.fromkeys(key for found in (*blobs, *writes) for key in found.values())
        values = yield from self.values(list(wanted))
        return [
            self._tuple(
                thread_id,
                stored,
                {channel: values[key] for channel, key in of_channel.items() if key in values},
                {task_id: values[key] for task_id, key in of_task.items() if key in values},
            )
            for stored, of_channel, of_task in zip(rows, blobs, writes, strict=True)
        ]

    def _tuple(
        self,
        thread_id: str,
        stored: Stored,
        blobs: Mapping[str, Any],
        writes: Mapping[str, Mapping[str, Any]],
    ) -> CheckpointTuple:
        values = {channel: unpack(self.serde, packed) for channel, packed in blobs.items()}
        ordered = sorted(
            (writes_sort_key(path, task_id, int(at)), channel, [kind, text])
            for task_id, of_task in writes.items()
            for at, (channel, kind, text, path) in of_task.items()
        )
        parent = stored.row["parent"]
        checkpoint: Any = {**stored.checkpoint, "channel_values": values}
        return CheckpointTuple(
            config=runnable_config(thread_id, stored.namespace, stored.checkpoint_id),
            checkpoint=checkpoint,
            metadata=stored.metadata,
            parent_config=runnable_config(thread_id, stored.namespace, parent) if parent else None,
            pending_writes=[
                (task_id, channel, unpack(self.serde, packed))
                for (_, task_id, _), channel, packed in ordered
            ],
        )


def _task_field(task_id: str) -> str:
    return task_id if 0 < len(task_id) <= _FIELD_MAX else f"%{place_field(task_id, '', '')}"
