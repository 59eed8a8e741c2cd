"""Knowledge as rows of LanceDB's tables, one table a collection."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Coroutine, Sequence
from math import sqrt
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.index import FTS
from lancedb.query import ColumnOrdering, MatchQuery

from praison_persist._flow import Flow, wait
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConflictError,
    NotFoundError,
    PersistError,
    UnavailableError,
)
from praison_persist.knowledge.driver import KnowledgeDriver, Page, done
from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range
from praison_persist.knowledge.payload import FIELDS, packed, unpacked
from praison_persist.knowledge.terms import numbers_of, terms_of
from praison_persist.knowledge.vectors import score_of
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["LanceDBDriver"]

_MARK = b"praison_persist"  # of the schema's metadata, which describes the collection
_COLUMNS = ["id", *FIELDS]
_PAGE = 1000  # documents
_METRICS = {"cosine": "cosine", "euclidean": "l2", "dot": "dot"}
# LanceDB tells its failures by their words alone.
_MISSING = re.compile(r"Table '.*' was not found|Not found: .*\.lance/")
_TRANSIENT = re.compile(
    r"conflict|concurrent|timed? ?out|connection (?:reset|refused|closed)|slow ?down|throttl"
    r"|error sending request",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"permission denied|access ?denied|unauthori[sz]ed|forbidden|credential", re.IGNORECASE
)


class LanceDBDriver(KnowledgeDriver):
    """Hooks over LanceDB's async API, which `run` drives in the colour of the store."""

    failures = (ValueError, RuntimeError, OSError, pa.ArrowException)
    capabilities = frozenset(KnowledgeCapability)

    def __init__(
        self,
        place: str,
        storage_options: dict[str, str],
        retry: RetryPolicy,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
        sleep: Callable[[float], Any],
    ) -> None:
        self.address = f"lancedb at {place}"
        self.retry = retry
        self.sleep = sleep
        self._place, self._options = place, storage_options
        self._run = run
        self._connection: Any = None
        self._lock = threading.Lock()

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        return wait(self._run(self._names()))

    async def _names(self) -> list[str]:
        connection = await self._connect()
        tables: list[str] = []
        token = None
        while True:
            page = await connection.list_tables(page_token=token)
            tables += page.tables
            token = page.page_token
            if not token:
                break
        known = [_name_of(each) for each in tables]
        found = await asyncio.gather(*(self._look_up(name, foreign=True) for name in known))
        return [each.name for each in found if each is not None]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        return wait(self._run(self._look_up(name)))

    async def _look_up(self, name: str, *, foreign: bool = False) -> KnowledgeCollection | None:
        """Return a collection, None if there is none; of another program: None, if `foreign`."""
        try:
            schema = await (await self._table(name)).schema()
        except (ValueError, RuntimeError) as error:
            if _MISSING.search(str(error)):
                return None
            raise
        described = (schema.metadata or {}).get(_MARK)
        if described is None:
            if foreign:
                return None
            raise BackendError(
                f"{self.address}: the table {_table_name(name)!r} is of another program; use "
                "another path or name"
            )
        return KnowledgeCollection(**json.loads(described))

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        return wait(self._run(self._create(collection)))

    async def _create(self, collection: KnowledgeCollection) -> None:
        connection = await self._connect()
        try:
            table = await connection.create_table(
                _table_name(collection.name), schema=_schema(collection)
            )
        except ValueError as error:
            if "already exists" not in str(error):
                raise
            return
        await self._index_words(table)

    async def _index_words(self, table: Any) -> None:
        """Index the words of contents. What is written later is searched without the index."""
        words = FTS(with_position=False, stem=False, remove_stop_words=False)
        await table.create_index("content", config=words)

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        return wait(self._run(self._drop(collection)))

    async def _drop(self, collection: KnowledgeCollection) -> None:
        connection = await self._connect()
        await connection.drop_table(_table_name(collection.name), ignore_missing=True)

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        return wait(self._run(self._put(collection, documents, new=new)))

    async def _put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> None:
        table = await self._table(collection.name)
        rows = pa.Table.from_pylist([_row(each) for each in documents], schema=_schema(collection))
        merge = table.merge_insert("id").when_not_matched_insert_all()
        if not new:
            merge = merge.when_matched_update_all()
        result = await merge.execute(rows)
        if new and result.num_inserted_rows < len(documents):
            raise ConflictError(
                f"The collection {collection.name!r} got one of the documents "
                f"{documents[0].id!r} to {documents[-1].id!r} from another writer just now; "
                "those that were not there are stored. upsert replaces them"
            )

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        return wait(self._run(self._fetch(collection, ids, embeddings=embeddings)))

    async def _fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> list[KnowledgeDocument]:
        if not ids:
            return []
        table = await self._table(collection.name)
        found = table.query().where(_of_ids(ids)).select(_columns(embeddings=embeddings))
        return await _documents(found)

    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.query."""
        return wait(self._run(self._query(collection, vector, limit, where, embeddings=embeddings)))

    async def _query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> list[KnowledgeDocument]:
        table = await self._table(collection.name)
        distance = collection.distance
        found = table.vector_search(list(vector)).distance_type(_METRICS[distance]).limit(limit)
        found = found.select([*_columns(embeddings=embeddings), "_distance"])
        return await _documents(
            _restricted(found, where), lambda row: _score(distance, row["_distance"])
        )

    def keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.keywords."""
        return wait(self._run(self._keywords(collection, text, limit, where)))

    async def _keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> list[KnowledgeDocument]:
        table = await self._table(collection.name)
        if not any(each.columns == ["content"] for each in await table.list_indices()):
            await self._index_words(table)  # the one who created the table did not come so far
        words: Any = MatchQuery
        found = table.query().nearest_to_text(words(text, "content")).limit(limit)
        found = found.select([*_COLUMNS, "_score"])
        documents = await _documents(_restricted(found, where), lambda row: float(row["_score"]))
        return sorted(documents, key=lambda each: (-(each.score or 0.0), each.id))

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        return wait(self._run(self._delete(collection, _of_ids(ids)))) if ids else done(0)

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        return wait(self._run(self._delete(collection, "true")))

    async def _delete(self, collection: KnowledgeCollection, condition: str) -> int:
        result = await (await self._table(collection.name)).delete(condition)
        return int(result.num_deleted_rows)

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last id of the page before."""
        return wait(self._run(self._scan(collection, where, cursor)))

    async def _scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Page:
        table = await self._table(collection.name)
        conditions = [] if where is None else [_compiled(where)]
        if cursor is not None:
            conditions.append(f"id > {_quoted(cursor)}")
        found = (
            table.query().select(_COLUMNS).order_by([ColumnOrdering(column_name="id")]).limit(_PAGE)
        )
        if conditions:
            found = found.where(" AND ".join(conditions))
        documents = await _documents(found)
        return documents, documents[-1].id if len(documents) == _PAGE else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        return wait(self._run(self._count(collection, where)))

    async def _count(self, collection: KnowledgeCollection, where: Filter | None) -> int:
        table = await self._table(collection.name)
        count: int = await table.count_rows(None if where is None else _compiled(where))
        return count

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        return done(None)

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        words = str(error)
        return _TRANSIENT.search(words) is not None and _REFUSED.search(words) is None

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        words = str(error)
        if _MISSING.search(words):
            return NotFoundError(
                f"{self.address}: cannot {action}: the collection was deleted just now"
            )
        if _REFUSED.search(words):
            return UnavailableError(
                f"{self.address}: cannot {action}: {self.describe(error)}. Check the rights to the "
                "directory, or the credentials in storage_options="
            )
        return super().translate(error, action)

    async def _connect(self) -> Any:
        """Return the connection, which belongs to no event loop."""
        if self._connection is None:
            new = await lancedb.connect_async(self._place, storage_options=self._options or None)
            with self._lock:
                if self._connection is None:
                    self._connection = new
        return self._connection

    async def _table(self, name: str) -> Any:
        """Return a table as it is now: an open one would not see what others write."""
        return await (await self._connect()).open_table(_table_name(name))


def _table_name(name: str) -> str:
    """Return the name of a table: "Docs" is "D-ocs" in lower case, as file systems fold case."""
    return re.sub("[A-Z]", lambda found: f"{found[0].lower()}-", name)


def _name_of(table: str) -> str:
    return re.sub("([a-z])-", lambda found: found[1].upper(), table)


def _schema(collection: KnowledgeCollection) -> pa.Schema:
    # Without a schema the type of the vectors would be guessed from the first rows.
    described = json.dumps(
        {
            "name": collection.name,
            "dimension": collection.dimension,
            "distance": collection.distance,
            "metadata": collection.metadata,
        }
    )
    # With a primary key two writers of the same id are a conflict, of which one repeats.
    key = {"lance-schema:unenforced-primary-key": "true"}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=key),
            pa.field("vector", pa.list_(pa.float32(), collection.dimension)),
            pa.field("content", pa.string()),
            pa.field("metadata", pa.string()),
            pa.field("content_hash", pa.string()),
            pa.field("created_at", pa.float64()),
            pa.field("terms", pa.list_(pa.string())),
            pa.field("number_keys", pa.list_(pa.string())),
            pa.field("numbers", pa.list_(pa.float64())),
        ],
        metadata={_MARK: described.encode()},
    )


def _row(document: KnowledgeDocument) -> dict[str, Any]:
    numbers = numbers_of(document.metadata)
    return {
        "id": document.id,
        "vector": document.embedding,
        **packed(document),
        "terms": terms_of(document.metadata),
        "number_keys": [json.dumps(key) for key in numbers],  # in ASCII
        "numbers": list(numbers.values()),
    }


async def _documents(
    query: Any, score: Callable[[dict[str, Any]], float | None] = lambda _: None
) -> list[KnowledgeDocument]:
    rows = (await query.to_arrow()).to_pylist()
    return [unpacked(row["id"], row, embedding=row.get("vector"), score=score(row)) for row in rows]


def _columns(*, embeddings: bool) -> list[str]:
    return [*_COLUMNS, "vector"] if embeddings else _COLUMNS


def _score(distance: str, value: float) -> float:
    # LanceDB, "Vector Search": the squared Euclidean distance, 1 - cosine, 1 - dot product.
    return score_of(distance, sqrt(max(0.0, value)) if distance == "euclidean" else 1.0 - value)


def _restricted(query: Any, where: Filter | None) -> Any:
    """Restrict what is compared; LanceDB filters before it compares, unless told otherwise."""
    return query if where is None else query.where(_compiled(where))


def _compiled(where: Filter) -> str:
    match where:
        case Has(()):
            return "false"
        case Has(terms):
            return f"array_has_any(terms, make_array({_listed(terms)}))"
        case Range(key, bounds):
            place = f"CAST(array_position(number_keys, {_quoted(json.dumps(key))}) AS BIGINT)"
            number = f"array_element(numbers, {place})"
            compared = " AND ".join(f"{number} {name} {bound!r}" for name, bound in bounds)
            return f"COALESCE({compared}, false)"  # null without such a number
        case And(parts):
            return " AND ".join(f"({_compiled(part)})" for part in parts)
        case Or(parts):
            return " OR ".join(f"({_compiled(part)})" for part in parts)
        case Not(part):
            return f"NOT ({_compiled(part)})"


def _of_ids(ids: Sequence[str]) -> str:
    return f"id IN ({_listed(ids)})"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(map(_quoted, texts))


def _quoted(text: str) -> str:
    """Return a literal of SQL, as Apache DataFusion reads it: only the quote is special."""
    return "'" + text.replace("'", "''") + "'"
