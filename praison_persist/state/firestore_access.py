"""Where Firestore is, who asks it, and the SDK's generated clients of both colours.

`google.cloud.firestore.Client`, a layer above them, cannot close its channels, say how soon they
connect again, or write a batch that is not atomic from asyncio.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google.auth
import grpc  # type: ignore[import-untyped]  # grpcio has no types
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient, FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import (
    FirestoreGrpcAsyncIOTransport,
    FirestoreGrpcTransport,
)
from google.oauth2.service_account import Credentials

from praison_persist._loops import PerLoop
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError

__all__ = [
    "COLLECTION",
    "DATABASE",
    "Access",
    "Awaited",
    "Blocking",
    "Calls",
    "Place",
    "locate",
    "number",
    "retry_policy",
]

COLLECTION = "praisonai_state"
DATABASE = "(default)"
_SCOPES = ("https://www.googleapis.com/auth/datastore",)
_SEGMENT_MAX = 1500  # bytes; cloud.google.com/firestore/quotas

_CHANNEL = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    # A server that comes back is found within seconds; gRPC would wait up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the documents are.

    Attributes:
        project: None: that of the credentials.
        collection: its path below the database's documents.
    """

    project: str | None
    collection: str
    database: str


def locate(url: str | None, project: str | None, collection: str, database: str) -> Place:
    """Return where arguments, URL and environment say that the documents are.

    Raises:
        ConfigurationError: they contradict each other, or name what Firestore cannot have.
    """
    place = Place(project, collection, database)
    if url is not None:
        place = _located(url, place)
    project = (
        place.project
        or os.environ.get("FIRESTORE_PROJECT")
        or os.environ.get("GOOGLE_CLOUD_PROJECT")
        or None
    )
    # "example.com:name" is one of a domain.
    if project is not None and not re.fullmatch(r"[a-z0-9.-]+(:[a-z0-9-]+)?", project):
        raise ConfigurationError(f"{project!r} is no project id of Google Cloud")
    if not re.fullmatch(r"\(default\)|[a-z0-9-]{1,63}", str(place.database)):
        raise ConfigurationError(f"{place.database!r} is no database id of Firestore")
    segments = place.collection.split("/") if isinstance(place.collection, str) else []
    odd = any(
        s in ("", ".", "..") or re.fullmatch("__.*__", s) or len(s.encode()) > _SEGMENT_MAX
        for s in segments
    )
    if odd or len(segments) % 2 == 0:
        raise ConfigurationError(
            f"{place.collection!r} is no collection of Firestore: write its name, or the path "
            "collection/document/collection of a subcollection"
        )
    return replace(place, project=project)


def _located(url: str, place: Place) -> Place:
    """Return the place with what the URL says."""
    parts = urlsplit(url)
    options = parse_qs(parts.query, keep_blank_values=True)
    known = {"database"} >= set(options) and all(len(values) == 1 for values in options.values())
    if parts.scheme.lower() != "firestore" or "@" in parts.netloc or parts.fragment or not known:
        # It may hold a password that belongs elsewhere.
        raise ConfigurationError(
            "A Firestore URL is firestore://project/collection?database=name, all of them "
            f"optional, not one of scheme {parts.scheme!r} or with more than that; credentials "
            "belong in credentials_path="
        )
    said = {
        "project": unquote(parts.netloc),
        "collection": unquote(parts.path.strip("/")),
        "database": options.get("database", [""])[0],
    }
    unsaid = {"project": None, "collection": COLLECTION, "database": DATABASE}
    for name, value in said.items():
        if value and getattr(place, name) not in (unsaid[name], value):
            raise ConfigurationError(f"{name}= and url= both name a {name}; give one of them")
    return replace(place, **{name: value for name, value in said.items() if value})


def number(name: str, value: float, least: float) -> float:
    """Return a number of at least `least`. Raises ConfigurationError."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not least <= value < math.inf:
        raise ConfigurationError(f"{name} must be a number from {least:g}, not {value!r}")
    return value


def retry_policy(max_retries: int, retry_delay: float) -> RetryPolicy:
    """Return how often to try again. Raises ConfigurationError."""
    if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
        raise ConfigurationError(f"max_retries must be a whole number from 0, not {max_retries!r}")
    return RetryPolicy(max_retries, number("retry_delay", retry_delay, 0))


class Access:
    """Who asks, and how to get a channel for it.

    Attributes:
        project: None as long as it is not known.
        timeout: of a request, in seconds.
        emulator: host:port, or None.
    """

    def __init__(
        self, project: str | None, path: str | os.PathLike[str] | None, timeout: float
    ) -> None:
        self.timeout = timeout
        self.emulator = os.environ.get("FIRESTORE_EMULATOR_HOST") or None
        self._lock = threading.Lock()
        self.project, self._credentials = project, None
        if path is not None:
            self._credentials = _service_account(path)
            self.project = project or self._credentials.project_id
        elif self.emulator:
            # What Google's own clients ask an emulator for.
            self.project = project or "google-cloud-firestore-emulator"

    def find(self) -> tuple[str, Any]:
        """Return project and credentials. May ask the network for them, once."""
        with self._lock:
            if self._credentials is None and self.emulator is None:
                self._credentials, theirs = google.auth.default(scopes=_SCOPES)
                self.project = self.project or theirs
            if not self.project:
                raise ConfigurationError(
                    "Firestore needs project=, or GOOGLE_CLOUD_PROJECT: the credentials name none"
                )
            return self.project, self._credentials

    def channel(self, transport: Any, module: Any) -> Any:
        """Return a new channel; `module` makes one that is not encrypted."""
        if self.emulator:
            return module.insecure_channel(self.emulator, options=_CHANNEL)
        _, credentials = self.find()
        return transport.create_channel(
            transport.DEFAULT_HOST, credentials=credentials, options=_CHANNEL
        )

    def options(self, database: str) -> dict[str, Any]:
        """Return what goes with each request, beside its message."""
        metadata = [("google-cloud-resource-prefix", database)]
        if self.emulator:
            metadata.append(("authorization", "Bearer owner"))  # no rules apply to the owner
        # The retries are ours: those of the SDK would hide a dead server for minutes.
        return {"retry": None, "timeout": self.timeout, "metadata": metadata}


def _service_account(path: str | os.PathLike[str]) -> Any:
    try:
        load: Any = Credentials.from_service_account_file
        return load(os.fspath(path), scopes=_SCOPES)
    # Without the cause: what cannot be parsed is the secret.
    except OSError as error:
        raise ConfigurationError(
            f"credentials_path={os.fspath(path)!r} cannot be read: {error.strerror}"
        ) from None
    except (ValueError, TypeError, AttributeError, GoogleAuthError):
        raise ConfigurationError(
            f"credentials_path={os.fspath(path)!r} is no JSON file of a service account; name "
            "credentials of another kind in GOOGLE_APPLICATION_CREDENTIALS"
        ) from None


class Calls(ABC):
    """Methods of the generated client, by their names, in one of the colours."""

    @abstractmethod
    def find(self) -> Any:
        """See Access.find."""

    @abstractmethod
    def one(self, method: str, request: Any, options: Mapping[str, Any]) -> Any:
        """Return the response to a request."""

    @abstractmethod
    def many(self, method: str, request: Any, options: Mapping[str, Any]) -> Any:
        """Return the list of responses to a request."""

    @abstractmethod
    def close(self) -> Any:
        """Close the channels."""


class Blocking(Calls):
    """The sync client."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._client: Any = None

    def find(self) -> Any:
        """See Calls.find."""
        return self._access.find()

    def _method(self, name: str) -> Callable[..., Any]:
        with self._lock:
            if self._client is None:
                channel = self._access.channel(FirestoreGrpcTransport, grpc)
                self._client = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))
            method: Callable[..., Any] = getattr(self._client, name)
            return method

    def one(self, method: str, request: Any, options: Mapping[str, Any]) -> Any:
        """See Calls.one."""
        return self._method(method)(request, **options)

    def many(self, method: str, request: Any, options: Mapping[str, Any]) -> Any:
        """See Calls.many."""
        return list(self._method(method)(request, **options))

    def close(self) -> Any:
        """See Calls.close."""
        if self._client is not None:
            self._client.transport.close()


class Awaited(Calls):
    """The async clients."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._clients = PerLoop(self._make, lambda client: client.transport.close())

    def _make(self) -> Any:
        channel = self._access.channel(FirestoreGrpcAsyncIOTransport, grpc.aio)
        return FirestoreAsyncClient(transport=FirestoreGrpcAsyncIOTransport(channel=channel))

    async def find(self) -> Any:
        """See Calls.find. It blocks, and so is done in a thread."""
        return await asyncio.to_thread(self._access.find)

    async def one(self, method: str, request: Any, options: Mapping[str, Any]) -> Any:
        """See Calls.one."""
        return await getattr(self._clients.get(), method)(request, **options)

    async def many(self, method: str, request: Any, options: Mapping[str, Any]) -> Any:
        """See Calls.many."""
        responses = await getattr(self._clients.get(), method)(request, **options)
        return [response async for response in responses]

    def close(self) -> Any:
        """See Calls.close."""
        return self._clients.close()
