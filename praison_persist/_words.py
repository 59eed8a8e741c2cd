"""What a search for messages means: the words of a query, and whether a text has them.

A word is a longest run of letters, digits, underscores and the marks on them; it is found as a
whole. Symbols such as emoji, words of scripts without spaces (Chinese, Japanese, Thai …) and Korean
ones are found anywhere. Upper and lower case are the same, letter by letter; accents count. All
other characters separate words and mean nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["QUERY_MAX", "Terms", "fold", "snippet", "terms_of"]

QUERY_MAX = 1_000  # characters
_SNIPPET = 160  # characters
_BEFORE = 40  # of them, before what was found

# Thai to Myanmar, Hangul Jamo, Khmer, CJK with kana, Hangul, CJK compatibility, halfwidth forms,
# and the supplementary ideographs (unicode.org/Public/UNIDATA/Blocks.txt).
_UNSPACED = re.compile(
    "[\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)

_VARIATIONS = "\ufe00", "\ufe0f"  # they choose how the symbol before them looks


@dataclass(frozen=True, slots=True)
class Terms:
    """What a text has to have, all of it, folded and without repeats, in the query's order.

    Attributes:
        words: as a whole.
        fragments: anywhere.
    """

    words: tuple[str, ...]
    fragments: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.words or self.fragments)

    def count(self, text: str) -> int:
        """Return how often the terms occur in `text`; 0 unless it has all of them."""
        folded, total = fold(text), 0
        for term, whole in self._each():
            found = sum(1 for _ in _places(folded, term, whole=whole))
            if not found:
                return 0
            total += found
        return total

    def first(self, text: str) -> int:
        """Return where in `text` the first of the terms begins; 0 if none does."""
        folded = fold(text)
        places = (
            next(_places(folded, term, whole=whole), len(text)) for term, whole in self._each()
        )
        first = min(places, default=0)
        return 0 if first == len(text) else first

    def _each(self) -> Iterator[tuple[str, bool]]:
        yield from ((word, True) for word in self.words)
        yield from ((fragment, False) for fragment in self.fragments)


class _Fold(dict[int, int]):
    """A table for str.translate, letter by letter: str.lower looks at neighbours, and may lengthen.

    No letter becomes an ASCII one (the sign of kelvin would): databases do not agree on those.
    """

    def __missing__(self, code: int) -> int:
        lower = chr(code).lower()
        same = len(lower) == 1 and lower.isascii() == chr(code).isascii()
        self[code] = ord(lower) if same else code
        return self[code]


_FOLD = _Fold()


def fold(text: str) -> str:
    """Return `text` in lower case, as long as it was."""
    return text.lower() if text.isascii() else text.translate(_FOLD)


def terms_of(query: str) -> Terms:
    """Return the terms of a query; none if it has neither words nor symbols."""
    words: dict[str, None] = {}
    fragments: dict[str, None] = {}
    for run, symbols in _runs(fold(query)):
        chosen = fragments if symbols or _UNSPACED.search(run) else words
        chosen[run] = None
    return Terms(tuple(words), tuple(fragments))


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the runs of word characters and those of symbols (True)."""
    start, kind = 0, ""
    for index, character in enumerate(text + " "):
        here = _kind(character)
        if here == "mark":  # belongs to the letter before it
            here = "word" if kind == "word" else ""
        if here != kind:
            if kind:
                yield text[start:index], kind == "symbol"
            start, kind = index, here


@lru_cache(maxsize=4096)
def _kind(character: str) -> str:
    """Return "word", "mark", "symbol", or "" of what separates."""
    if character == "_" or character.isalnum():
        return "word"
    if character.isascii():
        return ""
    category = unicodedata.category(character)
    if category in ("Mn", "Mc") and not _VARIATIONS[0] <= character <= _VARIATIONS[1]:
        return "mark"
    return "symbol" if category[0] == "S" else ""


def _in_word(character: str) -> bool:
    return _kind(character) in ("word", "mark")


def _places(folded: str, term: str, *, whole: bool) -> Iterator[int]:
    """Yield where the term begins in a folded text."""
    start = folded.find(term)
    while start >= 0:
        end = start + len(term)
        bounded = not (_in_word(folded[start - 1 : start]) or _in_word(folded[end : end + 1]))
        if bounded or not whole:
            yield start
        start = folded.find(term, start + 1)


def snippet(text: str, terms: Terms) -> str:
    """Return the part of `text` around the first of the terms, in one line, "…" where it is cut."""
    begin = max(terms.first(text) - _BEFORE, 0)
    end = begin + _SNIPPET
    part = " ".join(text[begin:end].split())
    return f"{'…' if begin else ''}{part}{'…' if end < len(text) else ''}"
