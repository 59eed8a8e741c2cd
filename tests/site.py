"""What the built site loads: `python -m tests.site site` fails if a page needs another host."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["loaded_elsewhere"]

_PAGES_MIN = 60  # fewer: something was not built
# Attributes that make a browser ask for something without being told to.
_LOADS = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
_NAMES_ONLY = {"canonical", "next", "prev"}  # of links: what is not loaded


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and set((given.get("rel") or "").split()) <= _NAMES_ONLY:
            return
        self.found.append(given.get(_LOADS.get(tag, "")) or "")


def loaded_elsewhere(page: str) -> list[str]:
    """Return the URLs of other hosts that a browser asks for as it shows a page."""
    parser = _Loads()
    parser.feed(page)
    return [url for url in parser.found if urlsplit(url).netloc]


def _of_site(folder: Path) -> Iterator[str]:
    pages = sorted(folder.rglob("*.html"))
    if len(pages) < _PAGES_MIN:
        yield f"{folder} has {len(pages)} pages, and should have {_PAGES_MIN} at least"
    for page in pages:
        for url in loaded_elsewhere(page.read_text(encoding="utf-8")):
            yield f"{page}: loads {url}"


if __name__ == "__main__":
    sys.exit("\n".join(_of_site(Path(sys.argv[1]))) or None)
