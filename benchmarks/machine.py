"""The machine, the versions, and what the servers promise of durability."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, MARIADB, POSTGRESQL
from benchmarks.process import NotInstalledError, interpreter
from tests.servers import administer

__all__ = ["DURABLE", "describe", "server_durability", "versions"]

_SYNCS = 200
_BLOCK = 4096

DURABLE: dict[str, dict[str, str]] = {
    POSTGRESQL: {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
    MARIADB: {"innodb_flush_log_at_trx_commit": "1"},
}
"""What the servers must be set to, so that an acknowledged write survives a power failure."""

_DRIVERS = (
    "sqlalchemy",
    "psycopg",
    "asyncpg",
    "pymysql",
    "aiomysql",
    "aiosqlite",
    "redis",
    "hiredis",
)


def describe(folder: Path) -> dict[str, Any]:
    """Return the machine, and the file system of `folder`, where databases are made."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": file_system(folder),
        "fdatasync_us": round(fdatasync_us(folder), 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def fdatasync_us(folder: Path) -> float:
    """Return the median microseconds in which 4 KiB appended to a file reach the disk."""
    took, path = [], folder / "fdatasync"
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(b"x" * _BLOCK)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    path.unlink()
    return statistics.median(took) * 1e6


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on."""
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return told.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def versions() -> dict[str, str]:
    """Return the versions of what is measured, each from the environment that it runs in."""
    wanted: dict[str, set[str]] = {"ours": {*_DRIVERS}}
    for entry in CONTENDERS.values():
        if entry.package:
            wanted.setdefault(entry.environment, set()).add(entry.package)
    found: dict[str, str] = {}
    for environment, packages in wanted.items():
        try:
            python = interpreter(environment)
        except NotInstalledError:
            continue
        program = (
            "import importlib.metadata as m, json, sys\n"
            "def version(name):\n"
            "    try: return m.version(name)\n"
            "    except m.PackageNotFoundError: return None\n"
            "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
        )
        command = [str(python), "-c", program, *sorted(packages)]
        told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        found |= {name: version for name, version in told.items() if version}
    return dict(sorted(found.items()))


def server_durability(engine: str, url: str) -> dict[str, str]:
    """Return the settings of a server, and its version.

    Raises:
        RuntimeError: it may lose what it has acknowledged.
    """
    if engine == POSTGRESQL:
        names = ", ".join(f"'{name}'" for name in (*DURABLE[engine], "wal_sync_method"))
        query = f"SELECT name, setting FROM pg_settings WHERE name IN ({names})"
        version = "SHOW server_version"
    else:
        names = ", ".join(f"'{name}'" for name in (*DURABLE[engine], "log_bin", "sync_binlog"))
        query = f"SHOW GLOBAL VARIABLES WHERE variable_name IN ({names})"
        version = "SELECT version()"
    found = {name: str(value) for name, value in administer(url, query)}
    for name, value in DURABLE[engine].items():
        if found.get(name) != value:
            raise RuntimeError(
                f"{engine} has {name}={found.get(name)}: it is measured with {value}, so that what "
                "is acknowledged is on disk"
            )
    return {"version": str(administer(url, version)[0][0]), **found}
