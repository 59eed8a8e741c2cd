"""The index of checkpoint ids under writers that meet while a chunk is moved."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from praison_persist._flow import Flow, run
from praison_persist.state.memory import MemoryStateStore
from praison_persist.testing.contract import race
from tests.packages import INTEGRATIONS, needs

needs("langgraph", extra="langgraph", required_by=INTEGRATIONS)

from praison_persist.integrations.langgraph._index import Index  # noqa: E402 - after the check

_THREADS, _EACH = 4, 300


@pytest.fixture
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def index(state: MemoryStateStore) -> Index:
    return Index(state, "head", lambda epoch, number: f"chunk:{epoch}:{number}", "test")


@pytest.mark.usefixtures("_switching_often")
@pytest.mark.parametrize("skew", [1, 100])
def test_texts_that_are_added_and_removed_at_once_are_all_right(skew: int) -> None:
    """`skew`: by how many texts the writers are apart."""
    with MemoryStateStore() as state:

        def work(thread: int) -> set[str]:
            choose = random.Random(thread)
            own: set[str] = set()
            for number in range(_EACH):
                text = f"{number * _THREADS + thread * skew:06}.{thread}"
                run(index(state).add(text))
                own.add(text)
                if choose.random() < 0.1:
                    removed = {choose.choice(sorted(own)) for _ in range(8)}
                    run(index(state).remove(removed))
                    own -= removed
            return own

        left = set().union(*race(_THREADS, work))
        assert run(index(state).all()) == sorted(left, reverse=True)
        chunks = [state.get(key) for key in state.keys("chunk:*")]
        assert len(chunks) > 1
        ranges = sorted((chunk[0], chunk[-1]) for chunk in chunks if chunk)
        assert all(before[1] < after[0] for before, after in pairwise(ranges))


def interrupted(flow: Flow[None], steps: int, other: Flow[None]) -> bool:
    """Run a flow, and another in whole after some steps of it. Return whether it came to that."""
    made = None
    for step in range(1000):
        if step == steps:
            run(other)
        try:
            made = flow.send(made)
        except StopIteration:
            return step >= steps
    raise AssertionError("The flow does not end")


_ADDED = "0064"
_OTHERS: list[tuple[str, Callable[[Index], Flow[None]]]] = [
    ("0065", lambda index: index.add("0065")),
    ("0063a", lambda index: index.add("0063a")),
    ("0031a", lambda index: index.add("0031a")),
    ("", lambda index: index.remove({"0000", "0040", "0063", _ADDED})),
]


@pytest.mark.parametrize(("new", "other"), _OTHERS, ids=["behind", "before", "among", "removal"])
def test_a_writer_may_come_at_any_step_of_the_move_of_a_chunk(
    new: str, other: Callable[[Index], Flow[None]]
) -> None:
    """What came between the copying of a chunk and the next head would be lost."""
    for steps in range(100):
        with MemoryStateStore() as state:
            texts = [f"{number:04}" for number in range(64)]
            for text in texts:
                run(index(state).add(text))
            met = interrupted(index(state).add(_ADDED), steps, other(index(state)))
            found = set(run(index(state).all()))
            if not met:
                assert steps > 5
                return
            kept = {*texts, _ADDED, new} if new else set(texts) - {"0000", "0040", "0063"}
            assert found - {"" if new else _ADDED} == kept, steps
            run(index(state).add("0066"))
            expected = sorted({*found, "0066"}, reverse=True)
            assert run(index(state).all()) == expected


def test_an_index_whose_texts_were_all_removed_begins_again() -> None:
    with MemoryStateStore() as state:
        texts = [f"{number:04}" for number in range(200)]
        for text in texts:
            run(index(state).add(text))
        run(index(state).remove(texts))
        assert run(index(state).all()) == []
        assert len(state.keys()) <= 1
        for text in reversed(texts):
            run(index(state).add(text))
        run(index(state).add(texts[0]))
        assert run(index(state).all()) == texts[::-1]
