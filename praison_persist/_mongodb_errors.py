"""What PyMongo raises, and what of it may not meet the next try."""

from __future__ import annotations

from typing import Any

from bson.errors import BSONError
from dns.exception import DNSException
from pymongo import errors as mongo

__all__ = [
    "DUPLICATE",
    "MONGODB_FAILURES",
    "REFUSED",
    "TOO_LARGE",
    "codes_of",
    "described",
    "is_transient",
]

MONGODB_FAILURES: tuple[type[BaseException], ...] = (mongo.PyMongoError, BSONError)

# github.com/mongodb/mongo, src/mongo/base/error_codes.yml
DUPLICATE = 11_000
TOO_LARGE = {10_334, 17_419, 17_420}
REFUSED = {13, 18, 8000}  # Unauthorized, AuthenticationFailed, Atlas's own
_TRANSIENT = {
    *(6, 7, 9001),  # HostUnreachable, HostNotFound, SocketException
    *(50, 64, 89, 202, 262),  # time limits of an operation, a write concern, the network
    *(91, 112, 189, 11_600, 11_602),  # ShutdownInProgress, WriteConflict, a primary that steps down
    *(10_107, 13_435, 13_436, 10_058),  # no primary
    *(43, 175, 237),  # CursorNotFound, QueryPlanKilled, CursorKilled
    *(63, 133, 134, 150, 234, 13_388),  # the cluster's configuration changes
}


def is_transient(error: BaseException) -> bool:
    """Whether one of MONGODB_FAILURES may not meet the next try."""
    if isinstance(error, mongo.ConnectionFailure):
        return True
    if isinstance(error, mongo.ConfigurationError):
        return isinstance(error.__context__, DNSException)  # of mongodb+srv
    codes = codes_of(error)
    return bool(codes) and codes <= _TRANSIENT


def described(error: BaseException, otherwise: str) -> str:
    """Return the server's words, without documents; `otherwise`, if it said none, shortened."""
    # The text of these has the documents that were written.
    if isinstance(error, mongo.BulkWriteError):
        first = next(iter(_failed(error)), {})
        return str(first.get("errmsg", "a batch failed"))[:300]
    if isinstance(error, mongo.OperationFailure) and error.details:
        return str(error.details.get("errmsg", error.code))[:300].rstrip(".")
    # After it comes what PyMongo knows of each server.
    return otherwise.partition(", Timeout: ")[0]


def _failed(error: mongo.BulkWriteError) -> list[dict[str, Any]]:
    return [*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ())]


def codes_of(error: BaseException) -> set[int]:
    """Return the server's codes in an error."""
    if isinstance(error, mongo.BulkWriteError):
        return {each.get("code", 0) for each in _failed(error)}
    if isinstance(error, mongo.OperationFailure) and error.code is not None:
        return {error.code}
    return set()
