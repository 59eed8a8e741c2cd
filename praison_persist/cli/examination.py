"""One store, connected to for real and only read: what it is, and what is wrong with it."""

from __future__ import annotations

import enum
import importlib
import inspect
import os
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from praison_persist import backends
from praison_persist._masked import masked
from praison_persist.available import driver_modules
from praison_persist.config import (
    create_conversation_store,
    create_knowledge_store,
    create_state_store,
    detect_backend,
    get_default_registry,
)
from praison_persist.configured_stores import as_sync
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    MissingDependencyError,
    NotFoundError,
    PersistError,
    SchemaError,
    UnavailableError,
)

__all__ = [
    "Examination",
    "RefusedError",
    "Verdict",
    "examine",
    "examine_file",
    "median_ms",
    "with_version",
]

PINGS = 5
LEAST_FREE = 100 * 2**20  # bytes of a disk
MOST_SKEW_S = 1.0  # what expires would expire that much too early or too late

# Names that reading alone would bring into being, and what says not to.
_MAKES_NOTHING: dict[tuple[str, str], dict[str, Any]] = {
    ("state", "dynamodb"): {"auto_create_table": False},
}
# Where an embedded engine is without a URL: of those whose modules import their client.
_DEFAULT_FOLDERS = {
    "chroma": "./chroma",
    "lancedb": "./lancedb",
    "lightrag": "./lightrag_storage",
}
_ENCRYPTED = {"https", "rediss", "valkeys", "milvuss", "couchbases", "clickhouses", "wss"}
_CREATE: dict[str, Callable[..., Any]] = {
    "conversation": create_conversation_store,
    "knowledge": create_knowledge_store,
    "state": create_state_store,
}
_ROWS = {
    "conversation": backends.CONVERSATION,
    "knowledge": backends.KNOWLEDGE,
    "state": backends.STATE,
}


class Verdict(enum.StrEnum):
    """What was found, in one or two words."""

    OK = "ok"
    MISCONFIGURED = "misconfigured"
    DRIVER_MISSING = "driver missing"
    ABSENT = "absent"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    SCHEMA_OLD = "schema old"
    SCHEMA_NEW = "schema new"
    FAILED = "failed"


class RefusedError(UnavailableError):
    """The server is there, and lets these credentials not in."""


@dataclass(slots=True)
class Examination:
    """What is known of a store.

    Attributes:
        kind: "conversation", "knowledge" or "state".
        backend: its registered name; empty if it could not be told.
        address: without credentials.
        verdict: of the first problem.
        problems: a line each, with the remedy; none if all is well.
        facts: name -> value, of those that could be had. Times are milliseconds where the name
            ends with _ms, seconds with _s; sizes are bytes.
    """

    kind: str
    backend: str = ""
    address: str = ""
    verdict: Verdict = Verdict.OK
    problems: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def found(self, problem: str, verdict: Verdict = Verdict.FAILED) -> None:
        """Note a problem; the first one decides the verdict."""
        if not self.problems:
            self.verdict = verdict
        self.problems.append(" ".join(problem.split()))

    def measure_disk(self, folder: Path) -> None:
        """Note the free space where `folder` is."""
        free = shutil.disk_usage(folder).free
        self.facts["disk_free"] = free
        if free < LEAST_FREE:
            self.found(f"Only {free // 2**20} MiB are free in {folder}: make room")

    def compare_clock(self, server_time: float, before: float, after: float) -> None:
        """Note how far the server's clock is ahead, told between `before` and `after` of ours."""
        skew = server_time - (before + after) / 2
        self.facts["clock_skew_s"] = round(skew, 3) + 0.0  # not -0.0
        if abs(skew) - (after - before) / 2 > MOST_SKEW_S:
            self.found(
                f"The server's clock is {skew:+.1f} s from this machine's: synchronise both by NTP"
            )


def examine(
    kind: str, backend: str | None, url: str | None, options: dict[str, Any]
) -> Examination:
    """Connect to a store and look at it; nothing is written or made.

    Args:
        kind: "conversation", "knowledge" or "state".
        backend: a registered name; None: the URL tells it.
        url: where it is; None leaves it to the backend.
        options: of the backend.
    """
    result = Examination(kind, address="" if url is None else masked(url))
    try:
        _examine(result, backend, url, options)
    except ConfigurationError as error:
        result.found(str(error), Verdict.MISCONFIGURED)
    except MissingDependencyError as error:
        result.found(str(error), Verdict.DRIVER_MISSING)
    except NotFoundError as error:
        result.found(str(error), Verdict.ABSENT)
    except SchemaError as error:
        result.found(str(error), Verdict.SCHEMA_OLD)
    except RefusedError as error:
        result.found(str(error), Verdict.REFUSED)
    except BackendError as error:
        if f"{result.address} refused: " in str(error):  # in the words of all our drivers
            result.found(str(error), Verdict.REFUSED)
        elif isinstance(error, UnavailableError):
            result.found(str(error), Verdict.UNREACHABLE)
        else:
            result.found(str(error))
    except PersistError as error:
        result.found(str(error))
    return result


def _examine(
    result: Examination, backend: str | None, url: str | None, options: dict[str, Any]
) -> None:
    kind = result.kind
    given = (backend or detect_backend(url or "", kind=kind)).lower()
    name = get_default_registry(kind).list_aliases().get(given, given)
    result.backend = name
    _refuse_absent(name, url)
    options = {**_MAKES_NOTHING.get((kind, name), {}), **options}
    if "max_retries" in inspect.signature(get_default_registry(kind).resolve(given)).parameters:
        options.setdefault("max_retries", 0)  # the first failure says all
    store = _created(kind, given, url, options)
    try:
        declared = getattr(store, "capabilities", ())
        result.facts["capabilities"] = sorted(one.name.lower() for one in declared)
        result.facts |= _drivers(kind, name)
        if database := getattr(store, "database", None):
            from praison_persist.cli.examination_sql import (  # noqa: PLC0415 - SQLAlchemy
                examine_sql,
            )

            examine_sql(result, database, versioned=kind != "knowledge")
        else:
            _examine_other(result, store, url)
    finally:
        as_sync(kind, store).close()


def _created(kind: str, backend: str, url: str | None, options: dict[str, Any]) -> Any:
    try:
        return _CREATE[kind](backend, url, mode="sync", **options)
    except MissingDependencyError:
        # Perhaps only the driver of the other colour is installed.
        try:
            return _CREATE[kind](backend, url, mode="async", **options)
        except MissingDependencyError:
            pass
        raise


def _examine_other(result: Examination, store: Any, url: str | None) -> None:
    """Examine what is no SQL: by its own contract."""
    driver = getattr(store, "driver", None)
    result.address = getattr(driver, "address", "") or result.address
    parts = urlsplit(url or "")
    if parts.hostname and _local(result.backend.removeprefix("async_"), url) is None:
        result.facts["tls"] = parts.scheme in _ENCRYPTED or parts.scheme.endswith("+srv")
    folder = getattr(driver, "path", None)
    if isinstance(folder, Path):
        if not folder.is_dir():
            raise NotFoundError(
                f"There is no folder {folder}: check the path, or let the first session make it"
            )
        result.measure_disk(folder)
    file = getattr(driver, "file", None)
    if isinstance(file, Path):
        examine_file(result, file)
    sync = as_sync(result.kind, store)
    result.facts["latency_ms"] = median_ms(lambda: _read(result.kind, sync))
    if result.kind == "knowledge":
        result.facts["collections"] = len(sync.list_collections())
    if result.backend.removeprefix("async_") in ("redis", "valkey"):
        from praison_persist.cli.examination_redis import (  # noqa: PLC0415 - its client
            examine_redis,
        )

        examine_redis(result, url)


def examine_file(result: Examination, path: Path) -> None:
    """Note how large a file is, or that it will be made, and whether it can be written."""
    try:
        result.facts["file_size"] = path.stat().st_size
    except FileNotFoundError:
        result.facts["file"] = "none yet, the first write makes it"
    except PermissionError:
        result.found(f"{path} cannot be looked at: give this user the folders that it is in")
        return
    folder = next(parent for parent in path.parents if parent.exists())
    result.measure_disk(folder)
    # A file is replaced as a whole, or has a journal beside it: its folder is written to.
    if not (
        os.access(folder, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))
    ):
        result.found(f"{path} cannot be written: give this user the file and its folder")


def _read(kind: str, store: Any) -> None:
    """Ask a sync store for what costs it least."""
    if kind == "conversation":
        store.get_session("praison-persist doctor")
    elif kind == "state":
        store.exists("praison-persist doctor")
    else:
        store.list_collections()


def median_ms(
    ping: Callable[[], object], *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return how long a ping takes, in milliseconds: the median of some, after a first one."""
    ping()
    taken = []
    for _ in range(PINGS):
        began = clock()
        ping()
        taken.append(clock() - began)
    return round(statistics.median(taken) * 1000, 3)


def _drivers(kind: str, name: str) -> dict[str, Any]:
    """Return the client libraries of a built-in backend with their versions."""
    row = next((row for row in _ROWS[kind] if row.name == name), None)
    found = []
    for module in driver_modules(row) if row else ():
        try:
            importlib.import_module(module)
        except ImportError:
            continue  # of the other colour
        found.append(with_version(module))
    return {"driver": ", ".join(found)} if found else {}


def with_version(module: str) -> str:
    """Return the name of an installed module with its version, if that can be told."""
    try:
        version = metadata.version(module)  # most are distributed under their own name
    except metadata.PackageNotFoundError:
        version = str(getattr(importlib.import_module(module), "__version__", ""))
    return f"{module} {version}".strip()


def _refuse_absent(backend: str, url: str | None) -> None:
    """Refuse an embedded engine's file that is not there: its client would make it.

    Raises:
        NotFoundError: it is not there.
    """
    place = _local(backend.removeprefix("async_"), url)
    if place is not None and not Path(place).expanduser().exists():
        raise NotFoundError(f"There is no {place}: check the path, or let the first use make it")


def _local(backend: str, url: str | None) -> str | None:
    """Return the path that a URL of an embedded engine means, None if there is a server."""
    if not url:
        return _DEFAULT_FOLDERS.get(backend)
    scheme, separator, rest = url.partition("://")
    if backend.startswith("surrealdb"):
        return rest if scheme in ("surrealkv", "file", "rocksdb") else None
    if backend not in ("lancedb", "lightrag", "milvus"):
        return None
    if not separator:
        return url
    is_file = backend == "milvus" and (rest.startswith("/") or rest.endswith(".db"))
    return rest if is_file or scheme in ("lancedb", "lightrag") else None
