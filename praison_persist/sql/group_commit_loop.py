"""Group commit of the tasks of one event loop, over a driver that is made for it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from praison_persist._flow import arun
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

__all__ = ["LoopCommit"]


class LoopCommit:
    """Commits what the tasks of the running loop append to one database.

    What they append until the loop comes round again goes into one commit.

    Args:
        lanes: how many commits may run at once.
    """

    def __init__(self, lanes: int) -> None:
        self._free = lanes
        self._queue: deque[Slot] = deque()
        self._is_due = False
        self._leading: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(QUEUED_MAX)
        self._mutex = threading.Lock()  # nobody else has it: of `until_settled`

    async def submit(self, append: Append, commits: Commits) -> list[ConversationMessage]:
        """See `GroupCommit.submit_from_loop`."""
        slot = Slot(append, commits)
        async with self._places:
            self._queue.append(slot)
            self._be_due()
            await until_settled(slot, self._queue, self._mutex)
        return slot.result()

    def _be_due(self) -> None:
        if self._queue and self._free and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._is_due = False
        batch = take(self._queue)
        if not batch:  # cancelled meanwhile
            return
        self._free -= 1
        # Referred to, lest it is collected while it runs.
        task = asyncio.get_running_loop().create_task(self._lead(batch))
        for slot in batch:
            slot.batch, slot.leader = batch, task
        self._leading.add(task)
        task.add_done_callback(self._leading.discard)
        self._be_due()

    async def _lead(self, batch: list[Slot]) -> None:
        try:
            await arun(committing(batch))
        except BaseException as error:
            stopped(batch, error)
            raise
        finally:
            self._free += 1
            self._be_due()
            for slot in batch:
                slot.wake()
