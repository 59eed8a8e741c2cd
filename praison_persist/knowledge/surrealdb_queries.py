"""SurrealQL of the knowledge store: texts without values, which are bound as parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range
from praison_persist.knowledge.terms import numbers_of, safe_key, terms_of
from praison_persist.models import KnowledgeDocument

__all__ = [
    "COLLECTIONS",
    "GONE",
    "Values",
    "creating",
    "guarded",
    "numbers",
    "select",
    "table",
    "worded",
]

COLLECTIONS = "praison_collections"  # a record a collection, its id is the name
GONE = "praison:gone"

_ANALYZER = "praison_words"
_WORDS = 32  # of a text are looked for


class Values:
    """The parameters of one text."""

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = values

    def add(self, value: Any) -> str:
        """Return the parameter that stands for a value."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def condition(self, where: Filter | None) -> str:
        """Return the condition of a filter."""
        return "true" if where is None else self._compiled(where)

    def _compiled(self, where: Filter) -> str:
        match where:
            case Has(()):
                return "false"
            case Has(terms):
                return f"(terms CONTAINSANY {self.add(list(terms))})"
            case Range(key, bounds):
                number = f"numbers[{self.add(safe_key(key))}]"
                # NONE is less than all numbers: docs "SurrealQL, Comparing and sorting".
                parts = [f"{number} != NONE"]
                parts += [f"{number} {name} {self.add(bound)}" for name, bound in bounds]
                return f"({' AND '.join(parts)})"
            case And(parts):
                return f"({' AND '.join(map(self._compiled, parts))})"
            case Or(parts):
                return f"({' OR '.join(map(self._compiled, parts))})"
            case Not(part):
                return f"!{self._compiled(part)}" if part != Has(()) else "true"


def table(name: str) -> str:
    """Return the table of a collection, quoted. Names are of letters that need no escape."""
    return f"`praison_vec_{name}`"


def numbers(document: KnowledgeDocument) -> dict[str, Any]:
    """Return what filters compare of a document."""
    found = {safe_key(key): value for key, value in numbers_of(document.metadata).items()}
    return {"terms": terms_of(document.metadata), "numbers": found}


def creating(name: str, index: str) -> str:
    """Return the text that makes a collection; `index` is FULLTEXT, or SEARCH before 3.0."""
    return f"""
        BEGIN;
        DEFINE TABLE IF NOT EXISTS {COLLECTIONS} SCHEMALESS;
        DEFINE TABLE IF NOT EXISTS {table(name)} SCHEMALESS;
        DEFINE ANALYZER IF NOT EXISTS {_ANALYZER} TOKENIZERS class FILTERS lowercase, ascii;
        DEFINE INDEX IF NOT EXISTS words ON {table(name)} FIELDS content
            {index} ANALYZER {_ANALYZER} BM25;
        CREATE $entry CONTENT $content RETURN NONE;
        COMMIT;"""


def select(columns: str, source: str, rest: str = "") -> str:
    """Return a query. Names are quoted or fixed, values are parameters."""
    return f"SELECT {columns} FROM {source} {rest}"  # noqa: S608 - see above


def guarded(*statements: str) -> str:
    """Return a transaction that fails with `GONE` if there is no record $entry."""
    check = f"IF !record::exists($entry) {{ THROW '{GONE}' }}"
    return ";\n".join(["BEGIN", check, *statements, "COMMIT"]) + ";"


def worded(words: Sequence[str], values: Values) -> tuple[str, str]:
    """Return the condition of documents that have one of the words, and how good they are.

    The score of a word in more than half of the documents is negative; it counts nothing here.
    """
    some = list(enumerate(words[:_WORDS]))
    condition = " OR ".join(f"content @{place}@ {values.add(word)}" for place, word in some)
    score = " + ".join(f"math::max([search::score({place}), 0.0])" for place, _ in some)
    return f"({condition})", score
