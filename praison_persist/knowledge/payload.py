"""What a vendor keeps with an embedding, for those that keep a flat set of fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from praison_persist._json import dumps, loads
from praison_persist._text import escaped, unescaped
from praison_persist.models import KnowledgeDocument

__all__ = ["FIELDS", "packed", "unpacked"]

# The metadata is kept as JSON text, so that it comes back as it went in.
FIELDS = ("content", "metadata", "content_hash", "created_at")


def packed(document: KnowledgeDocument) -> dict[str, Any]:
    """Return a string for each of `FIELDS`, a float for the last. None is the string "null"."""
    return {
        "content": escaped(document.content),
        "metadata": dumps(document.metadata),
        "content_hash": document.content_hash or "",
        "created_at": document.created_at,
    }


def unpacked(
    document_id: str,
    payload: Mapping[str, Any],
    *,
    embedding: Sequence[float] | None = None,
    score: float | None = None,
) -> KnowledgeDocument:
    """Undo `packed`."""
    return KnowledgeDocument(
        id=document_id,
        content=unescaped(payload["content"]),
        embedding=None if embedding is None else [float(each) for each in embedding],
        metadata=loads(payload["metadata"]),
        content_hash=payload["content_hash"] or None,
        created_at=float(payload["created_at"]),
        score=score,
    )
