"""Registries of your own things: one a class and process, made by the first that asks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from surroundings import surroundings

from praison_persist import PluginRegistry

Greeting = Callable[[str], str]


class Greetings(PluginRegistry[Greeting]):
    """Functions that greet, by language."""


class Farewells(PluginRegistry[Greeting]):
    """Another kind, with names of its own."""


def main() -> None:
    """Ask from many threads, and keep the kinds apart."""
    with surroundings(), ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Greetings.default(), range(8)))
        print(f"{len(set(map(id, found)))} registry for {len(found)} threads")

        Greetings.default().register("en", "Hello {}".format, aliases=("english",))
        Farewells.default().register("en", "Goodbye {}".format)
        print(Greetings.default().resolve("english")("Ada"))
        print(Farewells.default().resolve("en")("Ada"))
        print(f"The other kind knows {Farewells.default().list_aliases()}")


if __name__ == "__main__":
    main()
