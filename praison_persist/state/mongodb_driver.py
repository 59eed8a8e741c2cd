"""State as operations on a collection of MongoDB, of PyMongo's client of either colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo import errors as mongo

from praison_persist._flow import Flow, wait
from praison_persist._mongodb_errors import (
    DUPLICATE,
    MONGODB_FAILURES,
    REFUSED,
    TOO_LARGE,
    codes_of,
    described,
    is_transient,
)
from praison_persist._mongodb_place import Collections
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    InvalidDataError,
    PersistError,
    UnavailableError,
)
from praison_persist.state.base import StateDriver
from praison_persist.state.driver import added, bad_cursor, not_a_counter
from praison_persist.state.keys import Glob, check_key
from praison_persist.state.mongodb_documents import (
    FORMAT,
    adding,
    answer_in,
    answer_to,
    escaped,
    expiry,
    field_path,
    id_range,
    is_live,
    putting,
    putting_fields,
    putting_if,
    removing_fields,
    unescaped,
)

__all__ = ["MongoDBDriver"]

_BATCH = 5000  # keys asked for at once: of 2,000 bytes each, less than the 16 MB of a message
_REGEX = 100  # characters of a pattern that the server compares; the base compares all
_INDEX = "praison_purge"
_PURGE_AFTER_S = 3600  # as much the server's clock may be ahead of the store's
# Others won the race to make a document: seldom twice, and there is no end to try.
_RACE = RetryPolicy(2**63 - 1, 0.002, 0.1)


class MongoDBDriver(StateDriver):
    """Hooks of one operation each.

    Args:
        prefix: begins each key in the collection, and never appears in the store's own.
    """

    failures = MONGODB_FAILURES

    def __init__(
        self,
        collections: Collections,
        prefix: str,
        address: str,
        clock: Callable[[], float],
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._collections, self._prefix, self._clock = collections, prefix, clock
        self.address, self.retry, self.sleep = address, retry, sleep
        self._indexed = False

    def read(self, keys: Sequence[str]) -> Flow[dict[str, str]]:
        """See StateDriver.read."""
        found = yield from self._load(keys, {"value": 1})
        return {key: each["value"] for key, each in found.items() if "value" in each}

    def read_versioned(self, key: str) -> Flow[tuple[str, int] | None]:
        """See StateDriver.read_versioned."""
        found = yield from self._load([key], {"value": 1, "version": 1})
        each = found.get(key, {})
        return (each["value"], int(each["version"])) if "value" in each else None

    def remaining(self, key: str) -> Flow[float | None]:
        """See StateDriver.remaining."""
        found = yield from self._load([key], {})
        if key not in found:
            return None
        expires_at = found[key].get("expires_at")
        return inf if expires_at is None else expires_at - self._clock()

    def read_fields(self, key: str, fields: Sequence[str] | None) -> Flow[dict[str, str]]:
        """See StateDriver.read_fields."""
        paths = ["fields"] if fields is None else [field_path(each) for each in fields]
        found = yield from self._load([key], dict.fromkeys(paths, 1))
        stored = found.get(key, {}).get("fields", {})
        return {unescaped(name): text for name, text in stored.items()}

    def write(self, texts: Mapping[str, str], version: int, ttl: float | None) -> Flow[int]:
        """See StateDriver.write."""
        yield from self._make_index()
        now, left, delays_s = self._now(), list(texts), _RACE.delays()
        while left:
            updates = [
                UpdateOne(self._match(key), putting(texts[key], version, now, ttl), upsert=True)
                for key in left
            ]
            try:
                yield from wait(self._collection().bulk_write(updates, ordered=False))
            except mongo.BulkWriteError as error:
                if codes_of(error) != {DUPLICATE}:
                    raise
                left = [left[failed["index"]] for failed in error.details["writeErrors"]]
            else:
                break
            yield from self._refuse_foreign(left)
            yield from wait(self.sleep(next(delays_s)))
        return version

    def write_if(
        self, key: str, text: str, version: int, ttl: float | None, expected: int
    ) -> Flow[int | None]:
        """See StateDriver.write_if."""
        now = self._now()
        document = yield from self._update(
            key,
            self._match(key, now if expected else None),
            putting_if(text, version, now, ttl, expected),
            answer_to(version),
            upsert=not expected,
        )
        return None if answer_in(document, version) is None else version

    def add(self, key: str, amount: int, version: int) -> Flow[int]:
        """See StateDriver.add."""
        pipeline = adding(amount, version, self._now())
        wanted = {"value": 1, **answer_to(version)}
        document = yield from self._update(key, self._match(key), pipeline, wanted)
        answer = answer_in(document, version)
        if answer is not None:
            return int(answer["n"])
        added(key, document["value"], amount)  # says which of its errors it is
        raise not_a_counter(key)

    def write_fields(self, key: str, texts: Mapping[str, str]) -> Flow[None]:
        """See StateDriver.write_fields."""
        pipeline = putting_fields(texts, self._now())
        yield from self._update(key, self._match(key), pipeline, {"_id": 1})

    def delete_fields(self, key: str, fields: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete_fields."""
        document = yield from wait(
            self._collection().find_one_and_update(
                self._match(key, self._now()),
                removing_fields(fields),
                projection=dict.fromkeys(map(field_path, fields), 1),
                return_document=ReturnDocument.BEFORE,
            )
        )
        stored = document.get("fields", {}) if document else {}
        return sum(escaped(each) in stored for each in fields)

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete."""
        deleted = 0
        for key in keys:
            match = self._match(key, self._now())
            deleted += (yield from wait(self._collection().delete_one(match))).deleted_count
        return deleted

    def clear(self, prefix: str) -> Flow[int | None]:
        """See StateDriver.clear."""
        match = {"_id": id_range(self._prefix + prefix), "format": FORMAT, **is_live(self._now())}
        result = yield from wait(self._collection().delete_many(match))
        return int(result.deleted_count)

    def expire(self, key: str, ttl: float | None) -> Flow[bool]:
        """See StateDriver.expire."""
        yield from self._make_index()
        now = self._now()
        update = {"$set": expiry(now, ttl)}
        result = yield from wait(self._collection().update_one(self._match(key, now), update))
        return bool(result.matched_count)

    def page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[Sequence[str], str | None]]:
        """See StateDriver.page. The cursor is the last key of the page before."""
        try:
            "".join(glob.literals).encode()
        except UnicodeEncodeError:
            return [], None  # no key has a lone surrogate
        ids = id_range(self._prefix + glob.prefix)
        if cursor is not None:
            try:
                ids["$gt"] = self._prefix + check_key(cursor)
            except InvalidDataError as error:
                raise bad_cursor(cursor) from error
        longest = max(glob.literals[1:], key=len, default="")
        if longest:
            ids["$regex"] = "".join(f"\\x{{{ord(each):x}}}" for each in longest[:_REGEX])
        match = {"_id": ids, "format": FORMAT, **is_live(self._now())}
        size = min(limit or _BATCH, _BATCH)
        found = self._collection().find(match, {"_id": 1}, sort={"_id": 1}, limit=size)
        documents = yield from wait(found.batch_size(size + 1).to_list())
        keys = [each["_id"][len(self._prefix) :] for each in documents]
        return keys, keys[-1] if len(keys) == size else None

    def close(self) -> Flow[None]:
        """See StateDriver.close."""
        yield from wait(self._collections.close())

    def is_transient(self, error: BaseException) -> bool:
        """See StateDriver.is_transient."""
        return is_transient(error)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See StateDriver.translate."""
        codes = codes_of(error)
        if codes & REFUSED:
            return UnavailableError(
                f"{self.address} refused: {self.describe(error)}. Check user, password and roles"
            )
        if codes & TOO_LARGE or isinstance(error, mongo.DocumentTooLarge):
            return InvalidDataError(
                f"{self.address}: cannot {action}: value and hash of a key are one document, "
                "which MongoDB limits to 16 MiB; split them over several keys"
            )
        if isinstance(error, mongo.ConfigurationError):
            return ConfigurationError(f"{self.address}: {self.describe(error)}")
        return super().translate(error, action)

    def describe(self, error: BaseException) -> str:
        """See StateDriver.describe."""
        return described(error, super().describe(error))

    def _collection(self) -> Any:
        return self._collections.get()

    def _now(self) -> float:
        return float(self._clock())

    def _match(self, key: str, live_at: float | None = None) -> dict[str, Any]:
        """Return the condition of a key's document, if it is live then, if that is asked."""
        live = {} if live_at is None else is_live(live_at)
        return {"_id": self._prefix + key, "format": FORMAT, **live}

    def _load(self, keys: Sequence[str], parts: Mapping[str, int]) -> Flow[dict[str, Any]]:
        """Return the live documents of the keys, as far as `parts` and their expiry.

        Raises:
            BackendError: one of the documents that there are is of another program.
        """
        wanted = {"format": 1, "expires_at": 1, **parts}
        documents: list[dict[str, Any]] = []
        for begin in range(0, len(keys), _BATCH):
            ids = [self._prefix + key for key in keys[begin : begin + _BATCH]]
            found = self._collection().find({"_id": {"$in": ids}}, wanted)
            documents += yield from wait(found.batch_size(len(ids) + 1).to_list())
        now = self._now()
        live = {}
        for each in documents:
            key = each["_id"][len(self._prefix) :]
            if each.get("format") != FORMAT:
                raise BackendError(
                    f"{self.address}: the document of {key!r} is of another program; use another "
                    "collection or prefix, or delete that document"
                )
            expires_at = each.get("expires_at")
            if expires_at is None or now < expires_at:
                live[key] = each
        return live

    def _refuse_foreign(self, keys: Sequence[str]) -> Flow[None]:
        """See `_load` for the error: what was a duplicate of others' cannot be made."""
        yield from self._load(keys, {})

    def _update(
        self,
        key: str,
        match: Mapping[str, Any],
        pipeline: list[dict[str, Any]],
        wanted: Mapping[str, Any],
        *,
        upsert: bool = True,
    ) -> Flow[Any]:
        """Update a document, which is made if there is none; return what is wanted of it then.

        Without `upsert` it is not made, and None returned.
        """
        yield from self._make_index()
        delays_s = _RACE.delays()
        while True:
            try:
                return (
                    yield from wait(
                        self._collection().find_one_and_update(
                            match,
                            pipeline,
                            projection=wanted,
                            upsert=upsert,
                            return_document=ReturnDocument.AFTER,
                        )
                    )
                )
            except mongo.DuplicateKeyError:
                yield from self._refuse_foreign([key])
            yield from wait(self.sleep(next(delays_s)))

    def _make_index(self) -> Flow[None]:
        """Let the server delete what expired, from the first write of this store on."""
        if self._indexed:
            return
        yield from wait(
            self._collection().create_index(
                "purge_at",
                name=_INDEX,
                expireAfterSeconds=_PURGE_AFTER_S,
                partialFilterExpression={"purge_at": {"$type": "date"}},
            )
        )
        self._indexed = True
