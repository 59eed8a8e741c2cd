"""The site has all pages and all public names, and loads nothing from other hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import praison_persist
from mkdocs_hooks import expanded, without_links_outside

from .documents import DOCS
from .programs import ROOT
from .site import loaded_elsewhere

# Made of others: what they are is told on the page of adapters.
_ALIASES = {"DB", "PraisonDB", "db", "__version__"}


def _pages(nav: Any) -> Iterator[str]:
    match nav:
        case str():
            yield nav
        case list():
            for each in nav:
                yield from _pages(each)
        case _:
            for each in nav.values():
                yield from _pages(each)


def test_every_page_is_in_the_navigation() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(_pages(expanded(settings["nav"], DOCS))) == sorted(there)


def test_a_pattern_of_the_navigation_is_the_pages_there_are(tmp_path: Path) -> None:
    for name in ("a/x.md", "a/y.md", "one.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    nav = ["index.md", {"Up": [{"A": "a/*.md"}, {"One": "on*.md"}, {"None": "b/*.md"}]}]
    found = ["index.md", {"Up": [{"A": ["a/x.md", "a/y.md"]}, {"One": "one.md"}]}]
    assert expanded(nav, tmp_path) == found


def test_a_link_that_leads_out_of_the_documents_is_shown_as_a_path() -> None:
    text = "[other](../state.md#use), [it](../../examples/a.py), [far](../../tests/b.py#L1)"
    shown = "[other](../state.md#use), `examples/a.py`, `tests/b.py`"
    assert without_links_outside(text, "integrations/page.md") == shown


def test_every_public_name_is_in_the_reference() -> None:
    shown: set[str] = set()
    for page in (DOCS / "api").iterdir():
        text = page.read_text(encoding="utf-8")
        shown |= set(re.findall(r"^::: praison_persist\.(\S+)$", text, re.MULTILINE))
    for name in set(praison_persist.__all__) - _ALIASES:
        home = praison_persist._HOMES[name].removeprefix("praison_persist.")
        assert home in shown or f"{home}.{name}" in shown, f"{home}.{name}"


@pytest.mark.parametrize(
    ("page", "loads"),
    [
        ('<script src="assets/a.js"></script><a href="https://else.where">x</a>', []),
        ('<link rel="canonical" href="https://our.own">', []),
        ('<link rel="stylesheet" href="https://else.where/a.css">', ["https://else.where/a.css"]),
        ('<script src="//else.where/a.js"></script>', ["//else.where/a.js"]),
        ('<img alt="" src="https://else.where/a.png">', ["https://else.where/a.png"]),
    ],
)
def test_what_a_page_loads_is_found(page: str, loads: list[str]) -> None:
    assert loaded_elsewhere(page) == loads
