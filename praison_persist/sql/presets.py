"""Hosted services and poolers, one row of data each: what they need beside their dialect.

A row gives defaults. What the URL or an option says wins.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from praison_persist.sql.dialects import COCKROACHDB

__all__ = ["PRESETS", "Preset", "matching"]

_SYSTEM_ROOTS = "system"

Query = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Preset:
    """A service, or a kind of endpoint.

    Attributes:
        hosts: how its host names end; empty: any host.
        host_label: how the first label of the host name ends.
        ports: its ports; empty: any.
        flag: query key and value that a URL asks for it with; wins over hosts and ports. Its
            other values say that the endpoint is not of this kind.
        connect_args: of each driver's connect, by the driver's name.
        tls: the same for the one argument that decides about TLS; it depends on the query.
        tls_words: query keys that say something about TLS; with one of them `tls` is left out,
            where it would be decided by another key.
        unsafe: drivers that would go on in clear text where the server offers no TLS, unless the
            query says something about it.
        said: query keys and values of other clients that ask for what `tls` does already.
        options: defaults of SQLOptions.
        several: of a URL that names several hosts, whoever they are.
        is_pooler: each transaction may run on another connection of the server.
    """

    name: str
    hosts: tuple[str, ...] = ()
    host_label: str = ""
    ports: frozenset[int] = frozenset()
    flag: tuple[str, str] | None = None
    connect_args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tls: Mapping[str, tuple[str, Callable[[Query], Any]]] = field(default_factory=dict)
    tls_words: frozenset[str] = frozenset()
    unsafe: frozenset[str] = frozenset()
    said: Mapping[str, frozenset[str]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    several: bool = False
    is_pooler: bool = False

    def fits(self, hosts: Sequence[tuple[str, int | None]], query: Query) -> bool:
        """Whether the row is about a database that all these hosts serve."""
        if self.flag is not None and self.flag[0] in query:
            return query[self.flag[0]] == self.flag[1]
        if self.several:
            return len(hosts) > 1
        return bool(self.hosts and hosts) and all(self._is_of(*host) for host in hosts)

    def _is_of(self, host: str, port: int | None) -> bool:
        name = host.lower().rstrip(".")
        return (
            name.endswith(self.hosts)
            and name.partition(".")[0].endswith(self.host_label)
            and (not self.ports or port in self.ports)
        )

    def arguments(self, driver: str, query: Query) -> dict[str, Any]:
        """Return what this driver's connect is to be given."""
        found = dict(self.connect_args.get(driver, {}))
        if driver in self.tls and self.tls_words.isdisjoint(query):
            name, value = self.tls[driver]
            found[name] = value(query)
        return found

    def is_unsafe(self, driver: str, query: Query) -> bool:
        """Whether this driver would connect without the TLS that is required."""
        return driver in self.unsafe and self.tls_words.isdisjoint(query)

    def unsaid(self, query: Query) -> dict[str, str | tuple[str, ...]]:
        """Return the query without what asks, in words of another client, for what is done."""
        return {
            key: value
            for key, value in query.items()
            if key not in self.said or str(value).replace(" ", "").lower() not in self.said[key]
        }


def _sslmode(query: Query) -> str:
    """Encrypt; verify the server too where a root certificate, or the environment, says so.

    PostgreSQL manual, 34.19.1: "require" verifies nothing without a root certificate.
    """
    asked = os.environ.get("PGSSLMODE", "")
    if asked in ("verify-ca", "verify-full"):
        return asked
    return "verify-full" if "sslrootcert" in query else "require"


# The same object each time: stores share the connections of equal arguments.
@cache
def _context(*, verified: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _verified(_query: Query) -> ssl.SSLContext:
    return _context(verified=True)


def _encrypted(_query: Query) -> ssl.SSLContext:
    return _context(verified=False)


def _is_given_roots(query: Query) -> bool:
    """Whether somebody chose the root certificates, as libpq looks for them."""
    chosen = query.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    if chosen:
        return chosen != _SYSTEM_ROOTS
    return Path("~/.postgresql/root.crt").expanduser().exists()


def _roots(query: Query) -> str | None:
    """Let libpq verify with the system's root certificates where none were chosen.

    It takes this word from version 16 on, together with "verify-full" only.
    """
    strict = query.get("sslmode", "verify-full") == "verify-full"
    return _SYSTEM_ROOTS if strict and not _is_given_roots(query) else None


def _verified_by_roots(query: Query) -> str | ssl.SSLContext:
    """Do the same for asyncpg, which reads certificates from files only."""
    return "verify-full" if _is_given_roots(query) else _context(verified=True)


def _unnamed() -> str:
    """Return the name of PostgreSQL's unnamed statement, which nothing has to clean up.

    SQLAlchemy prepares each statement in the transaction that executes it; a name would stay
    behind on a connection of the server that the next transaction may not get.
    """
    return ""


# Longer than a suspended server needs to wake up.
_CONNECT_TIMEOUT_S = 30

_POSTGRESQL_ARGS = {
    "psycopg": {"connect_timeout": _CONNECT_TIMEOUT_S},
    "asyncpg": {"timeout": _CONNECT_TIMEOUT_S},
}
_MYSQL_ARGS = {
    name: {"connect_timeout": _CONNECT_TIMEOUT_S}
    for name in ("pymysql", "mysqldb", "aiomysql", "asyncmy")
}
_ARGS = {**_POSTGRESQL_ARGS, **_MYSQL_ARGS}
_POSTGRESQL_TLS = {"psycopg": ("sslmode", _sslmode), "asyncpg": ("ssl", _sslmode)}
# Of PyMySQL's connect, and of SQLAlchemy's dialect, which makes a dict of them.
_MYSQL_TLS_WORDS = frozenset(
    {"ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher", "ssl_check_hostname"}
    | {"ssl_disabled", "ssl_verify_cert", "ssl_verify_identity", "ssl_key_password"}
)


def _mysql_tls(value: Callable[[Query], Any]) -> dict[str, tuple[str, Callable[[Query], Any]]]:
    # mysqlclient has no context, and only this mode of it never goes on in clear text: with the
    # library of MariaDB, REQUIRED does.
    found = dict.fromkeys(("pymysql", "asyncmy"), ("ssl", value))
    return {**found, "mysqldb": ("ssl_mode", lambda _query: "VERIFY_IDENTITY")}


# Waits of up to 0.5, 1, 2, 4, 8 and 16 s: a server may take half a minute to come up.
_COLD_START = {"pool_pre_ping": True, "max_retries": 6, "retry_delay": 0.5}
# Neon suspends a compute after 300 s without a query, and its connections end
# (neon.tech/docs/introduction/auto-suspend). For the others it is our choice.
_HOSTED = {**_COLD_START, "pool_recycle": 280.0}

# In transaction mode a connection of the server belongs to a client until COMMIT, and statements
# that were prepared on it stay behind (pgbouncer.org/features.html).
_POOLED_ARGS: Mapping[str, Mapping[str, Any]] = {
    "psycopg": {"prepare_threshold": None},
    "asyncpg": {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": _unnamed,
    },
}
_POOLED_FLAG = ("pgbouncer", "true")

# A primary may need half a minute to be replaced; who lost a conflict tries again at once. The
# bounds double from 0.05 s: ten waits are 25 to 51 s in all.
_FAILOVER = {"max_retries": 10, "retry_delay": 0.05}
# Of several servers the one that takes writes; libpq's word, which asyncpg knows too.
_PRIMARY = {name: {"target_session_attrs": "read-write"} for name in ("psycopg", "asyncpg")}

# A later row wins over an earlier one.
PRESETS: Final = (
    Preset("several hosts", several=True, connect_args=_PRIMARY, options=_FAILOVER),
    Preset("neon", (".neon.tech",), connect_args=_ARGS, tls=_POSTGRESQL_TLS, options=_HOSTED),
    Preset(
        "xata", (".xata.sh", ".xata.io"), connect_args=_ARGS, tls=_POSTGRESQL_TLS, options=_HOSTED
    ),
    Preset(
        "supabase",
        (".supabase.co", ".pooler.supabase.com"),
        connect_args=_ARGS,
        tls=_POSTGRESQL_TLS,
        options=_HOSTED,
    ),
    Preset(
        "planetscale",
        (".psdb.cloud",),
        connect_args=_ARGS,
        # "signed by a commonly available system root", to be verified:
        # docs.planetscale.com/reference/secure-connections
        tls={**_POSTGRESQL_TLS, **_mysql_tls(_verified)},
        tls_words=_MYSQL_TLS_WORDS,
        unsafe=frozenset({"aiomysql"}),
        said={
            "sslaccept": frozenset({"strict"}),
            "ssl": frozenset({"true", '{"rejectunauthorized":true}'}),
            "ssl-mode": frozenset({"required", "verify_ca", "verify_identity"}),
        },
        options=_HOSTED,
    ),
    Preset(
        "aiven",
        (".aivencloud.com",),
        connect_args=_ARGS,
        # Signed by an authority of the project, which only its owner has: not verified.
        tls={**_POSTGRESQL_TLS, **_mysql_tls(_encrypted)},
        tls_words=_MYSQL_TLS_WORDS,
        # mysqlclient verifies, or is not safe.
        unsafe=frozenset({"aiomysql", "mysqldb"}),
        said={"ssl-mode": frozenset({"required"})},
        options=_HOSTED,
    ),
    Preset(
        "cockroachdb-cloud",
        COCKROACHDB.hosts,
        connect_args={
            **_POSTGRESQL_ARGS,
            "psycopg": {**_POSTGRESQL_ARGS["psycopg"], "sslmode": "verify-full"},
        },
        # "verify-full by default", of an authority of the cluster that its owner is told to fetch,
        # or of a public one: cockroachlabs.com/docs/cockroachcloud/authentication
        tls={"psycopg": ("sslrootcert", _roots), "asyncpg": ("ssl", _verified_by_roots)},
        # Else asyncpg would look for a file of certificates.
        said={"sslmode": frozenset({"verify-full"})},
        # Not for a server that wakes up, but for who loses against another transaction.
        options={**_HOSTED, **COCKROACHDB.option_defaults},
    ),
    Preset(
        "neon-pooler",
        (".neon.tech",),
        "-pooler",
        flag=_POOLED_FLAG,
        connect_args=_POOLED_ARGS,
        is_pooler=True,
    ),
    Preset(
        "supabase-pooler",
        (".supabase.co", ".pooler.supabase.com"),
        ports=frozenset({6543}),
        flag=_POOLED_FLAG,
        connect_args=_POOLED_ARGS,
        is_pooler=True,
    ),
    Preset("pgbouncer", flag=_POOLED_FLAG, connect_args=_POOLED_ARGS, is_pooler=True),
)


def matching(hosts: Sequence[tuple[str, int | None]], query: Query) -> tuple[Preset, ...]:
    """Return the rows about a database with these host names and ports, and this query."""
    return tuple(preset for preset in PRESETS if preset.fits(hosts, query))
