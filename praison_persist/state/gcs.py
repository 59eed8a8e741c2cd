"""State in Google Cloud Storage: one object a key, replaced if it is still what was read."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from google.api_core.exceptions import (
    BadRequest,
    Forbidden,
    GoogleAPICallError,
    GoogleAPIError,
    NotFound,
    PreconditionFailed,
    Unauthorized,
)
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage import Client  # type: ignore[import-untyped]  # it has no types
from google.oauth2.service_account import Credentials
from google.resumable_media import DataCorruption, InvalidResponse
from requests.adapters import HTTPAdapter

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    PersistError,
    UnavailableError,
)
from praison_persist.state.base import BaseStateStore
from praison_persist.state.driver import bad_cursor, done
from praison_persist.state.entries import Change, Entry, EntryDriver, Keep
from praison_persist.state.keys import Glob
from praison_persist.state.redis_commands import check_namespace

__all__ = ["GCSStateStore"]

R = TypeVar("R")

_PREFIX = "praison/"
_FORMAT = "praison_persist state 1"
_SUFFIX = ".json"
# Cloud Storage's documentation, "About Cloud Storage objects": a name has up to 1,024 bytes.
_NAME_MAX = 1024
_NAME_CUT = 600  # bytes that a longer name keeps of its key
_PREFIX_MAX = 300  # bytes, so that what is cut has room
_PAGE = 1000  # names; the most that a listing answers
_THREADS = 16
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
# Another writer was faster: there is no end to trying, as one of them always succeeds.
_RACE = RetryPolicy(sys.maxsize, 0.01, 2.0)


class GCSStateStore(BaseStateStore):
    """State in a bucket of Google Cloud Storage. Shared by threads.

    Every operation is one or two requests of some tens of milliseconds. Cloud Storage takes about
    one write a second to the same object: keep a counter that many use elsewhere. What has expired
    is invisible, and deleted by the bucket if it has a lifecycle rule on `daysSinceCustomTime`.

    Args:
        bucket_name: a bucket, which has to exist. STORAGE_EMULATOR_HOST says that it is elsewhere
            than at Google.
        prefix: begins each object's name.
        project: that requests are made for; default: none, which a bucket does not need.
        credentials_path: the JSON key file of a service account; default: Google's application
            default credentials.
        url: "gs://bucket/folder", instead of bucket_name and prefix.
        socket_timeout: seconds to wait for a connection or a reply.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        clock: seconds since the epoch; decides what has expired.

    Raises:
        ConfigurationError: there is no bucket, or an argument cannot be right.
    """

    def __init__(
        self,
        bucket_name: str | None = None,
        prefix: str = _PREFIX,
        project: str | None = None,
        credentials_path: str | None = None,
        *,
        url: str | None = None,
        socket_timeout: float = 10,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if url is not None:
            if bucket_name is not None or prefix != _PREFIX:
                raise ConfigurationError(
                    "url= says where the state is; give it, or bucket_name= and prefix="
                )
            bucket_name, prefix = _parse(url)
        bucket = _check_bucket(bucket_name)
        _check_prefix(prefix)
        credentials = None if credentials_path is None else _credentials(credentials_path)

        def connect() -> Any:
            client = Client(project=project, credentials=credentials)
            # As many connections as threads are likely to use: others would be opened and dropped.
            adapter = HTTPAdapter(pool_maxsize=50)
            client._http.mount("https://", adapter)  # noqa: SLF001 - there is no setting for it
            client._http.mount("http://", adapter)  # noqa: SLF001 - see above
            return client.bucket(bucket)

        super().__init__(
            _GCS(
                PerProcess(connect, lambda bucket: bucket.client.close()),
                prefix,
                f"gs://{bucket}/{prefix}",
                RetryPolicy(max_retries, retry_delay),
                clock,
                socket_timeout,
            )
        )


def _parse(url: str) -> tuple[str, str]:
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    if parts.scheme not in ("gs", "gcs") or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError("A URL of Cloud Storage is gs://bucket or gs://bucket/folder")
    folder = unquote(parts.path).strip("/")
    return parts.netloc, f"{folder}/" if folder else _PREFIX


def _check_bucket(name: object) -> str:
    # Cloud Storage's documentation, "About Cloud Storage buckets".
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", name):
        raise ConfigurationError(
            f"{name!r} is no name of a bucket; say bucket_name= or url='gs://bucket/folder'"
        )
    return name


def _check_prefix(prefix: object) -> None:
    text = check_namespace(prefix)
    if len(text.encode()) > _PREFIX_MAX or re.search(r"[\x00-\x1f\x7f]", text):
        raise ConfigurationError(
            f"prefix={text[:40]!r} cannot begin the names of objects: it has more than "
            f"{_PREFIX_MAX} bytes, or control characters"
        )


def _credentials(path: str) -> Credentials:
    try:
        return Credentials.from_service_account_file(path, scopes=[_SCOPE])  # type: ignore[no-untyped-call,no-any-return]  # google-auth's
    except (OSError, ValueError, GoogleAuthError) as error:
        # Its own text might show some of the file.
        raise ConfigurationError(
            f"credentials_path={path!r} is no key file of a service account: {type(error).__name__}"
        ) from None


class _GCS(EntryDriver):
    """Entries as objects: JSON, with what a listing has to know as metadata."""

    failures = (
        GoogleAPIError,
        GoogleAuthError,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        InvalidResponse,
        DataCorruption,
    )

    def __init__(
        self,
        buckets: PerProcess[Any],
        prefix: str,
        address: str,
        retry: RetryPolicy,
        clock: Callable[[], float],
        timeout: float,
    ) -> None:
        super().__init__(clock)
        self._buckets, self._prefix, self.address, self.retry = buckets, prefix, address, retry
        # The SDK's own retries would hide ours, and take their own success for a conflict.
        self._options: dict[str, Any] = {"timeout": (timeout, timeout), "retry": None}

    def load(self, keys: Sequence[str]) -> Flow[dict[str, Entry]]:
        """See EntryDriver.load."""
        found = zip(keys, _parallel(lambda key: self._read(key)[0], keys), strict=True)
        return wait({key: entry for key, entry in found if entry is not None})

    def change(self, key: str, change: Change[R]) -> Flow[R]:
        """See EntryDriver.change."""
        return wait(self._change(key, change))

    def change_all(self, changes: Mapping[str, Change[R]]) -> Flow[list[R]]:
        """See EntryDriver.change_all."""
        return wait(_parallel(lambda key: self._change(key, changes[key]), list(changes)))

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete. Several keys are those that a listing found a moment ago."""
        if len(keys) == 1:
            return super().delete(keys)
        return wait(sum(_parallel(self._remove, keys)))

    def page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[Sequence[str], str | None]]:
        """See StateDriver.page. The cursor is the service's."""
        bucket = self._buckets.get()
        listing = bucket.list_blobs(
            prefix=self._prefix + _cut(glob.prefix),
            page_size=min(limit or _PAGE, _PAGE),
            page_token=cursor,
            fields="items(name,metadata),nextPageToken",
            **self._options,
        )
        try:
            blobs = list(next(listing.pages, ()))
        except BadRequest as error:
            if cursor is None:
                raise
            raise bad_cursor(cursor) from error
        now = self.clock()
        found = [_key_of(blob, self._prefix) for blob in blobs if _is_live(blob, now)]
        return wait(([key for key in found if key is not None], listing.next_page_token))

    def close(self) -> Flow[None]:
        """See StateDriver.close."""
        self._buckets.close()
        return done(None)

    def is_transient(self, error: BaseException) -> bool:
        """See StateDriver.is_transient."""
        if isinstance(error, GoogleAPICallError):
            # 408 and 429, which Cloud Storage also says to more than a write a second.
            return error.code in (408, 429, 500, 502, 503, 504)
        return isinstance(
            error,
            (
                requests.RequestException,
                urllib3.exceptions.HTTPError,
                TransportError,
                DataCorruption,
            ),
        )

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See StateDriver.translate."""
        if isinstance(error, GoogleAuthError | Unauthorized | Forbidden):
            return UnavailableError(
                f"{self.address} refused: {self.describe(error)}. Check the Google credentials, "
                "and that they may read, write, delete and list objects of the bucket"
            )
        if isinstance(error, NotFound):
            return BackendError(
                f"{self.address}: cannot {action}: {self.describe(error)}. Make the bucket first"
            )
        return super().translate(error, action)

    def describe(self, error: BaseException) -> str:
        """See StateDriver.describe."""
        text = super().describe(error)
        # Who knows the id of an upload can write to it.
        return re.sub(r"upload_id=[^&\s:]*", "upload_id=…", re.sub(r"//[^/@\s]*@", "//", text))

    def _change(self, key: str, change: Change[R]) -> R:
        pauses = _RACE.delays()
        while True:
            entry, generation = self._read(key)
            live = entry if entry is not None and entry.is_live(self.clock()) else None
            outcome = change(live)
            if isinstance(outcome, Keep):
                return outcome.result
            new, result = outcome
            try:
                self._replace(key, new, generation)
            except (PreconditionFailed, NotFound) as error:
                if _is_of_bucket(error):
                    raise
                self.sleep(next(pauses))
            else:
                return result

    def _read(self, key: str) -> tuple[Entry | None, int]:
        """Return what there is, expired or not, and its generation; 0: there is nothing."""
        blob = self._buckets.get().blob(_name(key, self._prefix))
        try:
            data = blob.download_as_bytes(raw_download=True, **self._options)
        except NotFound as error:
            if _is_of_bucket(error):
                raise
            return None, 0
        return self._decode(key, data), int(blob.generation)

    def _replace(self, key: str, entry: Entry | None, generation: int) -> None:
        """Write an entry, or delete it, if the object is still of a generation."""
        blob = self._buckets.get().blob(_name(key, self._prefix))
        if entry is None:
            if generation:
                blob.delete(if_generation_match=generation, **self._options)
            return
        metadata = {}
        if _key_of(blob, self._prefix) != key:
            metadata["key"] = key
        if entry.expires_at is not None:
            metadata["expires_at"] = repr(entry.expires_at)
            blob.custom_time = datetime.fromtimestamp(entry.expires_at, UTC)
        blob.metadata = metadata
        blob.cache_control = "no-store"  # a public object would be read from caches
        blob.upload_from_string(
            _encode(key, entry),
            content_type="application/json",
            if_generation_match=generation,
            **self._options,
        )

    def _remove(self, key: str) -> bool:
        """Delete an object, whatever it is; return whether there was one."""
        try:
            self._buckets.get().blob(_name(key, self._prefix)).delete(**self._options)
        except NotFound as error:
            if _is_of_bucket(error):
                raise
            return False
        return True

    def _decode(self, key: str, data: bytes) -> Entry:
        try:
            document = json.loads(data)
            if document["format"] == _FORMAT and document["key"] == key:
                return Entry(
                    document["value"],
                    document["version"],
                    document["fields"],
                    document["expires_at"],
                    tuple((version, answer) for version, answer in document["answers"]),
                )
        except (ValueError, TypeError, KeyError) as error:
            raise self._foreign(key) from error
        raise self._foreign(key)

    def _foreign(self, key: str) -> BackendError:
        return BackendError(
            f"{self.address}: the object of {key!r} was written by another program; use another "
            "prefix=, or delete the object"
        )


def _parallel(work: Callable[[str], R], keys: Sequence[str]) -> list[R]:
    if len(keys) == 1:
        return [work(keys[0])]
    with ThreadPoolExecutor(min(_THREADS, len(keys))) as pool:
        return list(pool.map(work, keys))


def _is_of_bucket(error: GoogleAPICallError) -> bool:
    """Whether it is the bucket that is not there, and not an object in it."""
    return isinstance(error, NotFound) and "bucket does not exist" in str(error)


def _encode(key: str, entry: Entry) -> bytes:
    document = {
        "format": _FORMAT,
        "key": key,
        "value": entry.text,
        "version": entry.version,
        "fields": dict(entry.fields),
        "expires_at": entry.expires_at,
        "answers": entry.answers,
    }
    return dumps(document).encode()


# What the documentation advises against: control characters, what its tools take for wildcards or
# generations, what Windows has in no file name. "%" begins what replaces them.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f%#*?\[\]"<>|\\:\u2028\u2029]')


def _safe(text: str) -> str:
    """Return text as part of a name: character by character, so that beginnings stay ones."""
    return _UNSAFE.sub(lambda match: "".join(f"%{b:02X}" for b in match[0].encode()), text)


def _cut(text: str) -> str:
    """Return what names begin with whose keys begin with the text."""
    safe = _safe(text)
    if len(safe.encode()) <= _NAME_CUT:
        return safe
    kept, size = "", 0
    for character in text:
        part = _safe(character)
        size += len(part.encode())
        if size > _NAME_CUT:
            break
        kept += part
    return kept


def _name(key: str, prefix: str) -> str:
    """Return the name of a key's object."""
    name = f"{prefix}{_safe(key)}{_SUFFIX}"
    if len(name.encode()) <= _NAME_MAX:
        return name
    # "%~" is in no other name; the key itself is in the metadata.
    return f"{prefix}{_cut(key)}%~{hashlib.sha256(key.encode()).hexdigest()}{_SUFFIX}"


def _key_of(blob: Any, prefix: str) -> str | None:
    """Return the key of an object; None if it is of another program, or only metadata tell."""
    name: str = blob.name
    metadata: Mapping[str, str] = blob.metadata or {}
    if not name.endswith(_SUFFIX):
        return None
    if "%~" in name[len(prefix) :]:
        return metadata.get("key")
    return unquote(name[len(prefix) : -len(_SUFFIX)])


def _is_live(blob: Any, now: float) -> bool:
    expires_at = (blob.metadata or {}).get("expires_at")
    return expires_at is None or now < float(expires_at)
