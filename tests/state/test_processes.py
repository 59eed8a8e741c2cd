"""Two processes, several threads in each, one store: nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from praison_persist.config import create_state_store

from .services import namespace

_THREADS, _EACH = 4, 10
_CHILD = """
import json, sys
from praison_persist.config import create_state_store
from praison_persist.errors import ConflictError
from praison_persist.testing.contract import race

name, options, threads, each = sys.argv[1], *map(json.loads, sys.argv[2:])

def work(index):
    for number in range(each):
        store.incr("counter")
        store.hset("hash", f"{name}/{index}/{number}", number)
        while True:
            found = store.get_versioned("list")
            value = [*(found.value if found else []), [name, index, number]]
            try:
                store.set("list", value, expected_version=found.version if found else 0)
                break
            except ConflictError:
                continue

with create_state_store(**options) as store:
    race(threads, work)
"""


@pytest.fixture(params=["memory", "sqlite", "postgres", "mariadb", "redis"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What a store of the backend is created with."""
    backend = request.param
    if backend == "redis":
        with namespace() as (url, prefix):
            yield {"backend": backend, "url": url, "prefix": prefix}
    elif backend == "memory":
        yield {"backend": backend, "path": str(tmp_path / "state.json")}
    elif backend == "sqlite":
        yield {"backend": backend, "url": f"sqlite:///{tmp_path / 'state.db'}"}
    else:
        yield {"backend": backend, "url": request.getfixturevalue(f"{backend}_database")}


def test_two_processes_lose_nothing(options: dict[str, Any]) -> None:
    """Each keeps what it read, and overwrites what the other wrote."""
    arguments = [json.dumps(options), str(_THREADS), str(_EACH)]
    children = [
        subprocess.Popen([sys.executable, "-c", _CHILD, name, *arguments]) for name in ("a", "b")
    ]
    assert [child.wait(120) for child in children] == [0, 0]
    wanted = [[n, i, k] for n in ("a", "b") for i in range(_THREADS) for k in range(_EACH)]
    with create_state_store(**options) as store:
        assert store.get("counter") == len(wanted)
        assert sorted(store.get("list")) == wanted
        assert store.hgetall("hash") == {f"{n}/{i}/{k}": k for n, i, k in wanted}
