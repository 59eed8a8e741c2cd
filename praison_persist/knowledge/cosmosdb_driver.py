"""The hooks of knowledge stores in Azure Cosmos DB for NoSQL.

A collection is a container, which holds an item for each document. What it was created with is an
item of one more container, the register: reading it is a point read, the cheapest request there
is, while reading the properties of containers is limited to few a second for a whole account
(learn.microsoft.com, "Azure Cosmos DB service quotas", "Metadata request limits").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.cosmos import PartitionKey
from azure.cosmos.exceptions import (
    CosmosClientTimeoutError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
    PersistError,
    UnavailableError,
)
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range
from praison_persist.knowledge.payload import FIELDS, packed, unpacked
from praison_persist.knowledge.terms import numbers_of, safe_key, terms_of, token
from praison_persist.knowledge.vectors import score_of
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["DIMENSION_MAX", "FLAT_MAX", "CosmosDBDriver", "Side"]

# learn.microsoft.com, "Vector search in Azure Cosmos DB for NoSQL", "Vector indexing policies".
FLAT_MAX, DIMENSION_MAX = 505, 4096
_FUNCTIONS = {"cosine": "cosine", "euclidean": "euclidean", "dot": "dotproduct"}
_PAGE = 500
_TRANSIENT = frozenset({408, 410, 429, 449, 500, 502, 503, 504})
_REFUSED = frozenset({401, 403})
_TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class Side:
    """What differs between the SDK's two colours.

    Attributes:
        client: returns the client of this process or loop.
        close: closes what it returned.
        collect: returns the results of a query as a list, or a coroutine of it.
        across: options of a query over all partitions.
        sleep: waits so many seconds.
    """

    client: Callable[[], Any]
    close: Callable[[], Any]
    collect: Callable[[Any], Any]
    across: dict[str, Any]
    sleep: Callable[[float], Any]


class CosmosDBDriver(KnowledgeDriver):
    """Hooks over the clients of `azure.cosmos` or `azure.cosmos.aio`.

    Args:
        side: makes the client.
        endpoint: of the account, without credentials.
        database: has the containers.
        prefix: is the name of the register, and begins those of the other containers.
        index: kind of the vector index; None: one that suits the dimension.
        throughput: request units a second of a database that is made here; None: serverless, or
            the service's default for each container.
        retry: when to try again.
    """

    failures = (AzureError,)
    max_dimension = DIMENSION_MAX
    batch = 100

    def __init__(
        self,
        side: Side,
        endpoint: str,
        database: str,
        prefix: str,
        index: str | None,
        throughput: int | None,
        retry: RetryPolicy,
    ) -> None:
        self.address = f"{endpoint}/{database}"
        self.sleep, self.retry = side.sleep, retry
        self._side, self._name, self._prefix = side, database, prefix
        self._index, self._throughput = index, throughput
        if index == "flat":
            self.max_dimension = FLAT_MAX

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        found = yield from _unless(
            CosmosResourceNotFoundError,
            lambda: self._items(self._container(self._prefix), "SELECT VALUE c.id FROM c", {}),
        )
        return found or []

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        item = yield from _unless(
            CosmosResourceNotFoundError,
            lambda: self._container(self._prefix).read_item(name, partition_key=name),
        )
        if item is None:
            return None
        return KnowledgeCollection(
            item["id"], item["dimension"], item["distance"], loads(item["metadata"])
        )

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        client, database = self._side.client(), self._database()
        yield from _unless(
            CosmosResourceExistsError,
            lambda: client.create_database_if_not_exists(
                self._name, offer_throughput=self._throughput
            ),
        )
        key: Any = PartitionKey("/id")
        yield from _unless(
            CosmosResourceExistsError,
            lambda: database.create_container_if_not_exists(self._prefix, key),
        )
        embeddings, indexing = self._policies(collection)
        name = self._container_name(collection.name)
        made = yield from _unless(
            CosmosResourceExistsError,
            lambda: database.create_container(
                name, key, indexing_policy=indexing, vector_embedding_policy=embeddings
            ),
        )
        if made is None:
            # Another is creating it at this moment, or was broken off before the next request.
            # In both cases nothing is in it yet.
            there = yield from wait(database.get_container_client(name).read())
            if there.get("vectorEmbeddingPolicy") != embeddings:
                raise ConflictError(
                    f"{self.address}: there is a container {name!r} that compares otherwise than "
                    f"{collection.name!r} is to; if nobody is creating it now, delete it"
                )
        item = {
            "id": collection.name,
            "dimension": collection.dimension,
            "distance": collection.distance,
            "metadata": dumps(collection.metadata),
        }
        register = self._container(self._prefix)
        yield from _unless(CosmosResourceExistsError, lambda: register.create_item(item))

    def _policies(self, collection: KnowledgeCollection) -> tuple[dict[str, Any], dict[str, Any]]:
        embedding = {
            "path": "/embedding",
            "dataType": "float32",
            "distanceFunction": _FUNCTIONS[collection.distance],
            "dimensions": collection.dimension,
        }
        kind = self._index or ("flat" if collection.dimension <= FLAT_MAX else "diskANN")
        not_filtered = ("/embedding/*", "/content/?", "/metadata/?", '/"_etag"/?')
        return {"vectorEmbeddings": [embedding]}, {
            "indexingMode": "consistent",
            "includedPaths": [{"path": "/*"}],
            "excludedPaths": [{"path": path} for path in not_filtered],
            "vectorIndexes": [{"path": "/embedding", "type": kind}],
        }

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        database = self._database()
        name = self._container_name(collection.name)
        # In this order: what is broken off in between still is listed, and can be deleted again.
        yield from _unless(CosmosResourceNotFoundError, lambda: database.delete_container(name))
        register, item = self._container(self._prefix), collection.name
        yield from _unless(
            CosmosResourceNotFoundError, lambda: register.delete_item(item, partition_key=item)
        )

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put. One request each: each item is a partition of its own."""
        container = self._of(collection)
        for document in documents:
            item = _item(document)
            if not new:
                yield from wait(container.upsert_item(item))
                continue
            try:
                yield from wait(container.create_item(item))
            except CosmosResourceExistsError as error:
                there = yield from wait(container.read_item(item["id"], partition_key=item["id"]))
                # An earlier try of this hook may have stored it, and lost the answer.
                if any(there.get(field) != value for field, value in item.items()):
                    raise ConflictError(
                        f"The collection {collection.name!r} has a document {document.id!r}"
                    ) from error

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        asked = {f"@i{number}": token(each) for number, each in enumerate(ids)}
        if not asked:
            return []
        text = f"SELECT {_fields(embeddings)} FROM c WHERE c.id IN ({', '.join(asked)})"  # noqa: S608 - names of parameters
        items = yield from wait(self._items(self._of(collection), text, asked))
        return [_document(each) for each in items]

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
        condition, values = _condition(where)
        measured = "VectorDistance(c.embedding, @vector)"
        text = (
            f"SELECT TOP {limit} {_fields(embeddings)}, {measured} AS measured FROM c "  # noqa: S608 - a number, and names of parameters
            f"WHERE {condition} ORDER BY {measured}"
        )
        values["@vector"] = list(vector)
        items = yield from wait(self._items(self._of(collection), text, values))
        return [
            _document(each, score_of(collection.distance, float(each["measured"])))
            for each in items
        ]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        container = self._of(collection)
        for each in ids:
            try:
                yield from wait(container.delete_item(token(each), partition_key=token(each)))
            except CosmosResourceNotFoundError:
                continue
        return None

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last item's id of the page before."""
        condition, values = _condition(where)
        if cursor is not None:
            condition, values["@after"] = f"c.id > @after AND ({condition})", cursor
        text = (
            f"SELECT TOP {_PAGE} c.id, {_fields(False)} FROM c "  # noqa: S608 - a number, and names of parameters
            f"WHERE {condition} ORDER BY c.id"
        )
        items = yield from wait(self._items(self._of(collection), text, values))
        last = items[-1]["id"] if len(items) == _PAGE else None
        return [_document(each) for each in items], last

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        condition, values = _condition(where)
        text = f"SELECT VALUE COUNT(1) FROM c WHERE {condition}"  # noqa: S608 - names of parameters
        counted: list[int] = yield from wait(self._items(self._of(collection), text, values))
        return sum(counted)

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        return wait(self._side.close())

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        if isinstance(error, ServiceRequestError | ServiceResponseError | CosmosClientTimeoutError):
            return True
        return isinstance(error, CosmosHttpResponseError) and error.status_code in _TRANSIENT

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        status = getattr(error, "status_code", None)
        told = f"{self.address}: cannot {action}: {self.describe(error)}"
        if status in _REFUSED:
            return UnavailableError(
                f"{told}. Check the AccountKey of the connection string, and the account's firewall"
            )
        if isinstance(error, CosmosResourceNotFoundError):
            return NotFoundError(f"{told}. The collection is not there, or no longer")
        if isinstance(error, CosmosResourceExistsError):
            return ConflictError(told)
        if status == _TOO_LARGE:
            return InvalidDataError(f"{told}. An item of Cosmos DB has 2 MB at most")
        if action == "create a collection":
            return BackendError(f"{told}. The account needs the capability EnableNoSQLVectorSearch")
        return BackendError(told)

    def _database(self) -> Any:
        return self._side.client().get_database_client(self._name)

    def _container(self, name: str) -> Any:
        return self._database().get_container_client(name)

    def _of(self, collection: KnowledgeCollection) -> Any:
        return self._container(self._container_name(collection.name))

    def _container_name(self, name: str) -> str:
        """Return the container of a collection: -x for X, as URLs may lose their case."""
        return f"{self._prefix}-" + re.sub("[A-Z]", lambda found: f"-{found[0].lower()}", name)

    def _items(self, container: Any, text: str, values: dict[str, Any]) -> Any:
        parameters = [{"name": name, "value": value} for name, value in values.items()]
        return self._side.collect(
            container.query_items(text, parameters=parameters, **self._side.across)
        )


def _unless(error: type[AzureError], call: Callable[[], Any]) -> Flow[Any]:
    """Return what the client's method returns; None, if it raises the error."""
    try:
        return (yield from wait(call()))
    except error:
        return None


def _item(document: KnowledgeDocument) -> dict[str, Any]:
    return {
        # Ids of items have no /, \, ? or #, and are shorter than ours can be in UTF-8.
        "id": token(document.id),
        "document_id": document.id,
        **packed(document),
        "created_at": repr(document.created_at),
        "terms": terms_of(document.metadata),
        "numbers": {safe_key(key): number for key, number in numbers_of(document.metadata).items()},
        "embedding": list(document.embedding or ()),
    }


def _fields(embeddings: bool) -> str:
    names = ("document_id", *FIELDS, *(("embedding",) if embeddings else ()))
    return ", ".join(f"c.{name}" for name in names)


def _document(item: dict[str, Any], score: float | None = None) -> KnowledgeDocument:
    return unpacked(item["document_id"], item, embedding=item.get("embedding"), score=score)


def _condition(where: Filter | None) -> tuple[str, dict[str, Any]]:
    """Return a condition of a query and its parameters."""
    values: dict[str, Any] = {}

    def bound(value: object) -> str:
        name = f"@p{len(values)}"
        values[name] = value
        return name

    return ("true" if where is None else _compiled(where, bound)), values


def _compiled(where: Filter, bound: Callable[[object], str]) -> str:
    match where:
        case Has(()):
            return "false"
        case Has(terms):
            return _joined("OR", [f"ARRAY_CONTAINS(c.terms, {bound(each)})" for each in terms])
        case Range(key, bounds):
            number = f'c.numbers["{safe_key(key)}"]'
            # Without IS_DEFINED, the opposite of what compares with nothing would be undefined
            # as well ("Equality and comparison operators" of the query language).
            return _joined(
                "AND",
                [f"IS_DEFINED({number})", *(f"{number} {sign} {bound(x)}" for sign, x in bounds)],
            )
        case And(parts):
            return _joined("AND", [_compiled(part, bound) for part in parts])
        case Or(parts):
            return _joined("OR", [_compiled(part, bound) for part in parts])
        case Not(part):
            return f"(NOT {_compiled(part, bound)})"


def _joined(word: str, parts: list[str]) -> str:
    return f"({f' {word} '.join(parts)})"
