"""The vector stores by name, alias and URL."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from praison_persist import create_knowledge_store, get_default_registry
from praison_persist.backends import KNOWLEDGE
from praison_persist.config import detect_backend
from praison_persist.errors import ConfigurationError, MissingDependencyError
from praison_persist.knowledge import by_url
from praison_persist.registry import Backend

# praisonai's names, with its aliases.
_NAMES = {
    "cassandra": (),
    "chroma": ("chromadb",),
    "clickhouse": (),
    "cosmosdb": ("cosmos", "azure_cosmos", "cosmosdb_vector"),
    "couchbase": (),
    "lancedb": (),
    "langchain": ("langchain_adapter",),
    "lightrag": (),
    "llamaindex": ("llama_index", "llamaindex_adapter"),
    "milvus": (),
    "mongodb_vector": ("mongodb_atlas", "mongo_vector"),
    "pgvector": (),
    "pinecone": (),
    "qdrant": (),
    "redis": (),
    "singlestore_vector": ("singlestore_v",),
    "surrealdb_vector": ("surrealdb_v",),
    "upstash_vector": ("upstash_v",),
    "valkey": (),
    "weaviate": (),
}

_URLS = {
    "cassandra://host/keyspace": "cassandra",
    "chroma://host:8000": "chroma",
    "chromadb://host": "chroma",
    "clickhouse://host": "clickhouse",
    "clickhouses://host": "clickhouse",
    "AccountEndpoint=https://a.documents.azure.com:443/;AccountKey=a2V5;": "cosmosdb",
    "cosmosdb://:key@a.documents.azure.com": "cosmosdb",
    "couchbases://host": "couchbase",
    "lancedb:///srv/lance": "lancedb",
    "lightrag:///srv/rag": "lightrag",
    "milvus://host:19530": "milvus",
    "mongodb+srv://host": "mongodb_vector",
    "mongodb://host": "mongodb_vector",
    "pgvector://host/database": "pgvector",
    "pgvector+asyncpg://host/database": "pgvector",
    "pinecone://prefix": "pinecone",
    "qdrant://host:6333": "qdrant",
    "http://qdrant:80": "qdrant",
    "https://abc.eu-central.aws.cloud.qdrant.io": "qdrant",
    "http://10.0.0.7:6333": "qdrant",
    "redis://host:6379/0": "redis",
    "rediss://host": "redis",
    "valkey://host": "valkey",
    "surrealdb://host:8000": "surrealdb_vector",
    "surrealkv:///srv/x.db": "surrealdb_vector",
    "https://abc-vector.upstash.io": "upstash_vector",
    "weaviate://host": "weaviate",
    "https://abc.weaviate.cloud": "weaviate",
    "sqlite:///x.db": "sql",
    "postgresql+asyncpg://host/database": "sql",
    "mysql://host/database": "sql",
}


def test_the_names_and_aliases_of_praisonai_exist() -> None:
    registry = get_default_registry("knowledge")
    aliases = registry.list_aliases()
    for name, others in _NAMES.items():
        assert name in registry.list_names()
        assert [aliases[other] for other in others] == [name] * len(others)


@pytest.mark.parametrize(("url", "name"), _URLS.items())
def test_a_url_says_which_store_is_meant(url: str, name: str) -> None:
    registry = get_default_registry("knowledge")
    found = detect_backend(url, kind="knowledge")
    assert registry.list_aliases().get(found, found) == name


@pytest.mark.parametrize("url", ["http://host:80/secret", "ftp://user:secret@host", "secret"])
def test_a_url_of_nothing_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="Unable to infer a knowledge backend") as caught:
        detect_backend(url, kind="knowledge")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("row", KNOWLEDGE, ids=lambda row: row.name)
def test_what_is_not_installed_is_named(row: Backend) -> None:
    """A row has a wrong path, or the error of an import reaches the caller."""
    registry = get_default_registry("knowledge")
    if registry.is_available(row.name):
        assert callable(registry.resolve(row.name))
        return
    with pytest.raises(MissingDependencyError, match=f"praison-persist.{row.extra}.'"):
        registry.resolve(row.name)


def test_urls_are_taken_apart() -> None:
    password = "p%40ss%2Fw"
    assert by_url.clickhouse(f"clickhouses://me:{password}@h:8443/db") == {
        "host": "h",
        "port": 8443,
        "username": "me",
        "password": "p@ss/w",
        "database": "db",
        "secure": True,
    }
    assert by_url.cassandra(f"cassandra://me:{password}@h1:9042,h2/ks") == {
        "hosts": ["h1", "h2"],
        "port": 9042,
        "username": "me",
        "password": "p@ss/w",
        "keyspace": "ks",
    }
    assert by_url.couchbase("couchbases://me:pw@h1,h2/b") == {
        "connection_string": "couchbases://h1,h2",
        "username": "me",
        "password": "pw",
        "bucket": "b",
    }
    assert by_url.cosmosdb("cosmosdb://:a2V5%3D%3D@a.azure.com/db") == {
        "connection_string": "AccountEndpoint=https://a.azure.com:443/;AccountKey=a2V5==;",
        "database": "db",
    }
    assert by_url.milvus("milvus://me:pw@h:19530/db") == {"url": "http://me:pw@h:19530/db"}
    assert by_url.milvus("milvuss://h") == {"url": "https://h"}
    assert by_url.milvus("milvus:///srv/x.db") == {"url": "/srv/x.db"}
    assert by_url.milvus("milvus://x.db") == {"url": "x.db"}
    assert by_url.pinecone("pinecone://prefix") == {"index_name": "prefix"}
    assert by_url.pinecone("pinecone://") == {}
    assert by_url.lightrag("lightrag:///srv/rag") == {"working_dir": "/srv/rag"}
    assert by_url.weaviate("weaviates://h:8080") == {"url": "https://h:8080"}
    assert by_url.upstash_vector("upstash://h.upstash.io") == {"url": "https://h.upstash.io"}


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://me:secret@h1,h2/db",
        "clickhouse://me:secret@h:0/db",
        "clickhouse://me:secret@h:port/db",
        "clickhouse://me:secret@h/db?x=1",
        "clickhouse://me:secret@[::1/db",
        "cassandra://me:secret@h1:1,h2:2/ks",
        "cosmosdb://secret@host",
        "pinecone://me:secret@index",
    ],
)
def test_a_url_that_cannot_be_is_refused_and_not_shown(url: str) -> None:
    name = url.partition("://")[0]
    with pytest.raises(ConfigurationError) as caught:
        getattr(by_url, name)(url)
    assert "secret" not in str(caught.value)


def test_a_url_and_an_option_do_not_say_the_same() -> None:
    if find_spec("clickhouse_connect") is None:
        pytest.skip(
            "clickhouse_connect is not installed: pip install 'praison-persist[clickhouse]'"
        )
    with pytest.raises(ConfigurationError, match="says host already"):
        create_knowledge_store("clickhouse", "clickhouse://h", host="other")


def test_an_adapter_of_objects_has_no_url() -> None:
    if find_spec("langchain_core") is None:
        pytest.skip("not installed: pip install 'praison-persist[langchain]'")
    with pytest.raises(ConfigurationError, match="vectorstore"):
        create_knowledge_store("langchain", "langchain://x")
