"""Group commit: whoever finds nobody writing writes; who comes meanwhile goes with the next commit.

There is no delay: a caller that is alone commits alone. A caller returns when the commit that holds
its messages is done, with what became of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from praison_persist._flow import Flow, let_end, wait
from praison_persist.errors import PersistError, UnavailableError
from praison_persist.models import ConversationMessage
from praison_persist.sql.appends import Append, Irregular

__all__ = ["QUEUED_MAX", "Commits", "Slot", "committing", "stopped", "take", "until_settled"]

# Callers beyond this wait before they are queued.
QUEUED_MAX: Final = 4096
# Of one commit: what comes later is not to wait longer than this takes.
_MESSAGES_MAX: Final = 1024
_CHARACTERS_MAX: Final = 1 << 20


class Commits(Protocol):
    """How a store commits, with its own retries and errors; a coroutine of an async one."""

    def commit(self, appends: Sequence[Append]) -> Any:
        """Append all in one transaction; see `Appender`."""
        ...

    def commit_alone(self, append: Append) -> Any:
        """Append by the operation that knows all cases. Return the stored messages."""
        ...


class Slot:
    """A caller that waits for its messages to be stored.

    Attributes:
        turn: of a thread: released when it is served, or is to lead `batch`.
        future: of a task: done when it is served.
        batch: what it is committed with.
        leader: the task that commits it.
    """

    __slots__ = ("append", "batch", "commits", "error", "future", "leader", "stored", "turn")

    def __init__(self, append: Append, commits: Commits) -> None:
        self.append, self.commits = append, commits
        self.stored: list[ConversationMessage] | None = None
        self.error: BaseException | None = None
        self.turn: threading.Lock | None = None
        self.batch: list[Slot] | None = None
        self.future: asyncio.Future[None] | None = None
        self.leader: asyncio.Task[None] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether its messages are stored, or are known not to be."""
        return self.stored is not None or self.error is not None

    def result(self) -> list[ConversationMessage]:
        """Return the stored messages, or raise what kept them from being stored."""
        error, self.error = self.error, None
        if error is not None:
            raise error
        return self.stored or []

    async def give_up(self) -> None:
        """Let go of a commit that takes too long; the last who waits for it ends it."""
        if self.leader is None or self.batch is None:
            return
        futures = [slot.future for slot in self.batch]
        if all(future is not None and future.cancelled() for future in futures):
            self.leader.cancel()
            await let_end(self.leader)

    def wake(self) -> None:
        """Tell the task. To be called on its loop."""
        if self.future is not None and not self.future.done():  # one that gave up has left
            self.future.set_result(None)


def take(queue: deque[Slot]) -> list[Slot]:
    """Take from the queue what goes into one commit."""
    batch: list[Slot] = []
    messages = characters = 0
    while queue:
        append = queue[0].append
        messages += len(append.messages)
        characters += append.size
        if batch and (messages > _MESSAGES_MAX or characters > _CHARACTERS_MAX):
            break
        batch.append(queue.popleft())
    return batch


def committing(batch: Sequence[Slot]) -> Flow[None]:
    """Settle all of a batch: in one commit if that works, else each alone.

    One caller's fault is not to be the others'. Where the database is away it is everybody's, and
    known after one try.
    """
    try:
        commits = batch[0].commits
        alone: Iterable[Slot] = batch
        try:
            stored = yield from wait(commits.commit([slot.append for slot in batch]))
        except UnavailableError:
            raise
        except (PersistError, Irregular) as error:
            if len(batch) == 1 and isinstance(error, PersistError):
                raise
        else:
            for slot, is_stored in zip(batch, stored, strict=True):
                if is_stored:
                    slot.stored = slot.append.messages
            alone = [slot for slot in batch if slot.stored is None]
        for slot in alone:
            try:
                slot.stored = yield from wait(commits.commit_alone(slot.append))
            except UnavailableError:
                raise
            except PersistError as error:
                slot.error = error
    except Exception as error:  # noqa: BLE001 - each caller raises its own
        _fail(batch, error)


def _fail(batch: Sequence[Slot], error: Exception) -> None:
    """Give an error to all callers that wait: to each its own, whose traceback is its own."""
    unsettled = [slot for slot in batch if not slot.is_settled]
    for index, slot in enumerate(unsettled):
        slot.error = error
        if index and isinstance(error, UnavailableError):
            new = UnavailableError(str(error), attempts=error.attempts, elapsed_s=error.elapsed_s)
            new.__cause__ = error.__cause__
            slot.error = new


def stopped(batch: Sequence[Slot], error: BaseException) -> None:
    """Tell the callers of a batch that who wrote for them was stopped in the middle."""
    for slot in batch:
        if not slot.is_settled:
            slot.error = UnavailableError(
                f"Who wrote this together with its own was stopped ({type(error).__name__}): "
                "whether it is stored is not known. The operation can be repeated as it is"
            )


async def until_settled(slot: Slot, queue: deque[Slot], mutex: threading.Lock) -> None:
    """Wait until a task's slot is settled.

    A cancelled task leaves the queue; if its messages are being written it waits for that first, as
    `finish` says.
    """
    loop = asyncio.get_running_loop()
    if slot.future is None:
        slot.future = loop.create_future()
    try:
        await slot.future
    except asyncio.CancelledError:
        with mutex:
            if slot in queue:
                queue.remove(slot)
                raise
        if not slot.is_settled:
            slot.future = loop.create_future()
            await let_end(slot.future)
            await slot.give_up()
        raise
