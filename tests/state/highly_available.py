"""Groups of Redis servers for tests: one under Sentinel, one as a cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path

import redis

from tests.servers import free_port
from tests.services.process import until

from .services import OwnRedis, program

# Without a delay, so that replicas have the data before a test kills their primary.
_REPLICATION = ("--repl-diskless-sync-delay", "0")


class Sentinels:
    """A primary and two replicas, watched by three sentinels."""

    service = "mine"

    def __init__(self, folder: Path) -> None:
        self._primary = OwnRedis(folder / "0", *_REPLICATION)
        of_primary = ("--replicaof", f"127.0.0.1 {self._primary.port}")
        self._servers = [
            self._primary,
            *[OwnRedis(folder / name, *_REPLICATION, *of_primary) for name in "12"],
        ]
        self._folder = folder
        self._ports = [free_port() for _ in range(3)]
        self._watchers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all and wait until they know each other."""
        for server in self._servers:
            server.start()
        for port in self._ports:
            self._watchers.append(self._watch(port))
        until(self._complete, "the sentinels do not see the group")
        for port in self._ports:
            with redis.Redis(port=port) as client:
                client.sentinel_set(self.service, "down-after-milliseconds", 500)

    def _watch(self, port: int) -> subprocess.Popen[bytes]:
        configuration = self._folder / f"sentinel-{port}.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {self.service} 127.0.0.1 {self._primary.port} 2\n"
            # No failover while they start, on a machine that is busy.
            f"sentinel down-after-milliseconds {self.service} 30000\n"
            f"sentinel failover-timeout {self.service} 3000\n"
        )
        return subprocess.Popen(
            [program("redis-server"), configuration, "--sentinel"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _complete(self) -> bool:
        for port in self._ports:
            with redis.Redis(port=port) as client:
                try:
                    group = client.sentinel_master(self.service)
                except redis.RedisError:
                    return False
            assert isinstance(group, dict)
            if group["num-slaves"] < 2 or group["num-other-sentinels"] < 2:
                return False
        with redis.Redis(port=self._primary.port) as client:
            replicas = client.info("replication")
        return all(replicas.get(f"slave{n}", {}).get("state") == "online" for n in (0, 1))

    @property
    def url(self) -> str:
        """The URL of the group."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"redis+sentinel://{hosts}/{self.service}/0"

    def kill_primary(self) -> None:
        """End the primary as a crash does; the sentinels make a replica the next one."""
        with redis.Redis(port=self._primary.port) as client:
            client.wait(2, 1000)
        self._primary.kill()

    def close(self) -> None:
        """End all of them."""
        for watcher in self._watchers:
            watcher.kill()
            watcher.wait(30)
        for server in self._servers:
            server.kill()


class Cluster:
    """Three primaries with a replica each."""

    def __init__(self, folder: Path) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", *_REPLICATION)
        self.servers = [
            # The port of its bus is 10,000 above its own.
            OwnRedis(folder / str(n), *options, port=free_port(below=22_000))
            for n in range(6)
        ]

    def start(self) -> None:
        """Start all and wait until every slot has a primary, and every primary a replica."""
        for server in self.servers:
            server.start()
        nodes = [f"127.0.0.1:{server.port}" for server in self.servers]
        subprocess.run(
            [
                *(program("redis-cli"), "--cluster", "create", *nodes),
                *("--cluster-replicas", "1", "--cluster-yes"),
            ],
            check=True,
            capture_output=True,
        )
        until(self._complete, "the cluster is not complete")

    def _complete(self) -> bool:
        for server in self.servers:
            with redis.Redis(port=server.port) as client:
                cluster = client.execute_command("CLUSTER INFO")
                if cluster["cluster_state"] != "ok":  # pyright: ignore[reportOptionalSubscript]  # a dict, untyped
                    return False
                replication = client.info("replication")
            if replication["role"] == "master":
                if replication.get("slave0", {}).get("state") != "online":
                    return False
            elif replication["master_link_status"] != "up":
                return False
        return True

    @property
    def url(self) -> str:
        """The URL of the cluster, by two of its nodes."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])
        return f"redis+cluster://{hosts}"

    def kill_primary(self) -> None:
        """End the node that the URL names first; its replica takes over."""
        self.servers[0].kill()

    def close(self) -> None:
        """End all of them."""
        for server in self.servers:
            server.kill()
