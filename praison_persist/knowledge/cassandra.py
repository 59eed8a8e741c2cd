"""Knowledge in Apache Cassandra 5 or newer and in Astra DB, through cassandra-driver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy

from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import BaseKnowledgeStore
from praison_persist.knowledge.cassandra_driver import CassandraDriver
from praison_persist.knowledge.embedders import Embedder

__all__ = ["CassandraKnowledgeStore"]

_KEYSPACE = re.compile(r"[A-Za-z0-9_]{1,48}")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_PORT_MAX = 65_535


class CassandraKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Cassandra. Shared by threads; usable after a fork.

    Args:
        hosts: names or addresses to ask first; one may be a string. Default: 127.0.0.1.
        keyspace: has the tables.
        username: leave both out where no authentication is asked for.
        password: see username.
        port: of the native protocol.
        secure_connect_bundle: path of Astra DB's zip file, in place of hosts and port.
        replication_factor: make the keyspace with the first collection, with so many copies in
            each data centre; default: it exists.
        exact: measure everything here instead of by the approximate vector index.
        timeout: seconds to wait for a connection or an answer.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        embedder: takes a list of texts and returns the embedding of each.

    Raises:
        ConfigurationError: an argument cannot be right.
    """

    def __init__(
        self,
        hosts: str | Sequence[str] | None = None,
        keyspace: str = "praisonai",
        username: str | None = None,
        password: str | None = None,
        port: int = 9042,
        secure_connect_bundle: str | None = None,
        *,
        replication_factor: int | None = None,
        exact: bool = False,
        timeout: float = 10,
        max_retries: int = 2,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        names = [hosts] if isinstance(hosts, str) else list(hosts or ["127.0.0.1"])
        _check(names, keyspace, port, replication_factor)
        if (username is None) != (password is None):
            raise ConfigurationError("Cassandra needs username= and password=, or neither")
        settings: dict[str, Any] = {
            "connect_timeout": timeout,
            # All that have vectors speak it; without it, the driver tries them one by one.
            "protocol_version": 4,
            # Nothing here asks for them.
            "schema_metadata_enabled": False,
        }
        if username is not None:
            settings["auth_provider"] = PlainTextAuthProvider(username, password)
        if secure_connect_bundle is not None:
            if not Path(secure_connect_bundle).is_file():
                raise ConfigurationError(
                    f"secure_connect_bundle: there is no file {secure_connect_bundle!r}"
                )
            settings["cloud"] = {"secure_connect_bundle": secure_connect_bundle}
            place = "Astra DB"
        else:
            settings |= {"contact_points": names, "port": port}
            place = f"{','.join(names)}:{port}"
        sessions = PerProcess(
            lambda: _connected(settings, timeout), lambda session: session.cluster.shutdown()
        )
        driver = CassandraDriver(
            sessions,
            place,
            keyspace,
            replication_factor,
            exact,
            RetryPolicy(max_retries, retry_delay),
        )
        super().__init__(driver, embedder)


def _connected(settings: dict[str, Any], timeout: float) -> Any:
    # One for each cluster: its policy has the state of one.
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=timeout,
    )
    cluster = Cluster(**settings, execution_profiles={EXEC_PROFILE_DEFAULT: profile})
    try:
        return cluster.connect()
    except BaseException:
        cluster.shutdown()  # or its threads stay
        raise


def _check(names: list[str], keyspace: object, port: object, replication: object) -> None:
    for name in names:
        if not isinstance(name, str) or not _HOST.fullmatch(name):
            raise ConfigurationError(
                "hosts are names or addresses; credentials and the port are arguments of their own"
            )
    if not isinstance(keyspace, str) or not _KEYSPACE.fullmatch(keyspace):
        raise ConfigurationError(
            f"keyspace {keyspace!r} must be 1 to 48 ASCII letters, digits and underscores"
        )
    if not isinstance(port, int) or not 0 < port <= _PORT_MAX:
        raise ConfigurationError(f"port {port!r} must be a number from 1 to {_PORT_MAX}")
    if replication is not None and (not isinstance(replication, int) or replication < 1):
        raise ConfigurationError(f"replication_factor {replication!r} must be 1 or more")
