"""The methods of chromadb's client over a server, with time limits, and errors of a kind.

Its HttpClient asks the server as soon as it is made, waits without end, opens connections that
nothing closes, and raises Exception for any answer that is not of Chroma's own. What it is made of
has none of this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
from chromadb.api.fastapi import FastAPI
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings, System
from chromadb.errors import error_types

__all__ = ["REFUSED", "TRANSIENT", "ChromaServer"]

# Answers of a server, or of what is before it.
REFUSED, TRANSIENT = {401, 403}, {429, 502, 503, 504}


class ChromaServer:
    """Collections of one database.

    Args:
        origin: scheme, host and port.
        names: "tenant" and "database".
        headers: sent with each request.
    """

    def __init__(
        self,
        origin: str,
        names: Mapping[str, str],
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> None:
        settings = Settings(anonymized_telemetry=False)
        settings.chroma_server_host = origin  # a URL of its port and scheme, too
        settings.chroma_server_http_port = urlsplit(origin).port
        settings.chroma_api_impl = "chromadb.api.fastapi.FastAPI"
        settings.chroma_server_headers = {**headers}
        self._names: dict[str, Any] = dict(names)
        self._system = System(settings)
        self._api = self._system.instance(FastAPI)
        self._system.start()
        self._session: httpx.Client = self._api._session  # noqa: SLF001 - has no setting for these
        self._session.timeout = httpx.Timeout(timeout_s)
        self._session.event_hooks = {"response": [_check]}

    def list_collections(self, limit: int, offset: int) -> Sequence[Any]:
        """Return models of some collections."""
        found: Sequence[Any] = self._api.list_collections(limit, offset, **self._names)
        return found

    def create_collection(self, name: str, **arguments: Any) -> None:
        """Create a collection."""
        del arguments["embedding_function"]
        self._api.create_collection(name, **arguments, **self._names)

    def get_collection(self, name: str, embedding_function: None) -> Collection:
        """Return a collection."""
        model = self._api.get_collection(name, **self._names)
        return Collection(self._api, model, embedding_function)

    def delete_collection(self, name: str) -> None:
        """Delete a collection."""
        self._api.delete_collection(name, **self._names)

    def close(self) -> None:
        """Close all connections."""
        self._system.stop()
        self._session.close()


def _check(response: httpx.Response) -> None:
    """Raise what chromadb would raise as an Exception."""
    if not response.is_error:
        return
    response.read()
    if response.status_code in REFUSED | TRANSIENT or not _is_of_chroma(response):
        response.raise_for_status()


def _is_of_chroma(response: httpx.Response) -> bool:
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False
    return isinstance(body, dict) and body.get("error") in error_types
