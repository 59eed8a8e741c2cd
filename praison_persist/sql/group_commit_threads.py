"""Group commit of threads, and of tasks where the driver has no asyncio of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from praison_persist._flow import finish, run
from praison_persist.models import ConversationMessage
from praison_persist.sql.appends import Append
from praison_persist.sql.group_commit import (
    QUEUED_MAX,
    Commits,
    Slot,
    committing,
    stopped,
    take,
    until_settled,
)

__all__ = ["GroupCommit"]

R = TypeVar("R")


class GroupCommit:
    """Commits what threads, and tasks of any event loop, append to one database.

    Threads take turns at leading, each for a commit. For tasks a thread of its own leads, and wakes
    each event loop once a commit.

    Args:
        lanes: how many commits may run at once.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self.forget()

    def forget(self) -> None:
        """Begin anew, in the child of a fork: who led or waited is a thread of the parent."""
        self._mutex = threading.Lock()
        self._free = self._lanes
        self._queue: deque[Slot] = deque()
        self._room = threading.Condition(self._mutex)
        self._loop_places: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}
        self._thread: ThreadPoolExecutor | None = None

    def submit(self, append: Append, commits: Commits) -> list[ConversationMessage]:
        """Append, and return when it is committed.

        Raises:
            PersistError: what became of these messages; nothing is known of them after an
                UnavailableError.
        """
        slot = Slot(append, commits)
        if self._may_lead(slot):
            self._lead([slot])
        else:
            self._wait(slot)
        return slot.result()

    def _may_lead(self, slot: Slot) -> bool:
        """Take a lane, or queue the slot."""
        with self._mutex:
            while not self._free and len(self._queue) >= QUEUED_MAX:
                self._room.wait()
            if self._free:
                self._free -= 1
                return True
            slot.turn = threading.Lock()
            slot.turn.acquire()
            self._queue.append(slot)
        return False

    def _wait(self, slot: Slot) -> None:
        assert slot.turn is not None  # noqa: S101 - of a thread
        try:
            slot.turn.acquire()
        except BaseException:  # KeyboardInterrupt, in the main thread
            with self._mutex:
                if slot in self._queue:
                    self._queue.remove(slot)
                    raise
            # It is being written or is to lead: the lane must not be lost with this thread.
            slot.turn.acquire()
            if slot.batch is not None:
                self._lead(slot.batch)
            raise
        if slot.batch is not None:
            self._lead(slot.batch)

    async def submit_from_loop(self, append: Append, commits: Commits) -> list[ConversationMessage]:
        """See `submit`. A task that is cancelled waits for a commit that has begun."""
        loop = asyncio.get_running_loop()
        places = self._loop_places.get(loop) or self._places_of(loop)
        slot = Slot(append, commits)
        slot.future = loop.create_future()
        async with places:
            with self._mutex:
                self._queue.append(slot)
                is_free = self._free > 0
            if is_free:
                # Soon: what other tasks append until the loop comes round again goes with it. If
                # the loop stops before, whoever leads next finds it in the queue.
                loop.call_soon(self._start_waiting)
            await until_settled(slot, self._queue, self._mutex)
        return slot.result()

    def _places_of(self, loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
        with self._mutex:
            for known in [known for known in self._loop_places if known.is_closed()]:
                del self._loop_places[known]
            return self._loop_places.setdefault(loop, asyncio.Semaphore(QUEUED_MAX))

    async def run_in_thread(self, work: Callable[[], R]) -> R:
        """Run another write in the thread that leads for tasks."""
        context = contextvars.copy_context()
        return await finish(asyncio.wrap_future(self._executor().submit(context.run, work)))

    def close(self) -> None:
        """Let the thread end when it has done what it was given."""
        with self._mutex:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False)

    def _executor(self) -> ThreadPoolExecutor:
        with self._mutex:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(self._lanes, "praison_persist-writer")
            return self._thread

    def _start_waiting(self) -> None:
        with self._mutex:
            if not (self._free and self._queue):
                return
            self._free -= 1
            batch = take(self._queue)
        if not self._hand_over(batch):
            self._start(batch)

    def _hand_over(self, batch: list[Slot]) -> bool:
        """Let the thread that waits first lead the batch, if it is a thread that does."""
        first = batch[0]
        if first.turn is None:
            return False
        first.batch = batch
        first.turn.release()
        return True

    def _start(self, batch: list[Slot]) -> None:
        self._executor().submit(self._lead, batch)

    def _lead(self, batch: list[Slot]) -> None:
        """Commit a batch, and hand the lane to who waits first."""
        while True:
            try:
                run(committing(batch))
            except BaseException as error:
                stopped(batch, error)
                self._pass_on(batch, goes_on=False)
                raise
            following = self._pass_on(batch, goes_on=batch[0].future is not None)
            if not following:
                return
            batch = following

    def _pass_on(self, batch: Sequence[Slot], *, goes_on: bool) -> list[Slot]:
        """Wake the callers of a batch and whoever is to lead the next.

        Args:
            batch: is settled; its first is who led it, or a task.
            goes_on: this thread may lead again for tasks.

        Returns:
            The next batch, if it is for this thread.
        """
        with self._mutex:
            following = take(self._queue)
            if not following:
                self._free += 1
            self._room.notify_all()
        if following and self._hand_over(following):
            following = []
        elif following and not goes_on:
            self._start(following)
            following = []
        tasks: dict[asyncio.AbstractEventLoop, list[Slot]] = {}
        for slot in batch:
            if slot.future is not None:
                tasks.setdefault(slot.future.get_loop(), []).append(slot)
            elif slot is not batch[0] and slot.turn is not None:
                slot.turn.release()
        for loop, slots in tasks.items():
            with suppress(RuntimeError):  # a loop was closed, and its tasks with it
                loop.call_soon_threadsafe(_wake, slots)
        return following


def _wake(slots: Sequence[Slot]) -> None:
    for slot in slots:
        slot.wake()
