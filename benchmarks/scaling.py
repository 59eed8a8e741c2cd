"""What replication costs: servers of their own, each against the same kind alone.

    python -m benchmarks.scaling

In the checkout, with the servers' programs installed as for the tests. Rounds alternate between all
that is compared; the medians of a call, in milliseconds, and their ratios to the first are printed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.newest import newest
from praison_persist.sql.stores import SQLConversationStore
from tests.servers import MARIADB, OwnPostgres, scratch
from tests.services.galera import Galera, galera
from tests.services.pg_replication import replication

ROUNDS, CALLS = 15, 20
Work = Callable[[], Any]


def compare(title: str, **works: Work) -> None:
    """Print the median of each, of rounds that alternate, and its ratio to the first."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                work()
            found[name].append((time.perf_counter() - start) / CALLS)
    first = statistics.median(next(iter(found.values())))
    print(title)
    for name, times in found.items():
        median = statistics.median(times)
        print(f"  {name:34} {median * 1e3:7.2f} ms  {median / first:5.2f}")


def opened(stack: ExitStack, url: str, **options: Any) -> tuple[SQLConversationStore, str]:
    """Return a store and a session with a hundred messages."""
    store = stack.enter_context(SQLConversationStore(url, **options))
    session_id = store.create_session(ConversationSession()).session_id
    store.add_messages(session_id, [message() for _ in range(100)])
    return store, session_id


def message() -> ConversationMessage:
    """Return a message of usual size."""
    return ConversationMessage(role="user", content="x" * 200)


def appending(store: SQLConversationStore, session_id: str) -> Work:
    """Return what appends a message."""
    return lambda: store.add_message(session_id, message())


def reading(store: SQLConversationStore, session_id: str) -> Work:
    """Return what reads the newest messages."""
    return lambda: store.get_messages(session_id, 20)


def of_galera(stack: ExitStack) -> None:
    """Compare a cluster of one node with one of three, and ways to use the three."""
    three = stack.enter_context(galera())
    three.nodes[0].ask("CREATE DATABASE agents")
    alone = opened(stack, stack.enter_context(scratch(MARIADB)))
    cluster = opened(stack, three.url("agents"))
    stale = opened(stack, three.url("agents"), pool_size=1, max_overflow=0)
    with stale[0].database.engines.get().writer.connect() as connection:
        connection.exec_driver_sql("SET SESSION wsrep_sync_wait = 0")
    # Its one connection stays as it is now.
    works = {"MariaDB alone": alone, "three nodes": cluster, "three nodes, stale": stale}
    compare("append", **{name: appending(*each) for name, each in works.items()})
    compare("read 20 of 100", **{name: reading(*each) for name, each in works.items()})
    for title, urls in (
        ("the first node", [three.url("agents")] * 3),
        ("each its node", each(three)),
    ):
        print(f"  three writers, one session, {title}: {throughput(stack, urls, cluster[1]):.0f}/s")
    victim = three.nodes[0]
    began = time.perf_counter()
    victim.kill()
    cluster[0].add_message(cluster[1], message())
    print(f"  node killed, next append acknowledged after {time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    three.rejoin(victim)
    print(f"  rejoined after {time.perf_counter() - began:.2f} s")


def each(cluster: Galera) -> list[str]:
    """Return URLs of all nodes, one that begins with each."""
    nodes = cluster.nodes
    return [cluster.url("agents", nodes[first:] + nodes[:first]) for first in range(3)]


def throughput(stack: ExitStack, urls: list[str], session_id: str) -> float:
    """Return appends a second of three threads, each with a store of its own."""
    stores = [stack.enter_context(SQLConversationStore(url, pool_pre_ping=False)) for url in urls]
    for store in stores:
        store.connect()

    def write(store: SQLConversationStore) -> None:
        for _ in range(100):
            store.add_message(session_id, message())

    began = time.perf_counter()
    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(write, stores))
    return 100 * len(stores) / (time.perf_counter() - began)


def of_postgres(stack: ExitStack) -> None:
    """Compare a primary alone with one that waits for its standby, and reads from each."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="praison-bench-")))
    single = OwnPostgres(folder)
    single.configure("fsync = off")
    single.start()
    stack.callback(single.close)
    pair = stack.enter_context(replication())
    both = pair.url()
    applied = f"{pair.primary.url}?options=-csynchronous_commit%3Dremote_apply"
    local = f"{pair.primary.url}?options=-csynchronous_commit%3Dlocal"
    works = {
        "alone": opened(stack, single.url),
        "asynchronous standby (local)": opened(stack, local),
        "synchronous standby (on)": opened(stack, both),
        "it shows it (remote_apply)": opened(stack, applied),
    }
    compare("append", **{name: appending(*each) for name, each in works.items()})
    _, unwritten = opened(stack, pair.primary.url)
    store, session_id = opened(stack, both, replica_url=pair.standby.url)
    store.get_messages(session_id)
    pair.catch_up()
    from_standby = reading(store, session_id)

    def from_primary() -> None:
        with newest():
            from_standby()

    compare(
        "read 20 of 100",
        **{
            "primary": from_primary,
            "standby, written here": from_standby,
            "standby, written elsewhere": reading(store, unwritten),
        },
    )
    began = time.perf_counter()
    pair.fail_over()
    promoted = time.perf_counter()
    writer, written = works["synchronous standby (on)"]
    writer.add_message(written, message())
    print(
        f"  killed and promoted in {promoted - began:.2f} s, "
        f"next append acknowledged {time.perf_counter() - promoted:.2f} s later"
    )


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["galera", "postgres"]
    with ExitStack() as stack:
        if "galera" in wanted:
            of_galera(stack)
        if "postgres" in wanted:
            of_postgres(stack)
