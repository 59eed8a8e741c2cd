"""What mkdocs.yml cannot say: pages by pattern, and links that are good in the checkout alone."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

__all__ = ["expanded", "on_config", "on_page_markdown", "without_links_outside"]

_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#\s]*)(?:#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Put the pages that a pattern of the navigation stands for in its place."""
    config["nav"] = expanded(config["nav"], Path(config["docs_dir"]))
    return config


def expanded(nav: list[Any], folder: Path) -> list[Any]:
    """Return a navigation in which `{title: "folder/*.md"}` is the pages that there are.

    One page stands under the title itself, none leaves no trace.
    """
    found: list[Any] = []
    for entry in nav:
        for title, value in entry.items() if isinstance(entry, dict) else [("", entry)]:
            if isinstance(value, list):
                found.append({title: expanded(value, folder)})
            elif "*" in value:
                pages = sorted(path.relative_to(folder).as_posix() for path in folder.glob(value))
                found += [{title: pages if len(pages) > 1 else pages[0]}] if pages else []
            else:
                found.append(entry)
    return found


def on_page_markdown(markdown: str, *, page: Any, **_others: Any) -> str:
    """Show the path of a file that is no part of the site, instead of a link to it."""
    return without_links_outside(markdown, page.file.src_uri)


def without_links_outside(markdown: str, page: str) -> str:
    """Return a page's text, in which links that lead out of `docs/` are paths in the checkout."""

    def shown(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link[2]))
        return link[0] if target.startswith("docs/") else f"`{target}`"

    return _LINK.sub(shown, markdown)
