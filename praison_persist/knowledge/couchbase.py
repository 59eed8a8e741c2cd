"""Knowledge in Couchbase Server 7.6.6 or newer, through its SDK."""

from __future__ import annotations

import os
import re
import time
from datetime import timedelta
from typing import Any

from couchbase.auth import PasswordAuthenticator
from couchbase.cluster import Cluster
from couchbase.options import ClusterOptions, ClusterTimeoutOptions

from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import BaseKnowledgeStore
from praison_persist.knowledge.couchbase_driver import CouchbaseDriver
from praison_persist.knowledge.embedders import Embedder

__all__ = ["CouchbaseKnowledgeStore"]

_URL = re.compile(r"couchbases?://([^/?#@\s]+)/?(\?.*)?")
# docs.couchbase.com, "Buckets" and "Scopes and Collections".
_BUCKET = re.compile(r"[A-Za-z0-9_.%-]{1,100}")
_SCOPE = re.compile(r"_default|[A-Za-z0-9-][A-Za-z0-9_%-]{0,250}")


class CouchbaseKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Couchbase. Shared by threads; usable after a fork.

    Args:
        connection_string: couchbase://host or couchbases://host with the SDK's options; default:
            COUCHBASE_CONNECTION_STRING, then couchbase://localhost.
        username: default: COUCHBASE_USERNAME.
        password: default: COUCHBASE_PASSWORD.
        bucket: has the scope, and has to exist; default: COUCHBASE_BUCKET, then praisonai.
        scope: has the collections; made with the first of them.
        timeout: seconds to wait for a connection or an answer; of a statement thrice as long.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        embedder: takes a list of texts and returns the embedding of each.

    Raises:
        ConfigurationError: there is no user name or no password, or an argument cannot be right.
    """

    def __init__(
        self,
        connection_string: str | None = None,
        username: str | None = None,
        password: str | None = None,
        bucket: str | None = None,
        scope: str = "_default",
        *,
        timeout: float = 10,
        max_retries: int = 2,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        place = connection_string or os.environ.get("COUCHBASE_CONNECTION_STRING")
        place = place or "couchbase://localhost"
        found = _URL.fullmatch(place) if isinstance(place, str) else None
        if found is None:
            raise ConfigurationError(
                "The connection string of Couchbase is couchbase://host or couchbases://host; "
                "username= and password= are arguments of their own"
            )
        username = username or os.environ.get("COUCHBASE_USERNAME")
        password = password or os.environ.get("COUCHBASE_PASSWORD")
        if not username or not password:
            raise ConfigurationError(
                "Couchbase needs username= and password=, or COUCHBASE_USERNAME and "
                "COUCHBASE_PASSWORD"
            )
        bucket = bucket or os.environ.get("COUCHBASE_BUCKET") or "praisonai"
        _check("bucket", bucket, _BUCKET)
        _check("scope", scope, _SCOPE)
        options = _options(username, password, timeout)
        clusters = PerProcess(lambda: Cluster(place, options()), lambda cluster: cluster.close())
        driver = CouchbaseDriver(
            clusters, found[1], bucket, scope, RetryPolicy(max_retries, retry_delay)
        )
        driver.sleep = time.sleep
        super().__init__(driver, embedder)


def _check(name: str, value: object, pattern: re.Pattern[str]) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConfigurationError(f"{name} {value!r} cannot be the name of a {name} of Couchbase")


def _options(username: str, password: str, timeout: float) -> Any:
    wait, longer = timedelta(seconds=timeout), timedelta(seconds=3 * timeout)
    return lambda: ClusterOptions(
        PasswordAuthenticator(username, password),
        timeout_options=ClusterTimeoutOptions(
            bootstrap_timeout=wait,
            connect_timeout=wait,
            kv_timeout=wait,
            management_timeout=longer,
            query_timeout=longer,
        ),
    )
