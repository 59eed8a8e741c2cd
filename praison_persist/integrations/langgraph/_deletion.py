"""What deletes and copies checkpoints: flows over `Checkpoints`.

A value of a channel is deleted with the last checkpoint that has it. A graph that runs meanwhile on
a checkpoint that is deleted may put a new one that has values which are gone: do not delete
checkpoints that a graph goes on from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from praison_persist._flow import Flow, wait
from praison_persist.errors import InvalidDataError
from praison_persist.integrations.langgraph._checkpoints import Checkpoints, Stored

__all__ = ["copy_thread", "delete_for_runs", "delete_thread", "prune"]

_PAGE = 100  # checkpoints
_KEEP_LATEST, _DELETE = "keep_latest", "delete"


def delete_thread(checkpoints: Checkpoints, thread_id: str) -> Flow[None]:
    """See `BaseCheckpointSaver.delete_thread`."""
    state, keys = checkpoints.state, checkpoints.keys(thread_id)
    for run_id in (yield from _runs(checkpoints, thread_id)):
        key = checkpoints.run_keys.run(run_id)
        places = yield from wait(state.hgetall(key))
        fields = [field for field, place in places.items() if place[0] == thread_id]
        yield from wait(state.hdel(key, *fields))
    yield from wait(state.clear(keys.all))
    # Last: until then the thread is found, and deleting it can be tried again.
    yield from wait(state.delete(keys.namespaces))


def _runs(checkpoints: Checkpoints, thread_id: str) -> Flow[list[str]]:
    found: dict[str, None] = {}
    cursor = None
    while True:
        page = yield from wait(
            checkpoints.state.page_keys(checkpoints.keys(thread_id).runs, cursor=cursor)
        )
        found |= dict.fromkeys((yield from checkpoints.values(page.keys)).values())
        cursor = page.next_cursor
        if cursor is None:
            return list(found)


def delete_for_runs(checkpoints: Checkpoints, run_ids: Sequence[str]) -> Flow[None]:
    """See `BaseCheckpointSaver.delete_for_runs`."""
    for run_id in run_ids:
        key = checkpoints.run_keys.run(str(run_id))
        places = yield from wait(checkpoints.state.hgetall(key))
        of_namespace: dict[tuple[str, str], list[str]] = {}
        for thread_id, namespace, checkpoint_id in places.values():
            of_namespace.setdefault((thread_id, namespace), []).append(checkpoint_id)
        for (thread_id, namespace), ids in of_namespace.items():
            yield from _remove(checkpoints, thread_id, namespace, ids)
        # Last, and only what was read: deleting can be tried again, and more may have been put.
        yield from wait(checkpoints.state.hdel(key, *places))


def prune(checkpoints: Checkpoints, thread_ids: Sequence[str], strategy: str) -> Flow[None]:
    """See `BaseCheckpointSaver.prune`."""
    if strategy not in (_KEEP_LATEST, _DELETE):
        raise InvalidDataError(
            f"Unknown strategy of prune: {strategy!r}. Known: {_KEEP_LATEST!r}, {_DELETE!r}"
        )
    for thread_id in thread_ids:
        if strategy == _DELETE:
            yield from delete_thread(checkpoints, thread_id)
            continue
        for namespace in (yield from checkpoints.namespaces(thread_id)):
            ids = yield from checkpoints.index(thread_id, namespace).all()
            kept = yield from _latest(checkpoints, thread_id, namespace, ids)
            if kept:
                # Newer ones were put meanwhile, and are not among those.
                removed = [each for each in ids if each not in kept]
                yield from _remove(checkpoints, thread_id, namespace, removed)


def _latest(
    checkpoints: Checkpoints, thread_id: str, namespace: str, ids: Sequence[str]
) -> Flow[set[str]]:
    """Return the latest id, with those of its ancestors that its delta channels are made of."""
    for checkpoint_id in ids:
        found = yield from checkpoints.read(thread_id, [(namespace, checkpoint_id)])
        if found:
            ancestors = yield from _replayed(checkpoints, thread_id, found[0])
            return {checkpoint_id, *ancestors}
    return set()


def _replayed(checkpoints: Checkpoints, thread_id: str, latest: Stored) -> Flow[set[str]]:
    """Return the ancestors that `get_delta_channel_history` visits from this checkpoint.

    It goes from parent to parent until each delta channel has a value of its own: the metadata
    counts the steps since then.
    """
    counted = latest.metadata.get("counters_since_delta_snapshot") or {}
    missing = {channel for channel in counted if channel in latest.versions}
    visited: set[str] = set()
    stored = latest
    while True:
        keys = checkpoints.blob_keys(thread_id, stored)
        wanted = {keys[channel]: channel for channel in missing if channel in keys}
        missing -= {wanted[key] for key in (yield from checkpoints.values(list(wanted)))}
        parent = stored.row["parent"]
        if not missing or parent is None or parent in visited:
            return visited
        found = yield from checkpoints.read(thread_id, [(latest.namespace, parent)])
        if not found:
            return visited
        stored = found[0]
        visited.add(parent)


def _remove(
    checkpoints: Checkpoints, thread_id: str, namespace: str, ids: Collection[str]
) -> Flow[None]:
    """Delete checkpoints with their writes, and the values that no other checkpoint has."""
    if not ids:
        return
    state, keys = checkpoints.state, checkpoints.keys(thread_id)
    gone: set[str] = set()
    removed: list[Stored] = []
    for some in _pages(sorted(ids)):
        removed += yield from checkpoints.read(thread_id, [(namespace, each) for each in some])
    for stored in removed:
        gone |= set(checkpoints.blob_keys(thread_id, stored).values())
    index = checkpoints.index(thread_id, namespace)
    # Out of the index first: what is found is complete.
    yield from index.remove(set(ids))
    for some in _pages((yield from index.all())):
        for other in (yield from checkpoints.read(thread_id, [(namespace, id_) for id_ in some])):
            gone -= set(checkpoints.blob_keys(thread_id, other).values())
    # Values before the checkpoints that tell of them, so that deleting can be tried again.
    for key in sorted(gone):
        yield from wait(state.delete(key))
    for stored in removed:
        for key in (yield from checkpoints.write_keys(thread_id, stored)).values():
            yield from wait(state.delete(key))
        yield from wait(state.delete(keys.tasks(namespace, stored.checkpoint_id)))
        yield from wait(state.delete(keys.checkpoint(namespace, stored.checkpoint_id)))


def copy_thread(checkpoints: Checkpoints, source: str, target: str) -> Flow[None]:
    """See `BaseCheckpointSaver.copy_thread`. What the target has beside stays.

    Raises:
        InvalidDataError: source and target are the same.
    """
    if source == target:
        raise InvalidDataError(f"The thread {source!r} cannot be copied onto itself")
    for namespace in (yield from checkpoints.namespaces(source)):
        ids = yield from checkpoints.index(source, namespace).all()
        # Oldest first, so that an interrupted copy has the ancestors of what it has.
        for some in _pages(sorted(ids)):
            rows = yield from checkpoints.read(source, [(namespace, each) for each in some])
            yield from _copy(checkpoints, source, target, namespace, rows)


def _copy(
    checkpoints: Checkpoints, source: str, target: str, namespace: str, rows: Sequence[Stored]
) -> Flow[None]:
    names: dict[str, str] = {}  # key in the source -> in the target
    to = checkpoints.keys(target)
    for stored in rows:
        here = checkpoints.blob_keys(source, stored)
        there = checkpoints.blob_keys(target, stored)
        names |= {here[channel]: there[channel] for channel in here}
        writes = yield from checkpoints.write_keys(source, stored)
        tasks = to.tasks(namespace, stored.checkpoint_id)
        fields = yield from wait(
            checkpoints.state.hgetall(
                checkpoints.keys(source).tasks(namespace, stored.checkpoint_id)
            )
        )
        for field, task_id in fields.items():
            yield from wait(checkpoints.state.hset(tasks, field, task_id))
            names[writes[task_id]] = to.writes(namespace, stored.checkpoint_id, task_id)
    values: dict[str, Any] = yield from checkpoints.values(list(names))
    others = {names[key]: value for key, value in values.items()}
    yield from checkpoints.write(
        target, namespace, {stored.checkpoint_id: stored.row for stored in rows}, others
    )


def _pages(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE)]
