"""Stores of vendors whose client knows no URL, made from one: the arguments that it stands for."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, NoReturn
from urllib.parse import urlsplit

from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.urls import URLParts, url_parts

__all__ = [
    "cassandra",
    "chroma",
    "clickhouse",
    "cosmosdb",
    "couchbase",
    "lancedb",
    "lightrag",
    "milvus",
    "none",
    "pinecone",
    "upstash_vector",
    "weaviate",
]


def cassandra(url: str) -> dict[str, Any]:
    """Of cassandra://user:password@host1,host2:9042/keyspace."""
    parts = url_parts(url, "cassandra")
    return _given(parts, hosts=list(parts.hosts) or None, keyspace=parts.path)


def chroma(url: str) -> dict[str, Any]:
    """Of chroma://host:8000, chromadb://host, http(s)://host."""
    return {"url": url.replace("chromadb://", "chroma://", 1)}


def clickhouse(url: str) -> dict[str, Any]:
    """Of clickhouse://user:password@host:8123/database; clickhouses://… by HTTPS."""
    parts = url_parts(url, "clickhouse")
    return _given(parts, host=_one(parts, "ClickHouse"), database=parts.path, secure=parts.secure)


def cosmosdb(url: str) -> dict[str, Any]:
    """Of AccountEndpoint=…;AccountKey=…;, or cosmosdb://:key@host:443/database."""
    if url.startswith("AccountEndpoint="):
        return {"connection_string": url}
    parts = url_parts(url, "cosmosdb")
    host = _one(parts, "Azure Cosmos DB")
    if host is None or parts.password is None:
        raise ConfigurationError(
            "A URL of Azure Cosmos DB is cosmosdb://:key@account.documents.azure.com:443/database, "
            "the key percent-encoded"
        )
    account = f"AccountEndpoint=https://{host}:{parts.port or 443}/;AccountKey={parts.password};"
    return _without_none(connection_string=account, database=parts.path)


def couchbase(url: str) -> dict[str, Any]:
    """Of couchbase://user:password@host1,host2/bucket; couchbases://… by TLS."""
    parts = url_parts(url, "couchbase")
    port = "" if parts.port is None else f":{parts.port}"
    hosts = ",".join(f"{host}{port}" for host in parts.hosts) or "localhost"
    place = f"couchbase{'s' if parts.secure else ''}://{hosts}"
    given = {"username": parts.username, "password": parts.password}
    return _without_none(connection_string=place, bucket=parts.path, **given)


def lancedb(url: str) -> dict[str, Any]:
    """Of lancedb://folder, lancedb:///folder, a path, or s3://… of an object store."""
    return {"uri": url}


def lightrag(url: str) -> dict[str, Any]:
    """Of lightrag://folder, lightrag:///folder, or a path."""
    return {"working_dir": url.removeprefix("lightrag://")}


def milvus(url: str) -> dict[str, Any]:
    """Of milvus://user:password@host:19530/database, milvus:///file.db, or as Milvus has it."""
    if not url.startswith(("milvus://", "milvuss://")):
        return {"url": url}
    scheme, _, rest = url.partition("://")
    if rest.startswith("/") or (PurePath(rest).suffix == ".db" and "@" not in rest):
        return {"url": rest}
    return {"url": f"{'https' if scheme == 'milvuss' else 'http'}://{rest}"}


def pinecone(url: str) -> dict[str, Any]:
    """Of pinecone://index-name; the key belongs into PINECONE_API_KEY or api_key=."""
    parts = url_parts(url, "pinecone")
    if parts.username or parts.password or parts.port or parts.path:
        raise ConfigurationError(
            "A URL of Pinecone is pinecone://index-name; the key belongs into PINECONE_API_KEY"
        )
    return _without_none(index_name=_one(parts, "Pinecone"))


def upstash_vector(url: str) -> dict[str, Any]:
    """Of https://…-vector.upstash.io, or upstash://…-vector.upstash.io."""
    return {"url": url.replace("upstash://", "https://", 1)}


def weaviate(url: str) -> dict[str, Any]:
    """Of weaviate://host:8080, by HTTPS weaviates://…, or http://… and https://…."""
    return {"url": url.replace("weaviates://", "https://", 1).replace("weaviate://", "http://", 1)}


def none(url: str) -> NoReturn:
    """Refuse a URL, of those that adapt an object."""
    raise ConfigurationError(
        f"A vector store of another library has no URL such as one of scheme "
        f"{urlsplit(url).scheme!r}; pass it as knowledge_options={{'vectorstore': …}}"
    )


def _given(parts: URLParts, **others: Any) -> dict[str, Any]:
    return _without_none(
        username=parts.username, password=parts.password, port=parts.port, **others
    )


def _without_none(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _one(parts: URLParts, vendor: str) -> str | None:
    if len(parts.hosts) > 1:
        raise ConfigurationError(f"A URL of {vendor} names one host, not {len(parts.hosts)}")
    return next(iter(parts.hosts), None)
