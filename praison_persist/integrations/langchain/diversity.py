"""Maximal marginal relevance: of the nearest documents those that are unlike each other."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.vectorstores.utils import maximal_marginal_relevance

from praison_persist.errors import MissingDependencyError
from praison_persist.models import KnowledgeDocument

try:
    import numpy as np
except ModuleNotFoundError:
    np = None  # type: ignore[assignment,unused-ignore]  # told when it is needed

__all__ = ["diverse"]


def diverse(
    query_embedding: Sequence[float],
    found: Sequence[KnowledgeDocument],
    limit: int,
    lambda_mult: float,
) -> list[KnowledgeDocument]:
    """Return up to `limit` of the documents, which have their embeddings.

    Args:
        query_embedding: what to be near to.
        found: the nearest documents.
        limit: how many.
        lambda_mult: from 1, the nearest, to 0, the most diverse.

    Raises:
        MissingDependencyError: NumPy is not installed.
    """
    if np is None:
        raise MissingDependencyError(
            "Maximal marginal relevance needs NumPy: pip install 'praison-persist[langchain,numpy]'"
        )
    vectors = [list(each.embedding or ()) for each in found]
    chosen = maximal_marginal_relevance(np.array(query_embedding), vectors, lambda_mult, limit)
    return [found[index] for index in chosen]
