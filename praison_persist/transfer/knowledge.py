"""Copying knowledge: collections with their documents, metadata and embeddings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from praison_persist.connect import connect_store, knowledge_pair
from praison_persist.errors import ConflictError, UnsupportedError
from praison_persist.knowledge_protocols import KnowledgeCapability, KnowledgeStore
from praison_persist.models import KnowledgeCollection, KnowledgeDocument
from praison_persist.transfer.checkpoint import Checkpoint, address
from praison_persist.transfer.report import CopyReport, OnProgress, Progress

__all__ = ["copy_knowledge"]

_KIND = "knowledge"
_PART = 500  # documents looked up in the target at a time


def copy_knowledge(
    source: Any,
    target: Any,
    *,
    overwrite: bool = False,
    verify: bool = False,
    dry_run: bool = False,
    checkpoint: Checkpoint | None = None,
    on_progress: OnProgress | None = None,
) -> CopyReport:
    """Copy all collections: dimension, distance, and documents with metadata and embeddings.

    Documents are read by the pages of the source, which may be one page: of a LangChain or
    LlamaIndex store.

    Args:
        source: a URL or a store, sync or async. A store stays open.
        target: as `source`; another place. Other collections and documents there stay as they are.
        overwrite: replace documents that the target has with another content.
        verify: compare contents, metadata and embeddings (to single precision; with "cosine" to
            their direction, which is all that some backends keep) at the end.
        dry_run: read only, and report what there is.
        checkpoint: where to note how far the copy is, and where to go on. It is removed at the end.
        on_progress: is called after each page.

    Raises:
        ConfigurationError: a URL cannot be right.
        ConflictError: a collection or document exists in the target with another content.
        UnsupportedError: the source cannot list its documents, or tells no embeddings.
    """
    with ExitStack() as opened:
        stores = []
        for place in (source, target):
            store = knowledge_pair(connect_store("knowledge", place, None, None))[0]
            if isinstance(place, str | os.PathLike):
                opened.callback(store.close)
            stores.append(store)
        copy = _Copy(stores[0], stores[1], on_progress)
        if dry_run:
            return copy.look()
        copy.run(checkpoint, (_KIND, address(source), address(target)), overwrite=overwrite)
        if verify:
            copy.verify()
        if checkpoint is not None:
            checkpoint.remove()
        return copy.report


class _Copy:
    """One copy of collections; its report is filled as it goes on."""

    def __init__(
        self, source: KnowledgeStore, target: KnowledgeStore, on_progress: OnProgress | None
    ) -> None:
        if KnowledgeCapability.EMBEDDINGS not in source.capabilities:
            raise UnsupportedError(
                f"{source!r} does not tell the embeddings of its documents; put the texts into the "
                "target anew, with an embedder"
            )
        self._source, self._target, self._on_progress = source, target, on_progress
        self.report = CopyReport(_KIND)
        self._total: int | None = None

    def look(self) -> CopyReport:
        self.report.dry_run = True
        for name in self._source.list_collections():
            self.report.found["collections"] += 1
            self.report.found["documents"] += self._source.count(name)
        return self.report

    def run(
        self, checkpoint: Checkpoint | None, where: tuple[str, str, str], *, overwrite: bool
    ) -> None:
        at = {} if checkpoint is None else checkpoint.load(*where)
        self.report.found.update(at.get("found", {}))
        self.report.written.update(at.get("written", {}))
        names = self._source.list_collections()
        self._total = sum(map(self._source.count, names)) if self._on_progress else None
        done = at.get("done", "")  # the collections up to this one, by name
        for name in names:
            collection = self._source.get_collection(name)
            if name <= done or collection is None:
                continue
            cursor = at.get("cursor") if name == at.get("collection") else None
            if cursor is None:
                self._create(collection)
            for documents, following in _pages(self._source, name, cursor):
                self._put(name, documents, overwrite=overwrite)
                done = name if following is None else done
                if checkpoint is not None:
                    position = {
                        "done": done,
                        "collection": name,
                        "cursor": following,
                        "found": dict(self.report.found),
                        "written": dict(self.report.written),
                    }
                    checkpoint.save(*where, position)
                self._tell("copy", name, self.report.found["documents"])

    def _create(self, collection: KnowledgeCollection) -> None:
        self.report.found["collections"] += 1
        self.report.written["collections"] += not self._target.collection_exists(collection.name)
        self._target.create_collection(
            collection.name, collection.dimension, collection.distance, collection.metadata
        )

    def _put(self, name: str, documents: list[KnowledgeDocument], *, overwrite: bool) -> None:
        self.report.found["documents"] += len(documents)
        for start in range(0, len(documents), _PART):
            part = documents[start : start + _PART]
            there = {each.id: each for each in self._target.get(name, [each.id for each in part])}
            new = [
                replace(each, score=None)
                for each in part
                if each.id not in there or _text(each) != _text(there[each.id])
            ]
            other = [each.id for each in new if each.id in there]
            if other and not overwrite:
                raise ConflictError(
                    f"The collection {name!r} of the target has a document {other[0]!r} with "
                    "another content; it was left as it is. Delete it there, or pass "
                    "overwrite=True (--overwrite)"
                )
            if new:
                self._target.upsert(name, new)
            self.report.written["documents"] += len(new)

    def verify(self) -> None:
        self.report.verified = True
        compared = 0
        for name in self._source.list_collections():
            collection = self._source.get_collection(name)
            other = self._target.get_collection(name)
            if collection is None:
                continue
            if other is None or (other.dimension, other.distance) != (
                *(collection.dimension, collection.distance),
            ):
                self.report.differ(f"collection {name!r} is missing, or is another one")
                continue
            for documents, _ in _pages(self._source, name, None):
                self._compare(collection, documents)
                compared += len(documents)
                self._tell("verify", name, compared)

    def _compare(self, collection: KnowledgeCollection, documents: list[KnowledgeDocument]) -> None:
        embeddings = KnowledgeCapability.EMBEDDINGS in self._target.capabilities
        ids = [each.id for each in documents]
        found = self._target.get(collection.name, ids, include_embeddings=embeddings)
        there = {each.id: each for each in found}
        for each in documents:
            other = there.get(each.id)
            if other is None:
                self.report.differ(f"document {each.id!r} of {collection.name!r} is missing")
            elif _text(each) != _text(other) or (
                embeddings and not _near(each.embedding, other.embedding, collection.distance)
            ):
                self.report.differ(f"document {each.id!r} of {collection.name!r} differs")

    def _tell(self, phase: str, name: str, done: int) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(_KIND, phase, name, done, self._total))


def _pages(
    store: KnowledgeStore, name: str, cursor: str | None
) -> Iterator[tuple[list[KnowledgeDocument], str | None]]:
    while True:
        page = store.page_documents(name, cursor=cursor, include_embeddings=True)
        cursor = page.next_cursor
        yield page.documents, cursor
        if cursor is None:
            return


def _text(document: KnowledgeDocument) -> str:
    """Return a digest of all but the embedding; 1, 1.0 and true differ."""
    content = [document.content, document.metadata or {}, document.content_hash]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _near(one: list[float] | None, other: list[float] | None, distance: str) -> bool:
    if one is None or other is None or len(one) != len(other):
        return False
    if distance == "cosine":
        one, other = _unit(one), _unit(other)
    largest = max(map(abs, one), default=0.0)
    return all(abs(a - b) <= 1e-5 * largest for a, b in zip(one, other, strict=True))


def _unit(vector: list[float]) -> list[float]:
    length = sum(number * number for number in vector) ** 0.5
    return [number / length for number in vector] if length else vector
