"""A Galera cluster of MariaDB for tests: three nodes of one's own that may be killed and rejoin."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pymysql

from tests.servers import free_port, missing
from tests.services.process import OwnProcess, until

_VARIABLE = "PRAISON_TEST_GALERA"
# Where the packages of Debian and of MariaDB put it.
_PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
# rsync, which copies the data to a node that joins, would become a user of its own under root.
_USER = "nobody" if os.geteuid() == 0 else None
# A node is given up after five seconds of silence, which is Galera's default: where processors are
# few, one that lives may be silent for two. A node that returns waits for the others to find again.
_PATIENT = "evs.suspect_timeout=PT5S;pc.wait_prim_timeout=PT80S;gcache.size=32M"


class Node(OwnProcess):
    """One server of the cluster."""

    def __init__(self, folder: Path, number: int, provider: str) -> None:
        super().__init__()
        self.number, self.port = number, free_port()
        self._folder, self._provider = folder, provider
        self._group, self._ist, self._sst = free_port(), free_port(), free_port()

    @property
    def member(self) -> str:
        """Its address within the cluster."""
        return f"127.0.0.1:{self._group}"

    @property
    def data(self) -> Path:
        """Where its data is."""
        return self._folder / f"n{self.number}"

    def start(self, members: str) -> None:
        """Start it, to join these members; to begin a cluster if there are none."""
        self._run(
            [
                "/usr/sbin/mariadbd",
                "--no-defaults",
                f"--datadir={self.data}",
                f"--socket={self._folder}/{self.number}.sock",
                f"--pid-file={self._folder}/{self.number}.pid",
                f"--log-error={self._folder}/{self.number}.log",
                f"--port={self.port}",
                "--bind-address=127.0.0.1",
                "--binlog-format=ROW",
                "--innodb-autoinc-lock-mode=2",
                "--innodb-flush-log-at-trx-commit=2",  # survives the death of the process
                "--innodb-buffer-pool-size=32M",
                "--innodb-log-file-size=16M",
                "--performance-schema=OFF",
                "--skip-name-resolve",
                "--wsrep-on=ON",
                f"--wsrep-provider={self._provider}",
                "--wsrep-cluster-name=praison",
                f"--wsrep-cluster-address=gcomm://{members}",
                f"--wsrep-node-name=n{self.number}",
                f"--wsrep-node-address={self.member}",
                "--wsrep-sst-method=rsync",
                f"--wsrep-sst-receive-address=127.0.0.1:{self._sst}",
                "--wsrep-slave-threads=2",
                f"--wsrep-provider-options={self._options()}",
            ],
            user=_USER,
            cwd=self._folder,
            start_new_session=True,
        )

    def _options(self) -> str:
        listen = f"gmcast.listen_addr=tcp://{self.member};ist.recv_addr=127.0.0.1:{self._ist}"
        return f"{listen};{_PATIENT}"

    def wait_synced(self) -> None:
        """Wait until it serves."""
        until(self._is_synced, f"node {self.number} is not synced; its log: {self.log()[-800:]}")

    def _is_synced(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"node {self.number} ended: {self.log()[-2000:]}"
        try:
            state = self.ask("SHOW STATUS LIKE 'wsrep_local_state_comment'")
        except pymysql.err.OperationalError:
            return False
        return state == [("wsrep_local_state_comment", "Synced")]

    def log(self) -> str:
        """What it wrote to its error log."""
        path = self._folder / f"{self.number}.log"
        return path.read_text() if path.exists() else ""

    def ask(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements on this node; return the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True
        )
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                    rows = list(cursor.fetchall())
        finally:
            connection.close()
        return rows

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it receive, and not apply, what the others commit."""
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root")
        try:
            with connection.cursor() as cursor:
                cursor.execute("FLUSH TABLES WITH READ LOCK")
                yield
        finally:
            connection.close()

    def leave(self) -> None:
        """Cut it off from the others, with the connections of its clients left open."""
        self.ask("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")
        until(lambda: not self._is_ready(), f"node {self.number} does not leave")

    def return_(self) -> None:
        """End `leave`."""
        self.ask("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")
        self.wait_synced()
        until(self._is_ready, f"node {self.number} does not return")

    def _is_ready(self) -> bool:
        return self.ask("SHOW STATUS LIKE 'wsrep_ready'") == [("wsrep_ready", "ON")]

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)


class Galera:
    """Three nodes. `url` names them all, in their order."""

    def __init__(self, folder: Path, provider: str) -> None:
        self._folder = folder
        self.nodes = [Node(folder, number, provider) for number in (1, 2, 3)]
        if _USER is not None:
            shutil.chown(folder, _USER)

    def start(self) -> None:
        """Start all and wait until they serve."""
        first, *others = self.nodes
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={first.data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
            check=True,
            capture_output=True,
            user=_USER,
            cwd=self._folder,
        )
        for node in others:
            node.data.mkdir()
            if _USER is not None:
                shutil.chown(node.data, _USER)
        first.start("")
        first.wait_synced()
        # It has an empty password for whoever comes over the loopback.
        first.ask("CREATE USER IF NOT EXISTS root@'127.0.0.1'")
        for node in others:
            self.rejoin(node)

    def rejoin(self, node: Node) -> None:
        """Start a node beside those that run, and wait until it serves."""
        node.start(",".join(each.member for each in self.nodes))
        node.wait_synced()

    def url(self, database: str, nodes: list[Node] | None = None, query: str = "") -> str:
        """The URL of a database on these nodes; on all if none are given."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes or self.nodes)
        return f"mysql://root@{hosts}/{database}{query}"

    def close(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.kill()


@contextmanager
def galera() -> Iterator[Galera]:
    """Yield a running cluster; end it and delete its data afterwards."""
    named = os.environ.get(_VARIABLE)
    providers = [path for path in ([named] if named else _PROVIDERS) if Path(path).exists()]
    programs = ("/usr/sbin/mariadbd", "mariadb-install-db", "rsync")
    lacking = [program for program in programs if shutil.which(program) is None]
    if lacking or not providers:
        missing(_VARIABLE, f"no {', '.join([*lacking, *([] if providers else ['galera-4'])])}")
    with TemporaryDirectory(prefix="praison-galera-") as folder:
        cluster = Galera(Path(folder), providers[0])
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.close()
