"""What an error of DynamoDB means: try again, another was faster, or give up."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as failures  # type: ignore[import-untyped]  # it has no types
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]  # as botocore

__all__ = ["FAILURES", "code_of", "is_race", "is_refusal", "is_too_large", "is_transient"]

FAILURES = (failures.BotoCoreError, failures.ClientError, ResponseParserError)

# botocore/retries/standard.py, and the API Reference on each operation.
_TRANSIENT = frozenset(
    {
        *("ProvisionedThroughputExceededException", "ThrottlingException", "Throttling"),
        *("RequestLimitExceeded", "LimitExceededException", "TransactionInProgressException"),
        *("RequestTimeout", "RequestTimeoutException", "InternalServerError"),
        # Reasons why a transaction was cancelled.
        *("ThrottlingError", "ProvisionedThroughputExceeded"),
    }
)
_RACES = frozenset(
    {
        *("ConditionalCheckFailedException", "TransactionConflictException"),
        # Reasons why a transaction was cancelled.
        *("ConditionalCheckFailed", "TransactionConflict"),
    }
)
_REFUSED = frozenset(
    {
        *("AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException"),
        *("ExpiredTokenException", "MissingAuthenticationTokenException"),
        *("IncompleteSignatureException", "InvalidClientTokenId"),
    }
)
_UNAUTHENTICATED = (
    failures.NoCredentialsError,
    failures.PartialCredentialsError,
    failures.CredentialRetrievalError,
    failures.ProfileNotFound,
    failures.SSOError,
    failures.TokenRetrievalError,
)


def code_of(error: BaseException) -> str:
    """Return DynamoDB's word for an error; empty for one that is not its own."""
    response: Any = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def is_transient(error: BaseException, *, table_was_made: bool) -> bool:
    """Tell whether another try may succeed; a table just made is not yet known everywhere."""
    if isinstance(error, failures.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        codes = {code_of(error), *_cancellations(error)}
        made = table_was_made and "ResourceNotFoundException" in codes
        return status >= 500 or made or not codes.isdisjoint(_TRANSIENT)  # noqa: PLR2004 - HTTP
    return isinstance(
        error,
        (
            failures.ConnectionError,
            failures.HTTPClientError,
            failures.IncompleteReadError,
            ResponseParserError,
        ),
    )


def is_refusal(error: BaseException) -> bool:
    """Tell whether the credentials are missing, wrong or not enough."""
    return isinstance(error, _UNAUTHENTICATED) or code_of(error) in _REFUSED


def is_too_large(error: BaseException) -> bool:
    """Tell whether an item would be larger than DynamoDB keeps."""
    # There is no code for it, and these words also for an item that an update would make.
    return code_of(error) == "ValidationException" and "maximum allowed size" in str(error)


def _cancellations(error: Any) -> set[str]:
    return {reason.get("Code", "") for reason in error.response.get("CancellationReasons", ())}


def is_race(error: Any) -> bool:
    """Tell whether another writer was faster."""
    # A transaction that was throttled, or is too large, is not helped by another try at once.
    codes = _cancellations(error) - {"None"} or {code_of(error)}
    return codes <= _RACES
