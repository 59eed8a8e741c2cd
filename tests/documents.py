"""Documents as tests read them: their programs, and what these are to print."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["blocks", "check_printed"]


def blocks(document: Path, language: str) -> list[str]:
    """Return the code blocks of a language."""
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def check_printed(program: str, printed: Sequence[str]) -> None:
    """Fail unless a program printed what the comments behind its prints say."""
    for expected in re.findall(r"^ *print\(.*\)  # (.*)$", program, re.MULTILINE):
        assert expected in printed, f"{expected!r} is not among {list(printed)}, of:\n{program}"
