"""Every exception this package raises.

PersistError
├── ConfigurationError (ValueError)        a URL, option or identifier that cannot be right
│   └── UnknownBackendError                lists the names there are
├── InvalidDataError (ValueError)          a value that no store can keep as it is
├── MissingDependencyError (ImportError)   names the extra to install
├── UnsupportedError (NotImplementedError) names the backend and the capability
├── NotFoundError (KeyError)               the object does not exist
├── ConflictError                          an object with this id exists, or changed meanwhile
├── SchemaError                            database revision != code: the command to run
└── BackendError                           the driver's exception is kept as __cause__
    └── UnavailableError                   the server could not be reached; retries are exhausted
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "ConfigurationError",
    "ConflictError",
    "InvalidDataError",
    "MissingDependencyError",
    "NotFoundError",
    "PersistError",
    "SchemaError",
    "UnavailableError",
    "UnknownBackendError",
    "UnsupportedError",
]


class PersistError(Exception):
    """Base of every exception raised by praison_persist."""


class ConfigurationError(PersistError, ValueError):
    """A URL, an option or an identifier that cannot be right."""


class UnknownBackendError(ConfigurationError):
    """No backend has this name; the message lists those there are."""


class InvalidDataError(PersistError, ValueError):
    """A value that cannot be stored and read back as it is."""


class MissingDependencyError(PersistError, ImportError):
    """A driver or package is not installed; the message names the extra that brings it."""


class UnsupportedError(PersistError, NotImplementedError):
    """The backend cannot do this; the message names backend and capability."""


class NotFoundError(PersistError, KeyError):
    """The object does not exist."""

    # KeyError shows repr(args[0]), which would put the sentence in quotes.
    __str__ = Exception.__str__


class ConflictError(PersistError):
    """An object with this id exists with other content, or it changed meanwhile."""


class SchemaError(PersistError):
    """The database's schema revision is not the one this code was written for."""


class BackendError(PersistError):
    """The backend failed; the driver's exception is the `__cause__`."""


class UnavailableError(BackendError):
    """The backend could not be reached, or kept failing transiently.

    Attributes:
        attempts: how often the operation was tried.
        elapsed_s: seconds between the first attempt and giving up.
    """

    def __init__(self, message: str, *, attempts: int = 1, elapsed_s: float = 0.0) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.elapsed_s = elapsed_s
