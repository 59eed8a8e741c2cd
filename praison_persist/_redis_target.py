"""Addresses of Redis and Valkey: one server, a group under Sentinel, or a cluster."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.connection import URL_QUERY_ARGUMENT_PARSERS

from praison_persist.errors import ConfigurationError

__all__ = [
    "CLUSTER",
    "SENTINEL",
    "SINGLE",
    "RedisTarget",
    "connection_class",
    "connection_settings",
    "parse_redis_url",
    "redis_target",
]

SINGLE, SENTINEL, CLUSTER = "single", "sentinel", "cluster"
_PORTS = {SINGLE: 6379, SENTINEL: 26379, CLUSTER: 6379}
_SCHEME = re.compile(r"(redis|valkey)(s?)(?:\+(sentinel|cluster))?://", re.IGNORECASE)
_FORMS = (
    "redis://user:password@host:6379/0 (rediss:// with TLS, unix:///path for a socket), "
    "redis+sentinel://:password@host1:26379,host2:26379/service/0 or "
    "redis+cluster://:password@host1:6379,host2:6379"
)


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """Where the servers are.

    Attributes:
        kind: SINGLE, SENTINEL or CLUSTER.
        nodes: host and port of the server, of the sentinels, or of some nodes of the cluster.
        service: under which name the sentinels know the group.
        settings: what redis-py's connections are made with.
        sentinel_settings: what connections to the sentinels are made with.
    """

    kind: str
    nodes: tuple[tuple[str, int], ...]
    service: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sentinel_settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        """Where it is, for messages."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.nodes)
        path = self.settings.get("path")
        if self.kind == SINGLE:
            return f"redis at {path or hosts}/{self.settings.get('db', 0)}"
        return f"redis {self.kind} at {hosts}" + (f"/{self.service}" if self.service else "")


def redis_target(
    url: str | None,
    environment: str,
    place: Mapping[str, Any],
    identity: Mapping[str, Any],
    timeouts: Mapping[str, Any],
    client_options: Mapping[str, Any] | None,
) -> RedisTarget:
    """Return where stores find Redis: what is written, else the environment's URL, else localhost.

    Args:
        url: of Redis.
        environment: the variable to ask where nothing is written.
        place: host and port in place of a URL.
        identity: settings that are left out where they are None.
        timeouts: settings of connections.
        client_options: further ones, which win over those before.

    Raises:
        ConfigurationError: both a URL and a place, or one that cannot be.
    """
    settings = {name: value for name, value in identity.items() if value is not None}
    settings |= {**timeouts, **(client_options or {})}
    written = {name: value for name, value in place.items() if value is not None}
    if url is not None and written:
        raise ConfigurationError(f"url= and {sorted(written)} both say where Redis is; give one")
    if url is None:
        host, port = place["host"] or "localhost", place["port"] or 6379
        url = os.environ.get(environment) if not written else None
        url = url or f"redis://{f'[{host}]' if ':' in host else host}:{port}"
    return parse_redis_url(url, settings)


def parse_redis_url(url: str, settings: Mapping[str, Any]) -> RedisTarget:
    """Parse a URL; what it says wins over `settings`.

    Raises:
        ConfigurationError: it is none, or redis-py knows no such setting.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"A Redis URL is a string, not {type(url).__name__}: {_FORMS}")
    target = _unix(url, settings) if url.startswith("unix://") else _network(url, settings)
    _check_settings(target)
    return target


def _unix(url: str, settings: Mapping[str, Any]) -> RedisTarget:
    parts = urlsplit(url)
    query, _ = _query(parts.query)
    given = {**settings, **_credentials(parts.netloc.rpartition("@")[0]), **query}
    return RedisTarget(SINGLE, (), settings={**given, "path": unquote(parts.path)})


def _network(url: str, settings: Mapping[str, Any]) -> RedisTarget:
    match = _SCHEME.match(url)
    if match is None:
        scheme = url.partition("://")[0] if "://" in url else ""
        raise ConfigurationError(f"A URL of scheme {scheme!r} is none of Redis: write {_FORMS}")
    kind = (match.group(3) or SINGLE).lower()
    location, _, query_text = url[match.end() :].partition("?")
    authority, _, path = location.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    query, sentinel = _query(query_text)
    given: dict[str, Any] = {**settings, **_credentials(credentials)}
    if match.group(2):
        given["ssl"] = True
    service, database = "", path.rstrip("/")
    if kind == SENTINEL:
        service, _, database = database.partition("/")
        if not service:
            raise ConfigurationError(f"A Sentinel URL names the service: {_FORMS}")
    if database:
        given["db"] = _number(unquote(database), "database")
    given |= query
    if kind == CLUSTER and given.pop("db", 0) != 0:
        raise ConfigurationError("A Redis cluster has database 0 only; use another prefix")
    nodes = tuple(_node(each, _PORTS[kind]) for each in (hosts or "localhost").split(","))
    if kind == SINGLE and len(nodes) > 1:
        raise ConfigurationError(f"One server has one host; several: {_FORMS}")
    shared = {name: given[name] for name in given if name.startswith(("socket_", "ssl"))}
    return RedisTarget(kind, nodes, unquote(service), given, {**shared, **sentinel})


def _credentials(text: str) -> dict[str, str]:
    user, _, password = text.partition(":")
    found = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in found.items() if value}


def _query(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings in a URL's query, and those for the sentinels."""
    settings: dict[str, Any] = {}
    sentinel: dict[str, Any] = {}
    for name, values in parse_qs(text, keep_blank_values=True).items():
        parse = cast("Callable[[str], Any]", URL_QUERY_ARGUMENT_PARSERS.get(name, str))
        try:
            value = parse(values[-1])
        except ValueError:
            raise ConfigurationError(f"{name}={values[-1]!r} in the Redis URL cannot be") from None
        if name.startswith("sentinel_"):
            sentinel[name.removeprefix("sentinel_")] = value
        else:
            settings[name] = value
    return settings, sentinel


def _node(text: str, port: int) -> tuple[str, int]:
    if text.startswith("["):  # an IPv6 address
        host, _, rest = text[1:].partition("]")
        written = rest.removeprefix(":")
    else:
        host, _, written = text.partition(":")
    return unquote(host) or "localhost", _number(written, "port") if written else port


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"The {name} {text!r} of the Redis URL is no number: {_FORMS}")
    return int(text)


def _check_settings(target: RedisTarget) -> None:
    """Let redis-py look at the settings now, instead of at the first connection."""
    try:
        connection_class(target)(**connection_settings(target))
    except (TypeError, ValueError, redis.RedisError) as error:
        raise ConfigurationError(f"redis-py refuses the settings: {error}") from error


def connection_class(target: RedisTarget) -> type[Any]:
    """Return redis-py's class of sync connections for the target."""
    if "path" in target.settings:
        return redis.UnixDomainSocketConnection
    return redis.SSLConnection if target.settings.get("ssl") else redis.Connection


def connection_settings(target: RedisTarget) -> dict[str, Any]:
    """Return what a connection is made with."""
    settings = {name: value for name, value in target.settings.items() if name != "ssl"}
    if target.kind == SINGLE and target.nodes:
        settings["host"], settings["port"] = target.nodes[0]
    return settings
