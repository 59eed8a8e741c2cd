"""State in Firestore: a document a key."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from praison_persist.state.base import AsyncBaseStateStore, BaseStateStore
from praison_persist.state.firestore_access import (
    COLLECTION,
    DATABASE,
    Access,
    Awaited,
    Blocking,
    locate,
    number,
    retry_policy,
)
from praison_persist.state.firestore_driver import FirestoreDriver

__all__ = ["AsyncFirestoreStateStore", "FirestoreStateStore"]


class FirestoreStateStore(BaseStateStore):
    """State in a collection of Firestore in native mode. Shared by threads.

    FIRESTORE_EMULATOR_HOST, if set, is where an emulator is: then no credentials are needed.

    A key with its hash is one document, of up to 1 MiB. Firestore sustains about one write a second
    to a document; more of them to one key, as to a busy counter, wait for each other.

    What has expired is gone for this store at once, and stays in the collection until it is
    overwritten or cleared. Firestore deletes it if told so once, for the name of the collection;
    and as this store needs no index of any field, they can be spared:

        gcloud firestore fields ttls update purge_at --collection-group=NAME --enable-ttl
        gcloud firestore indexes fields update '*' --collection-group=NAME --disable-indexes

    Args:
        project: default: FIRESTORE_PROJECT, GOOGLE_CLOUD_PROJECT, or that of the credentials.
        collection: its name; for a subcollection, its path, as in "tenants/a/state".
        credentials_path: the JSON file of a service account; default: Google's Application Default
            Credentials, looked for when first needed.
        url: "firestore://project/collection", both optional, also with "?database=".
        database: default: "(default)".
        prefix: begins each key in the collection.
        timeout: seconds that a request may take.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        clock: seconds since the epoch; decides what has expired.

    Raises:
        ConfigurationError: one of these cannot be right.
    """

    def __init__(
        self,
        project: str | None = None,
        collection: str = COLLECTION,
        credentials_path: str | os.PathLike[str] | None = None,
        *,
        url: str | None = None,
        database: str = DATABASE,
        prefix: str = "",
        timeout: float = 10,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        place = locate(url, project, collection, database)
        access = Access(place.project, credentials_path, number("timeout", timeout, 0.001))
        calls = Blocking(access)
        retry = retry_policy(max_retries, retry_delay)
        super().__init__(FirestoreDriver(place, access, calls, prefix, retry, time.sleep, clock))


class AsyncFirestoreStateStore(AsyncBaseStateStore):
    """State in Firestore, for asyncio. Arguments and errors are those of `FirestoreStateStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        project: str | None = None,
        collection: str = COLLECTION,
        credentials_path: str | os.PathLike[str] | None = None,
        *,
        url: str | None = None,
        database: str = DATABASE,
        prefix: str = "",
        timeout: float = 10,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        place = locate(url, project, collection, database)
        access = Access(place.project, credentials_path, number("timeout", timeout, 0.001))
        calls = Awaited(access)
        retry = retry_policy(max_retries, retry_delay)
        super().__init__(FirestoreDriver(place, access, calls, prefix, retry, asyncio.sleep, clock))
