"""The outbox by itself: order, bounds, and who waits for whom."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

import pytest

from praison_persist import ConflictError, UnavailableError
from praison_persist.outbox import Outbox

AWAY = UnavailableError("away")


@dataclass
class Database:
    """Takes writes, or not; a try takes some time."""

    is_away: bool = True
    try_s: float = 0.0
    now_s: float = 0.0
    written: list[str] = field(default_factory=list)
    tries: int = 0

    def write(self, text: str) -> None:
        self.tries += 1
        self.now_s += self.try_s
        if self.is_away:
            raise AWAY
        self.written.append(text)

    def time(self) -> float:
        return self.now_s


def filled(database: Database, *texts: str, limit: int = 10_000) -> Outbox:
    outbox = Outbox(limit, clock=database.time, timer=database.time)
    for text in texts:
        outbox.add(lambda text=text: database.write(text), AWAY)  # type: ignore[misc]  # mypy infers no lambda with a default
    return outbox


def test_writes_are_kept_in_order() -> None:
    database = Database()
    outbox = filled(database, "a", "b", "c")
    with pytest.raises(UnavailableError):
        outbox.flush()
    assert outbox.health().pending_writes == 3
    database.is_away = False
    assert outbox.flush() == 3
    assert database.written == ["a", "b", "c"]
    assert outbox.health().ok
    assert outbox.flush() == 0


def test_no_write_is_begun_after_the_time_is_up() -> None:
    database = Database(is_away=False, try_s=1.0)
    outbox = filled(database, "a", "b", "c", "d")
    assert outbox.flush(timeout_s=1.5) == 2
    assert outbox.health().pending_writes == 2
    assert outbox.flush(timeout_s=None) == 2
    assert database.written == ["a", "b", "c", "d"]


def test_one_that_is_refused_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    database = Database(is_away=False)
    outbox = filled(database, "a")

    def refused() -> None:
        raise ConflictError("other content")

    def broken() -> None:
        raise TypeError("a bug")

    outbox.add(refused, AWAY)
    outbox.add(broken, AWAY)
    outbox.add(lambda: database.write("b"), AWAY)
    assert outbox.flush() == 2
    assert database.written == ["a", "b"]
    health = outbox.health()
    assert (health.ok, health.pending_writes, health.dropped_writes) == (False, 0, 2)
    assert sum("refused" in record.message for record in caplog.records) == 2


def test_a_full_outbox_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    database = Database(is_away=False)
    outbox = filled(database, "a", "b", "c", "d", limit=2)
    health = outbox.health()
    assert (health.pending_writes, health.dropped_writes) == (2, 2)
    assert sum("full" in record.message for record in caplog.records) == 1
    outbox.flush()
    assert database.written == ["a", "b"]


def test_one_error_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    database = Database()
    outbox = filled(database)
    for _ in range(2):
        caplog.clear()
        outbox.failed(AWAY)
        for _ in range(3):
            outbox.add(lambda: database.write("x"), AWAY)
            outbox.failed(AWAY)
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(errors) == 1
        database.is_away = False
        outbox.flush()
        assert outbox.health().last_error is None
        database.is_away = True


def test_a_failed_read_is_forgotten_when_the_next_one_succeeds() -> None:
    outbox = filled(Database())
    outbox.failed(AWAY)
    assert not outbox.health().ok
    outbox.succeeded()
    assert outbox.health().ok


def test_giving_up_forgets_what_waits(caplog: pytest.LogCaptureFixture) -> None:
    outbox = filled(Database(), "a", "b")
    outbox.give_up()
    outbox.give_up()
    assert [record.getMessage() for record in caplog.records][-1] == "2 writes are lost: away"
    assert (outbox.health().pending_writes, outbox.health().dropped_writes) == (0, 2)
    assert outbox.flush() == 0


def test_a_quick_failure_is_tried_again_at_every_hook() -> None:
    """So that nothing waits once the database is back."""
    database = Database(try_s=0.5)
    outbox = filled(database, "a")
    for tries in range(1, 4):
        with pytest.raises(UnavailableError):
            outbox.flush_first()
        assert database.tries == tries
    database.is_away = False
    outbox.flush_first()
    assert database.written == ["a"]


def test_a_slow_failure_is_not_waited_for_at_every_hook() -> None:
    """A host that does not answer would cost an agent the connect timeout each time."""
    database = Database(try_s=10.0)
    outbox = filled(database, "a")
    with pytest.raises(UnavailableError, match="away"):
        outbox.flush_first()
    for _ in range(3):
        with pytest.raises(UnavailableError, match="away"):
            outbox.flush_first()
    assert database.tries == 1
    with pytest.raises(UnavailableError):
        outbox.flush()  # asked for, it tries
    assert database.tries == 2
    database.now_s += 20.1
    database.is_away = False
    outbox.flush_first()
    assert database.written == ["a"]


def test_threads_share_the_outcome_of_one_try() -> None:
    entered, leave = threading.Event(), threading.Event()
    tries: list[int] = []

    def write() -> None:
        tries.append(1)
        entered.set()
        leave.wait(10)
        raise AWAY

    outbox = Outbox()
    outbox.add(write, AWAY)
    failures: list[str] = []

    def flush() -> None:
        try:
            outbox.flush()
        except UnavailableError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=flush) for _ in range(5)]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    while sum(thread.is_alive() for thread in threads) < 5:
        pass
    leave.set()
    for thread in threads:
        thread.join()
    assert failures == ["away"] * 5
    assert len(tries) <= 2  # one may have come too late to wait for the first


def test_threads_write_each_thing_once() -> None:
    database = Database(is_away=False)
    outbox = filled(database, *[str(number) for number in range(200)])
    threads = [threading.Thread(target=outbox.flush) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.written == [str(number) for number in range(200)]
