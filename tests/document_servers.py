"""The servers that programs of documents connect to, in place of those that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from praison_persist.conversation.supabase_sql import install

from .servers import COCKROACHDB, MARIADB, POSTGRESQL, SINGLESTORE, scratch
from .services import mongod
from .services.cockroach import Cockroach
from .services.firestore import firestore
from .services.gcs import BUCKET, GCS
from .services.mongod import OwnMongod
from .services.moto import Moto
from .services.sqld import sqld
from .services.supabase import KEY, project
from .services.upstash import TOKEN, Upstash
from .state.services import namespace

__all__ = ["SERVERS", "Instead"]

# What a page says -> what is to be there instead.
Instead = Mapping[str, str]
_Server = Callable[[Path, pytest.MonkeyPatch], AbstractContextManager[Instead]]


def _sql(kind: str, shown: str) -> _Server:
    @contextmanager
    def server(_folder: Path, _environment: pytest.MonkeyPatch) -> Iterator[Instead]:
        with scratch(kind) as url:
            yield {shown: url}

    return server


@contextmanager
def _cockroachdb(_folder: Path, _environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    with scratch(COCKROACHDB) as url, Cockroach(url) as server:
        yield {"cockroachdb://ada:secret@localhost:26257/agents": server.url}


@contextmanager
def _turso(folder: Path, _environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    with sqld(folder / "sqld") as server:
        yield {"libsql://db-ada.turso.io": server.url}


@contextmanager
def _supabase(_folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    with project() as (url, supabase):
        install(url)
        supabase.api.start()
        environment.setenv("SUPABASE_URL", supabase.url)
        environment.setenv("SUPABASE_KEY", KEY)
        yield {}


def _redis(name: str) -> _Server:
    @contextmanager
    def server(_folder: Path, _environment: pytest.MonkeyPatch) -> Iterator[Instead]:
        with namespace() as (url, prefix):
            own = url.replace("redis://", f"{name}://", 1)
            yield {f"{name}://localhost:6379/0": own, '"praison:"': f'"{prefix}"'}

    return server


@contextmanager
def _upstash(_folder: Path, _environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    with namespace() as (url, prefix), closing(Upstash(url)) as server:
        yield {
            "https://ada.upstash.io": server.url,
            '"secret"': f'"{TOKEN}"',
            '"praison:"': f'"{prefix}"',
        }


@contextmanager
def _mongodb(folder: Path, _environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    own = None if mongod.named() else OwnMongod(folder / "mongod")
    if own is not None:
        own.start()
    try:
        url = own.url if own is not None else str(mongod.named())
        with mongod.database(url) as name:
            yield {'"mongodb://localhost:27017"': f'"{url}", database="{name}"'}
    finally:
        if own is not None:
            own.close()


@contextmanager
def _dynamodb(_folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    environment.setenv("AWS_ACCESS_KEY_ID", "test")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    server = Moto()
    try:
        yield {"?region=eu-west-1": f"?region=eu-west-1&endpoint={server.url}"}
    finally:
        server.client.close()
        server.stop()


@contextmanager
def _firestore(_folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    with firestore() as host:
        environment.setenv("FIRESTORE_EMULATOR_HOST", host)
        yield {}


@contextmanager
def _gcs(_folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    server = GCS()
    environment.setenv("STORAGE_EMULATOR_HOST", server.url)
    try:
        yield {"gs://bucket/": f"gs://{BUCKET}/"}
    finally:
        server.stop()


@contextmanager
def _none(_folder: Path, _environment: pytest.MonkeyPatch) -> Iterator[Instead]:
    yield {}


# The pages of backends whose programs run in the process of the tests, most with a server.
SERVERS: Mapping[str, _Server] = {
    "conversation/cockroachdb.md": _cockroachdb,
    "conversation/mysql.md": _sql(MARIADB, "mysql://ada:secret@localhost/agents"),
    "conversation/postgres.md": _sql(POSTGRESQL, "postgresql://ada:secret@localhost/agents"),
    "conversation/singlestore.md": _sql(
        SINGLESTORE, "singlestoredb://ada:secret@localhost:3306/agents"
    ),
    "conversation/sqlite.md": _none,
    "conversation/supabase.md": _supabase,
    "conversation/turso.md": _turso,
    "state/dynamodb.md": _dynamodb,
    "state/firestore.md": _firestore,
    "state/gcs.md": _gcs,
    "state/memory.md": _none,
    "state/mongodb.md": _mongodb,
    "state/redis.md": _redis("redis"),
    "state/sql.md": _none,
    "state/upstash.md": _upstash,
    "state/valkey.md": _redis("valkey"),
}
