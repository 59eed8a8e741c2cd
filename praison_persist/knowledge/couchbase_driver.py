"""The hooks of knowledge stores in Couchbase.

A collection is one of a scope of a bucket. Documents are written and read by key; searches, filters
and counts are statements of SQL++ that wait until they see all writes (request_plus). What
collections were created with is in one more collection, the register: asking the data service for
a collection that is not there would wait for it until the timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from couchbase.exceptions import (
    AmbiguousTimeoutException,
    AuthenticationException,
    BucketNotFoundException,
    CollectionAlreadyExistsException,
    CollectionNotFoundException,
    CouchbaseException,
    DocumentExistsException,
    DocumentNotFoundException,
    InternalServerFailureException,
    KeyspaceNotFoundException,
    RequestCanceledException,
    ScopeAlreadyExistsException,
    ScopeNotFoundException,
    ServiceUnavailableException,
    TemporaryFailException,
    TimeoutException,
    UnAmbiguousTimeoutException,
)
from couchbase.n1ql import QueryScanConsistency
from couchbase.options import QueryOptions

from praison_persist._flow import Flow
from praison_persist._processes import PerProcess
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
from praison_persist.knowledge.terms import numbers_of, safe_key, terms_of, token
from praison_persist.knowledge.vectors import pack, scores
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["REGISTER", "CouchbaseDriver"]

# Names of Couchbase's begin with no underscore, and ours have no hyphen.
REGISTER, _PREFIX = "praison-collections", "praison-k-"
# docs.couchbase.com, "Vector Functions": VECTOR_DISTANCE is smaller the nearer, with each of them.
_METRICS = {"cosine": "COSINE", "euclidean": "EUCLIDEAN", "dot": "DOT"}
_PAGE = 500
_TRANSIENT = (
    TimeoutException,
    UnAmbiguousTimeoutException,
    AmbiguousTimeoutException,
    TemporaryFailException,
    ServiceUnavailableException,
    RequestCanceledException,
    InternalServerFailureException,
)
_SETTLE_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class CouchbaseDriver(KnowledgeDriver):
    """Hooks over the sync client of `couchbase`.

    Args:
        clusters: makes the client, which connects at once.
        hosts: of the connection string, without credentials.
        bucket: has the scope.
        scope: has the collections.
        retry: when to try again.
    """

    failures = (CouchbaseException,)
    batch = 200

    def __init__(
        self, clusters: PerProcess[Any], hosts: str, bucket: str, scope: str, retry: RetryPolicy
    ) -> None:
        self.address = f"{hosts}/{bucket}.{scope}"
        self.retry = retry
        self._clusters, self._bucket, self._scope = clusters, bucket, scope
        self._registered = False

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        if not self._has_register():
            return done([])
        return done(self._rows(REGISTER, "SELECT RAW META(d).id", "TRUE", {}))

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        if not self._has_register():
            return done(None)
        try:
            found = self._collection(REGISTER).get(name).content_as[dict]
        except DocumentNotFoundException:
            return done(None)
        return done(
            KnowledgeCollection(name, found["dimension"], found["distance"], found["metadata"])
        )

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        manager = self._manager()
        _unless(ScopeAlreadyExistsException, lambda: manager.create_scope(self._scope))
        self._make(manager, REGISTER, ())
        name = _PREFIX + collection.name
        self._make(manager, name, ("`praison_terms`",))
        row = {
            "dimension": collection.dimension,
            "distance": collection.distance,
            "metadata": collection.metadata,
        }
        register = self._collection(REGISTER)
        _unless(DocumentExistsException, lambda: register.insert(collection.name, row))
        self._registered = True
        return done(None)

    def _make(self, manager: Any, name: str, indexes: tuple[str, ...]) -> None:
        _unless(
            CollectionAlreadyExistsException, lambda: manager.create_collection(self._scope, name)
        )
        place = self._keyspace(name)
        statements = [f"CREATE PRIMARY INDEX IF NOT EXISTS ON {place}"]
        statements += [
            f"CREATE INDEX {index} IF NOT EXISTS ON {place} (DISTINCT ARRAY t FOR t IN terms END)"
            for index in indexes
        ]
        for statement in statements:
            self._settled(statement)

    def _settled(self, statement: str) -> None:
        """Run it, and wait until the query service knows of a collection that was just made."""
        for seconds in _SETTLE_S:
            try:
                self._run(statement, {})
            except KeyspaceNotFoundException:
                time.sleep(seconds)
            else:
                return
        self._run(statement, {})

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        manager, name = self._manager(), _PREFIX + collection.name
        # In this order: what is broken off in between still is listed, and can be deleted again.
        _unless(CollectionNotFoundException, lambda: manager.drop_collection(self._scope, name))
        register = self._collection(REGISTER)
        _unless(DocumentNotFoundException, lambda: register.remove(collection.name))
        return done(None)

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        values = {token(each.id): _value(each) for each in documents}
        place = self._collection(_PREFIX + collection.name)
        if not new:
            _raise(place.upsert_multi(values).exceptions.values())
            return done(None)
        failed = place.insert_multi(values).exceptions
        _raise(each for each in failed.values() if not isinstance(each, DocumentExistsException))
        for key in failed:
            # An earlier try of this hook may have stored it, and lost the answer.
            if place.get(key).content_as[dict] != values[key]:
                name = values[key]["document_id"]
                raise ConflictError(
                    f"The collection {collection.name!r} has a document {name!r}"
                ) from failed[key]
        return done(None)

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        if not ids:
            return done([])
        read = self._collection(_PREFIX + collection.name).get_multi([*map(token, ids)])
        _raise(
            each
            for each in read.exceptions.values()
            if not isinstance(each, DocumentNotFoundException)
        )
        rows = [each.content_as[dict] for each in read.results.values()]
        return done([_document(row, embeddings=embeddings) for row in rows])

    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.query.

        The server ranks; scores are computed here, of the embeddings of the nearest.
        """
        condition, values = _condition(where)
        metric = _METRICS[collection.distance]
        values |= {"vector": list(vector), "limit": limit}
        rows = self._rows(
            _PREFIX + collection.name,
            f"SELECT {_FOUND}, d.embedding",
            f'{condition} ORDER BY VECTOR_DISTANCE(d.embedding, $vector, "{metric}") LIMIT $limit',
            values,
        )
        measured = scores(collection.distance, vector, [pack(row["embedding"]) for row in rows])
        return done(
            [
                _document(row, score, embeddings=embeddings)
                for row, score in zip(rows, measured, strict=True)
            ]
        )

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        place = self._collection(_PREFIX + collection.name)
        failed = place.remove_multi([*map(token, ids)]).exceptions.values()
        _raise(each for each in failed if not isinstance(each, DocumentNotFoundException))
        return done(None)

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last key of the page before."""
        condition, values = _condition(where)
        values |= {"after": cursor or "", "page": _PAGE}
        rows = self._rows(
            _PREFIX + collection.name,
            f"SELECT META(d).id AS k, {_FOUND}",
            f"META(d).id > $after AND ({condition}) ORDER BY META(d).id LIMIT $page",
            values,
        )
        last = rows[-1]["k"] if len(rows) == _PAGE else None
        return done(([_document(row) for row in rows], last))

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        condition, values = _condition(where)
        (counted,) = self._rows(_PREFIX + collection.name, "SELECT RAW COUNT(*)", condition, values)
        return done(int(counted))

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        self._clusters.close()
        return done(None)

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        return isinstance(error, _TRANSIENT)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        told = f"{self.address}: cannot {action}: {self.describe(error)}"
        if isinstance(error, AuthenticationException):
            return UnavailableError(f"{told}. Check the user name, the password and its roles")
        if isinstance(error, BucketNotFoundException):
            return UnavailableError(f"{told}. Make the bucket first, or name another")
        if isinstance(
            error, KeyspaceNotFoundException | CollectionNotFoundException | ScopeNotFoundException
        ):
            return NotFoundError(f"{told}. The collection is not there, or no longer")
        if "VECTOR_DISTANCE" in told:
            return BackendError(f"{told}. Comparing vectors needs Couchbase Server 7.6.6 or newer")
        return BackendError(told)

    def describe(self, error: BaseException) -> str:
        """See KnowledgeDriver.describe. The text of these errors has statements and parameters."""
        context = getattr(error, "error_context", None)
        words = getattr(context, "first_error_message", None) or getattr(error, "message", None)
        return " ".join(f"{type(error).__name__} {words or ''}".split())[:300].rstrip(".")

    def _has_register(self) -> bool:
        if not self._registered:
            scopes = self._manager().get_all_scopes()
            self._registered = any(
                scope.name == self._scope and each.name == REGISTER
                for scope in scopes
                for each in scope.collections
            )
        return self._registered

    def _manager(self) -> Any:
        return self._clusters.get().bucket(self._bucket).collections()

    def _collection(self, name: str) -> Any:
        return self._clusters.get().bucket(self._bucket).scope(self._scope).collection(name)

    def _keyspace(self, name: str) -> str:
        return f"`{self._bucket}`.`{self._scope}`.`{name}`"

    def _rows(self, name: str, select: str, rest: str, values: dict[str, Any]) -> list[Any]:
        return self._run(f"{select} FROM {self._keyspace(name)} AS d WHERE {rest}", values)

    def _run(self, statement: str, values: dict[str, Any]) -> list[Any]:
        consistency = QueryScanConsistency.REQUEST_PLUS
        options: Any = QueryOptions(named_parameters=values, scan_consistency=consistency)
        return list(self._clusters.get().query(statement, options).rows())


_FOUND = ", ".join(f"d.{name}" for name in ("document_id", *FIELDS))


def _unless(error: type[CouchbaseException], call: Callable[[], Any]) -> None:
    try:
        call()
    except error:
        return


def _raise(failed: Iterable[Exception]) -> None:
    """Raise the first of what failed of several."""
    for each in failed:
        raise each


def _value(document: KnowledgeDocument) -> dict[str, Any]:
    return {
        "document_id": document.id,
        **packed(document),
        "created_at": repr(document.created_at),
        "terms": terms_of(document.metadata),
        "numbers": {safe_key(key): number for key, number in numbers_of(document.metadata).items()},
        "embedding": list(document.embedding or ()),
    }


def _document(
    row: dict[str, Any], score: float | None = None, *, embeddings: bool = False
) -> KnowledgeDocument:
    embedding = row["embedding"] if embeddings else None
    return unpacked(row["document_id"], row, embedding=embedding, score=score)


def _condition(where: Filter | None) -> tuple[str, dict[str, Any]]:
    """Return a condition of a statement and its parameters."""
    values: dict[str, Any] = {}

    def bound(value: object) -> str:
        name = f"p{len(values)}"
        values[name] = value
        return f"${name}"

    return ("TRUE" if where is None else _compiled(where, bound)), values


def _compiled(where: Filter, bound: Callable[[object], str]) -> str:
    match where:
        case Has(()):
            return "FALSE"
        case Has(terms):
            return f"(ANY t IN d.terms SATISFIES t IN {bound(list(terms))} END)"
        case Range(key, bounds):
            number = f"d.numbers.`{safe_key(key)}`"
            # Without the first, the opposite of a comparison with MISSING would be MISSING as well.
            first = f"{number} IS NOT MISSING"
            return _joined("AND", [first, *(f"{number} {sign} {bound(x)}" for sign, x in bounds)])
        case And(parts):
            return _joined("AND", [_compiled(part, bound) for part in parts])
        case Or(parts):
            return _joined("OR", [_compiled(part, bound) for part in parts])
        case Not(part):
            return f"(NOT {_compiled(part, bound)})"


def _joined(word: str, parts: list[str]) -> str:
    return f"({f' {word} '.join(parts)})"
