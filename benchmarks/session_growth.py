"""What a session's length costs: an append, a fork and a history at 100 to 1,000,000 messages.

    python -m benchmarks.session_growth [sqlite|postgresql|mariadb|files ...]

In the checkout, with the servers of the tests. Prints medians in milliseconds. Lengths that take
too long to make are left out: a million on servers, more than 10,000 in files.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from praison_persist.sessions.base import SessionStore
from praison_persist.sessions.files import HierarchicalSessionStore
from praison_persist.sessions.sql import SQLSessionStore
from praison_persist.sql.schema import Tables
from tests.servers import MARIADB, POSTGRESQL, scratch

LENGTHS = (100, 1_000, 10_000, 100_000, 1_000_000)
MOST = {"sqlite": 1_000_000, "files": 10_000}
ROUNDS = 30
CONTENT = "x" * 200


@contextmanager
def opened(kind: str) -> Iterator[tuple[SessionStore, Callable[[str, int], None]]]:
    """Yield a store, and what fills a session of it."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "files":
            files = HierarchicalSessionStore(Path(folder), retention="keep_all")

            def fill_file(session_id: str, count: int) -> None:
                messages = [{"role": "user", "content": CONTENT} for _ in range(count)]
                files.set_chat_history(session_id, messages)

            yield files, fill_file
            return
        server = {"postgresql": POSTGRESQL, "mariadb": MARIADB}.get(kind)
        if server is None:
            with filled(f"sqlite:///{folder}/sessions.db") as found:
                yield found
        else:
            with scratch(server) as url, filled(url) as found:
                yield found


@contextmanager
def filled(url: str) -> Iterator[tuple[SessionStore, Callable[[str, int], None]]]:
    """Yield a store of a SQL database, and what fills a session of it."""
    with SQLSessionStore(url) as store:

        def fill(session_id: str, count: int) -> None:
            store.add_user_message(session_id, CONTENT)
            store.database.run(multiply, session_id, count)

        yield store, fill


def multiply(connection: sa.Connection, t: Tables, session_id: str, count: int) -> None:
    """Double the messages of a session until there are `count`."""
    c, have = t.messages.c, 1
    others = [one for one in t.messages.columns if one.name not in ("seq", "id")]
    while have < count:
        more = min(have, count - have)
        copies = sa.select(c.seq + have, c.id + f".{have}", *others).where(
            c.session_id == session_id, c.seq <= more
        )
        names = ["seq", "id", *(one.name for one in others)]
        connection.execute(sa.insert(t.messages).from_select(names, copies))
        have += more
    if connection.dialect.name == "postgresql":  # as its daemon does after a while
        connection.exec_driver_sql("ANALYZE")
    s = t.sessions.c
    connection.execute(
        sa.update(t.sessions).where(s.session_id == session_id).values(last_seq=count)
    )


def main() -> None:
    """Measure what the arguments name, or all."""
    for kind in sys.argv[1:] or ["sqlite", "postgresql", "mariadb", "files"]:
        columns = ("append", "fork", "last 50", "snapshot")
        print(f"{kind:12} {'messages':>10} " + " ".join(f"{one:>9}" for one in columns))
        lengths = [length for length in LENGTHS if length <= MOST.get(kind, 100_000)]
        with opened(kind) as (store, fill):
            for length in lengths:
                fill(f"s{length}", length)
            found = measured(store, lengths, ROUNDS if kind != "files" else 5)
        for length in lengths:
            medians = [statistics.median(times) * 1e3 for times in found[length].values()]
            print(f"{'':12} {length:10,} " + " ".join(f"{one:9.2f}" for one in medians))


def measured(
    store: SessionStore, lengths: list[int], rounds: int
) -> dict[int, dict[str, list[float]]]:
    """Return the seconds of each call: rounds alternate, as other work comes and goes."""
    found: dict[int, dict[str, list[float]]] = {
        length: {"append": [], "fork": [], "last": [], "snapshot": []} for length in lengths
    }
    for number in range(rounds + 1):
        for length in lengths:
            session_id = f"s{length}"
            works: dict[str, Callable[[], Any]] = {
                "append": partial(store.add_user_message, session_id, CONTENT),
                "fork": partial(store.fork_session, session_id),
                "last": partial(store.get_chat_history, session_id, 50),
                "snapshot": partial(store.create_snapshot, session_id),
            }
            for name, work in works.items():
                if name == "snapshot" and number % 5:
                    continue
                start = time.perf_counter()
                work()
                if number:  # the first round warms files, caches and plans
                    found[length][name].append(time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
