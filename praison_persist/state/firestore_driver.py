"""State as documents of Firestore, replaced on condition that they are still what was read."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]  # grpcio has no types
from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    BatchWriteRequest,
    BatchWriteResponse,
    CommitRequest,
    Document,
    RunQueryRequest,
    RunQueryResponse,
    Value,
    Write,
)
from google.protobuf.timestamp_pb2 import (  # type: ignore[import-untyped]  # no types of its own
    Timestamp,
)

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    InvalidDataError,
    PersistError,
    UnavailableError,
)
from praison_persist.state.driver import bad_cursor
from praison_persist.state.entries import Change, Entry, EntryDriver, Keep
from praison_persist.state.firestore_access import Access, Calls, Place
from praison_persist.state.firestore_documents import (
    BATCH,
    DOCUMENT_MAX,
    ID,
    ID_KEPT,
    NULL,
    batches,
    document_id,
    escaped,
    expiry,
    json_object,
    names_query,
    require,
    size_of,
    text_value,
)
from praison_persist.state.keys import Glob

__all__ = ["FirestoreDriver"]

R = TypeVar("R")

_PAGE = 1000  # keys
_PAGE_MAX = 10_000  # keys
# Clocks differ: what a slow one takes for live must not be purged.
_PURGE_AFTER_S = 60
_RACE_DELAY_S, _RACE_DELAY_MAX_S = 0.01, 1.0

_TRANSIENT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
}
_REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
# What a write meets that another was ahead of: its document has changed, was made or deleted, or is
# being written right now.
_BEHIND = {
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ABORTED,
}


class FirestoreDriver(EntryDriver):
    """Documents of a collection.

    A document has the fields key (with the prefix), text, version, fields (JSON of the hash),
    answers (JSON of `Entry.answers`), expires_at (seconds since the epoch) and purge_at (the
    timestamp for Firestore's TTL policy); what there is none of is null.
    """

    failures = (api.GoogleAPICallError, grpc.RpcError, GoogleAuthError)

    def __init__(
        self,
        place: Place,
        access: Access,
        calls: Calls,
        prefix: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(clock)
        if not isinstance(prefix, str) or re.search("[\x00\ud800-\udfff]", prefix):
            raise ConfigurationError(f"prefix must be text without NUL, not {prefix!r}")
        self._place, self._access, self._calls, self._prefix = place, access, calls, prefix
        self.retry, self.sleep = retry, sleep
        self.address = self._address(access.project or "")
        self._database = ""  # its resource name, once it is known

    def load(self, keys: Sequence[str]) -> Flow[dict[str, Entry]]:
        """See EntryDriver.load."""
        found = yield from self._load(keys)
        return {key: entry for key, (entry, _) in found.items()}

    def change(self, key: str, change: Change[R]) -> Flow[R]:
        """See EntryDriver.change."""
        return (yield from self.change_all({key: change}))[0]

    def change_all(self, changes: Mapping[str, Change[R]]) -> Flow[list[R]]:
        """See EntryDriver.change_all. Nothing is written if one of them is refused."""
        results: dict[str, R] = {}
        left, delay_s = list(changes), _RACE_DELAY_S
        while True:
            found = yield from self._load(left)
            now, writes = self.clock(), {}
            for key in left:
                entry, updated = found.get(key, (None, None))
                outcome = changes[key](entry if entry and entry.is_live(now) else None)
                if isinstance(outcome, Keep):
                    results[key] = outcome.result
                    continue
                new, results[key] = outcome
                if new is not None:
                    writes[key] = self._replacing(key, new, updated)
                elif updated is not None:
                    writes[key] = self._deleting(key, updated)
            left = yield from self._write(writes)
            if not left:
                return [results[key] for key in changes]
            yield from wait(self.sleep(random.uniform(0, delay_s)))  # noqa: S311 - only spread
            delay_s = min(delay_s * 2, _RACE_DELAY_MAX_S)

    def page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[Sequence[str], str | None]]:
        """See StateDriver.page. The cursor is the last document of the page before."""
        documents, cursor = yield from self._list(glob.prefix, limit or _PAGE, cursor)
        now = self.clock()
        return [key for key, entry, _ in documents if entry.is_live(now)], cursor

    def clear(self, prefix: str) -> Flow[int | None]:
        """See StateDriver.clear. What has expired is deleted, and does not count."""
        deleted, cursor = 0, None
        while True:
            documents, cursor = yield from self._list(prefix, _PAGE, cursor)
            now = self.clock()
            live = {key for key, entry, _ in documents if entry.is_live(now)}
            behind = yield from self._write(
                {key: self._deleting(key, updated) for key, _, updated in documents}
            )
            deleted += len(live.difference(behind)) + (yield from self.delete(behind))
            if cursor is None:
                return deleted

    def close(self) -> Flow[None]:
        """See StateDriver.close."""
        yield from wait(self._calls.close())

    def is_transient(self, error: BaseException) -> bool:
        """See StateDriver.is_transient."""
        if isinstance(error, GoogleAuthError):
            return bool(error.retryable)
        return status_code(error) in _TRANSIENT

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See StateDriver.translate."""
        if isinstance(error, DefaultCredentialsError):
            return ConfigurationError(
                f"{self.address}: there are no credentials: give credentials_path=, set "
                "GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login"
            )
        if isinstance(error, GoogleAuthError) or status_code(error) in _REFUSED:
            return UnavailableError(
                f"{self.address} refused: {self.describe(error)}. "
                "Check the credentials and that they may read and write (roles/datastore.user)"
            )
        return super().translate(error, action)

    # Requests

    def _documents(self) -> Flow[str]:
        """Return the resource name below which all documents are."""
        if not self._database:
            project, _ = yield from wait(self._calls.find())
            self._database = f"projects/{project}/databases/{self._place.database}"
            self.address = self._address(project)
        return f"{self._database}/documents"

    def _address(self, project: str) -> str:
        at = f" at {self._access.emulator}" if self._access.emulator else ""
        return f"firestore {project}/{self._place.database}/{self._place.collection}{at}"

    def _ask(self, kind: Callable[..., Any], method: str, wrapper: Any, message: Any) -> Flow[Any]:
        return (
            yield from wait(
                kind(method, wrapper.wrap(message), self._access.options(self._database))
            )
        )

    def _load(self, keys: Sequence[str]) -> Flow[dict[str, tuple[Entry, Timestamp]]]:
        """Return key -> entry and time of the last update, for those that there are."""
        yield from self._documents()
        keys_of = {self._name(key): key for key in keys}
        names, found = list(keys_of), {}
        for start in range(0, len(names), BATCH):
            message = BatchGetDocumentsRequest.pb()(
                database=self._database, documents=names[start : start + BATCH]
            )
            responses = yield from self._ask(
                self._calls.many, "batch_get_documents", BatchGetDocumentsRequest, message
            )
            for response in map(BatchGetDocumentsResponse.pb, responses):
                if response.HasField("found"):
                    document = response.found
                    key = keys_of[document.name]
                    found[key] = self._entry(key, document), document.update_time
        return found

    def _write(self, writes: Mapping[str, Any]) -> Flow[list[str]]:
        """Write; return the keys of the writes that another was ahead of."""
        behind: list[str] = []
        for batch in batches(writes):
            message: Any
            if len(batch) == 1:
                message = CommitRequest.pb()(database=self._database, writes=batch.values())
                try:
                    yield from self._ask(self._calls.one, "commit", CommitRequest, message)
                except api.GoogleAPICallError as error:
                    if status_code(error) not in _BEHIND:
                        raise
                    behind += batch
                continue
            message = BatchWriteRequest.pb()(database=self._database, writes=batch.values())
            response = yield from self._ask(
                self._calls.one, "batch_write", BatchWriteRequest, message
            )
            statuses = BatchWriteResponse.pb(response).status
            for key, status in zip(batch, statuses, strict=True):
                if not status.code:
                    continue
                failure = api.from_grpc_status(status.code, status.message)  # type: ignore[no-untyped-call]  # as it comes
                if status_code(failure) not in _BEHIND:
                    raise failure
                behind.append(key)
        return behind

    def _list(
        self, prefix: str, limit: int, cursor: str | None
    ) -> Flow[tuple[list[tuple[str, Entry, Timestamp]], str | None]]:
        """Return keys below a prefix, with entries that have only an expiry, and the next cursor.

        Documents are ordered by their names, which needs no index.
        """
        collection = f"{yield from self._documents()}/{self._place.collection}"
        limit = min(limit, _PAGE_MAX)
        begin = escaped(self._prefix + prefix)[:ID_KEPT]
        if cursor is not None and not ID.fullmatch(cursor):
            raise bad_cursor(cursor)
        after = cursor is not None and cursor >= begin
        parent, _, name = collection.rpartition("/")
        message = RunQueryRequest.pb()(
            parent=parent,
            structured_query=names_query(
                name,
                f"{collection}/{cursor if after else begin}",
                # Above every character of an escaped name.
                f"{collection}/{begin}\uf8ff",
                limit,
                after=after,
            ),
        )
        responses = yield from self._ask(self._calls.many, "run_query", RunQueryRequest, message)
        documents = [
            response.document
            for response in map(RunQueryResponse.pb, responses)
            if response.HasField("document")
        ]
        last = documents[-1].name.rpartition("/")[2] if len(documents) == limit else None
        found = []
        for document in documents:
            key = document.fields["key"].string_value.removeprefix(self._prefix)
            # Others' documents are none of ours; and of a long prefix only the begin was asked for.
            if key.startswith(prefix) and self._name(key) == document.name:
                found.append((key, Entry(expires_at=expiry(document)), document.update_time))
        return found, last

    # Documents

    def _name(self, key: str) -> str:
        collection = f"{self._database}/documents/{self._place.collection}"
        return f"{collection}/{document_id(self._prefix + key)}"

    def _entry(self, key: str, document: Any) -> Entry:
        fields = document.fields
        if fields["key"].string_value != self._prefix + key or "version" not in fields:
            raise BackendError(
                f"{self.address}: the document {document_id(self._prefix + key)!r} holds data of "
                "another program; use another collection or prefix, or delete that document"
            )
        hashed = json.loads(fields["fields"].string_value or "{}")
        return Entry(
            fields["text"].string_value or None,
            fields["version"].integer_value,
            {name: dumps(value) for name, value in hashed.items()},
            expiry(document),
            tuple(map(tuple, json.loads(fields["answers"].string_value or "[]"))),
        )

    def _replacing(self, key: str, entry: Entry, updated: Timestamp | None) -> Any:
        """Return the write of a whole document over the one that was updated then, None: over none.

        Raises:
            InvalidDataError: it would be too large.
        """
        fields = {
            "key": Value.pb()(string_value=self._prefix + key),
            "text": text_value(entry.text),
            "version": Value.pb()(integer_value=entry.version),
            "fields": text_value(json_object(entry.fields) if entry.fields else None),
            "answers": text_value(dumps(entry.answers) if entry.answers else None),
            "expires_at": NULL,
            "purge_at": NULL,
        }
        if entry.expires_at is not None:
            purge_at = Timestamp(seconds=math.ceil(entry.expires_at) + _PURGE_AFTER_S)
            fields["expires_at"] = Value.pb()(double_value=entry.expires_at)
            fields["purge_at"] = Value.pb()(timestamp_value=purge_at)
        document = Document.pb()(name=self._name(key), fields=fields)
        size = size_of(document)
        if size > DOCUMENT_MAX:
            raise InvalidDataError(
                f"{key!r} would take {size} bytes with its hash, and a document of Firestore holds "
                f"{DOCUMENT_MAX}; split the value over several keys, or store less"
            )
        write = Write.pb()(update=document)
        require(write, updated)
        return write

    def _deleting(self, key: str, updated: Timestamp) -> Any:
        write = Write.pb()(delete=self._name(key))
        require(write, updated)
        return write


def status_code(error: BaseException) -> Any:
    """Return the status code of an error of gRPC."""
    if isinstance(error, api.GoogleAPICallError):
        return error.grpc_status_code
    code = getattr(error, "code", None)
    return code() if callable(code) else None
