"""Redis or Valkey, asked what it is and what time it has."""

from __future__ import annotations

import time

import redis

from praison_persist._redis_clients import OnceClient
from praison_persist._redis_target import SINGLE, redis_target
from praison_persist.cli.examination import Examination

__all__ = ["examine_redis"]

_TIMEOUT_S = 5


def examine_redis(result: Examination, url: str | None) -> None:
    """Note version, clock and connections of a single server; of a cluster nothing."""
    variable = "VALKEY_URL" if "valkey" in result.backend else "REDIS_URL"
    timeouts = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
    target = redis_target(url, variable, {}, {}, timeouts, None)
    if target.kind != SINGLE:
        return
    client = OnceClient(target, 1).get()
    try:
        before = time.time()
        seconds, microseconds = client.time()
        result.compare_clock(seconds + microseconds / 1e6, before, time.time())
        info = client.info()
        name = info.get("server_name", "redis")
        result.facts["server"] = f"{name} {info.get(f'{name}_version', info['redis_version'])}"
        result.facts["pool"] = {
            "server_connections": info["connected_clients"],
            "server_max_connections": info.get("maxclients"),
        }
    except redis.ResponseError:
        return  # an account that may read keys, and no more
    finally:
        client.close()
