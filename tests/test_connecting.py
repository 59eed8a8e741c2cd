"""Which of several hosts is connected to, for drivers that take one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from praison_persist.sql import connecting
from praison_persist.sql.connecting import Hosts

THREE = [("a", 1), ("b", 2), ("c", 3)]


class Servers:
    """Servers of which some are down; tells who was asked."""

    def __init__(self, *down: str) -> None:
        self.down, self.asked = set(down), ""

    def connect(self, place: dict[str, Any]) -> str:
        host: str = place["host"]
        self.asked += host
        if host in self.down:
            raise ConnectionRefusedError(host)
        return host


def walk(hosts: Hosts, servers: Servers, *, goes_on: bool = True) -> Any:
    return hosts.walk(servers.connect, lambda _error: goes_on)


def test_the_first_that_serves_is_taken() -> None:
    servers = Servers("a")
    assert walk(Hosts(THREE, spread=False), servers) == "b"
    assert servers.asked == "ab"


def test_one_that_failed_is_asked_last_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection waits first for a host that is not there."""
    hosts, servers = Hosts(THREE, spread=False), Servers("a")
    walk(hosts, servers)
    assert walk(hosts, servers) == "b"
    assert servers.asked == "abb"
    servers.down = {"b", "c"}
    assert walk(hosts, servers) == "a"
    monkeypatch.setattr(connecting, "_AVOIDED_S", 0.0)
    servers.asked = ""
    assert walk(hosts, servers) == "a"
    assert servers.asked == "a"


def test_what_another_host_cannot_make_good_is_raised_at_once() -> None:
    """A wrong password is tried on all of them."""
    servers = Servers("a", "b", "c")
    with pytest.raises(ConnectionRefusedError, match="a"):
        walk(Hosts(THREE, spread=False), servers, goes_on=False)
    with pytest.raises(ConnectionRefusedError, match="c"):
        walk(Hosts(THREE, spread=False), servers)


def test_connections_can_be_spread() -> None:
    """All go to the first."""
    hosts, servers = Hosts(THREE, spread=True), Servers()
    random.seed(1)
    assert {walk(hosts, servers) for _ in range(50)} == {"a", "b", "c"}
