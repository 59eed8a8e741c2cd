"""What is lost, written twice, out of order or refused is seen by those who measure it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.contenders.base import Contender, Place
from benchmarks.messages import number_of, text_of
from benchmarks.tally import Tally
from benchmarks.worker import Bench


class Keeping(Contender):
    """Keeps messages in lists."""

    def open(self) -> None:
        self.stored: dict[str, list[str]] = {}

    def session(self, name: str) -> str:
        self.stored[name] = []
        return name

    def append(self, session: str, text: str) -> None:
        self.stored[session].append(text)

    def append_many(self, session: str, texts: Any) -> None:
        self.stored[session] += texts

    def read(self, session: str) -> list[str]:
        return self.stored[session]

    def newest(self, session: str, limit: int) -> list[str]:
        return self.stored[session][-limit:]


class Losing(Keeping):
    """Acknowledges every third message without keeping it."""

    def append(self, session: str, text: str) -> None:
        if number_of(text) % 3:
            super().append(session, text)


class Doubling(Keeping):
    def append(self, session: str, text: str) -> None:
        super().append(session, text)
        super().append(session, text)


class Shuffling(Keeping):
    def append(self, session: str, text: str) -> None:
        self.stored[session].insert(0, text)


class Refusing(Keeping):
    """Refuses every other message, of which it keeps one."""

    def append(self, session: str, text: str) -> None:
        number = number_of(text)
        if number < 2:
            super().append(session, text)
        if number % 2:
            raise TimeoutError("the pool is exhausted\nand more")
        if number >= 2:
            super().append(session, text)


class KeepingTasks(Keeping):
    async def append(self, session: str, text: str) -> None:  # type: ignore[override]  # its colour
        await asyncio.sleep(0)
        self.stored[session].append(text)


class LosingTasks(KeepingTasks):
    async def append(self, session: str, text: str) -> None:  # type: ignore[override]  # its colour
        await asyncio.sleep(0)
        if number_of(text) % 3:
            await super().append(session, text)


Opened = Callable[[type[Contender]], Bench]


@pytest.fixture
def bench() -> Iterator[Opened]:
    made: list[Bench] = []

    def opened(contender: type[Contender]) -> Bench:
        made.append(Bench(contender(Place("sqlite", "sqlite:////nowhere"))))
        made[-1].open()
        return made[-1]

    yield opened
    for each in made:
        each.close()
    asyncio.set_event_loop(None)


@pytest.mark.parametrize("contender", [Keeping, KeepingTasks])
def test_who_keeps_everything_is_clean(bench: Opened, contender: type[Contender]) -> None:
    worker = bench(contender)
    worker.append(seconds=1, most=50)
    worker.batch(size=10, seconds=0.0)
    worker.crowd(agents=4, seconds=0.02)
    found = Tally(**worker.verify())
    assert found.acknowledged > 60
    assert found == Tally(acknowledged=found.acknowledged)


@pytest.mark.parametrize("contender", [Losing, LosingTasks])
def test_who_loses_is_seen_alone(bench: Opened, contender: type[Contender]) -> None:
    worker = bench(contender)
    worker.append(seconds=1, most=30)
    found = Tally(**worker.verify())
    assert (found.acknowledged, found.lost) == (30, 10)


@pytest.mark.parametrize("contender", [Losing, LosingTasks])
def test_who_loses_is_seen_in_a_crowd(bench: Opened, contender: type[Contender]) -> None:
    worker = bench(contender)
    worker.crowd(agents=4, seconds=0.02)
    found = Tally(**worker.verify())
    assert found.lost >= 4  # the first of each agent
    assert found.lost == pytest.approx(found.acknowledged / 3, abs=4)


def test_who_writes_twice_is_seen(bench: Opened) -> None:
    worker = bench(Doubling)
    worker.append(seconds=1, most=30)
    found = Tally(**worker.verify())
    assert (found.lost, found.duplicated) == (0, 30)


def test_who_changes_the_order_is_seen(bench: Opened) -> None:
    worker = bench(Shuffling)
    worker.append(seconds=1, most=30)
    found = Tally(**worker.verify())
    assert (found.lost, found.out_of_order) == (0, 29)


def test_who_refuses_is_seen_and_may_have_kept_it(bench: Opened) -> None:
    worker = bench(Refusing)
    rate = worker.crowd(agents=1, seconds=0.5)  # long enough for the second on a busy machine
    found = Tally(**worker.verify())
    assert found.lost == 0
    assert found.unacknowledged == 1  # number 1: kept and refused
    assert [*found.errors] == ["TimeoutError: the pool is exhausted"]
    assert rate["operations"] == found.acknowledged


def test_reads_that_are_wrong_are_an_error(bench: Opened) -> None:
    """A store that is fast because it reads something else must not win."""
    worker = bench(Keeping)
    worker.fill("long", 100)
    worker.newest("long", seconds=0.0)
    worker.contender.stored["long"].append(text_of(100))
    with pytest.raises(AssertionError, match="not the newest"):
        worker.newest("long", seconds=0.0)


def test_tallies_add_up() -> None:
    total = Tally.of([1, 2, 3], [1, 3, 2, 2])
    total.add(Tally.of([1], [7]))
    assert total == Tally(acknowledged=4, lost=1, duplicated=1, out_of_order=1, unacknowledged=1)
