"""LightRAG's file storages of a directory, which one process at a time has open."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from lightrag.kg.nano_vector_db_impl import NanoVectorDBStorage
from lightrag.kg.shared_storage import initialize_share_data
from lightrag.utils import EmbeddingFunc

from praison_persist._adapt import background_loop
from praison_persist.errors import UnavailableError

__all__ = ["Folder"]

_BATCH = 500  # texts of one call of the embedding function


class Folder:
    """The storages of a directory, shared by all stores of the process.

    LightRAG tells storages in one process of each other's writes, but not those of independent
    processes, each of which would replace the file of the others by its own.
    """

    _guard = threading.Lock()
    _open: dict[tuple[int, str], Folder] = {}  # noqa: RUF012 - of the process, under the guard

    def __init__(self, key: tuple[int, str]) -> None:
        self.lock = threading.RLock()
        self._key, self._users = key, 0
        self._storages: dict[str, _Rows] = {}
        path = Path(key[1])
        path.mkdir(parents=True, exist_ok=True)
        self._file = FileLock(path / "praison.lock", timeout=0, thread_local=False)
        try:
            self._file.acquire()
        except Timeout as error:
            raise UnavailableError(
                f"{path}: another process has this directory open, and LightRAG's files bear "
                "one. Use a directory for each process, or another backend"
            ) from error

    @classmethod
    def of(cls, path: str) -> Folder:
        """Return the folder of a directory; to be released."""
        key = (os.getpid(), os.path.realpath(path))
        with cls._guard:
            if key not in cls._open:
                cls._open[key] = cls(key)
            return cls._open[key].used()

    def used(self) -> Folder:
        """Count a user more."""
        self._users += 1
        return self

    def release(self) -> None:
        """Let other processes have it after the last of its users. All is written by then."""
        with self._guard:
            self._users -= 1
            if self._users == 0:
                del self._open[self._key]
                self._file.release()

    def rows(self, name: str, dimension: int) -> _Rows:
        """Return the storage of a name."""
        with self.lock:
            if name not in self._storages:
                self._storages[name] = _Rows(self._key[1], name, dimension)
            return self._storages[name]

    def forget(self, name: str) -> None:
        """Delete a storage with its file."""
        with self.lock:
            rows = self._storages.pop(name, None)
            if rows is not None:
                rows.drop()


class _Rows:
    """A storage: rows of texts by id, each with a vector. Used under the folder's lock."""

    def __init__(self, folder: str, name: str, dimension: int) -> None:
        self._vectors: dict[str, Sequence[float]] = {}

        async def embed(texts: list[str], **_: Any) -> Any:
            import numpy as np  # noqa: PLC0415 - comes with LightRAG, and is needed here alone

            return np.array([self._vectors[text] for text in texts], dtype=np.float32)

        # On file systems that ignore case, too, names that differ in it have different files.
        namespace = re.sub("[A-Z]", lambda found: f"-{found[0].lower()}", name)
        self._file = Path(folder) / f"vdb_{namespace}.json"
        self._storage: Any = NanoVectorDBStorage(
            namespace=namespace,
            workspace="",
            global_config={
                "working_dir": folder,
                "embedding_batch_num": _BATCH,
                # Less than all cosines, also if they are rounded.
                "vector_db_storage_cls_kwargs": {"cosine_better_than_threshold": -2.0},
            },
            embedding_func=EmbeddingFunc(embedding_dim=dimension, func=embed),
            meta_fields={"content", "row"},
        )
        initialize_share_data()
        _wait(self._storage.initialize())

    def read(self, ids: Sequence[str]) -> list[str]:
        """Return the rows of these ids that there are."""
        found = _wait(self._storage.get_by_ids(list(ids)))
        return [str(each["row"]) for each in found if each is not None]

    def all(self) -> list[str]:
        """Return all rows."""

        async def read() -> Any:
            return await self._storage.client_storage

        return [str(each["row"]) for each in _wait(read())["data"]]

    def nearest(self, vector: Sequence[float], limit: int) -> list[str]:
        """Return the rows of the nearest vectors by the cosine."""
        found = _wait(self._storage.query("", top_k=limit, query_embedding=list(vector)))
        return [str(each["row"]) for each in found]

    def put(self, rows: Mapping[str, tuple[str, Sequence[float]]]) -> None:
        """Store rows with their vectors, in place of those of the same ids."""
        # LightRAG embeds the contents: with the ids for these, equal texts are told apart.
        self._vectors = {each: vector for each, (_, vector) in rows.items()}
        data = {each: {"content": each, "row": row} for each, (row, _) in rows.items()}
        _wait(self._written(self._storage.upsert(data)))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete rows."""
        _wait(self._written(self._storage.delete(list(ids))))

    def drop(self) -> None:
        """Delete all, with the file."""
        _wait(self._storage.drop())
        self._file.unlink(missing_ok=True)

    async def _written(self, change: Coroutine[Any, Any, Any]) -> None:
        await change
        if not await self._storage.index_done_callback():
            raise OSError(f"LightRAG did not write {self._file}")


def _wait(work: Coroutine[Any, Any, Any]) -> Any:
    # LightRAG's locks belong to a loop: this is always the same.
    return background_loop().call(work)
