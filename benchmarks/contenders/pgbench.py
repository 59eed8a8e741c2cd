"""PostgreSQL's own benchmark, in C: the server with clients that cost next to nothing."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.contenders.base import Place
from benchmarks.contenders.raw_postgresql import NUMBERED, append_statement
from benchmarks.messages import METADATA, text_of

__all__ = ["PgBench"]

_SESSIONS = 1000
_GUESS = 8000  # appends a second, of all connections
_LEAST = 5  # appends of a connection


class PgBench:
    """Numbered appends, each a transaction, of as many connections as there are agents.

    Args:
        place: a database.
    """

    capacity = None

    def __init__(self, place: Place) -> None:
        self.place = place

    def open(self) -> None:
        """Make the tables, sessions and the script."""
        with psycopg.connect(self.place.url, autocommit=True) as connection:
            connection.execute(NUMBERED, prepare=False)
            connection.execute(
                "INSERT INTO sessions (session_id, user_id)"
                " SELECT 's' || i, 'user-1' FROM generate_series(1, %s) i",
                (_SESSIONS,),
            )
        marks = (
            *("extract(epoch FROM clock_timestamp())", ":session", "gen_random_uuid()"),
            *(f"'{text_of(0)}'", f"'{json.dumps(METADATA)}'"),
        )
        script = f"\\set session random(1, {_SESSIONS})\n{append_statement(marks)};\n"
        with tempfile.NamedTemporaryFile("w", suffix=".sql", delete=False) as file:
            file.write(script)
        self._script = Path(file.name)

    def own_crowd(self, agents: int, seconds: float) -> dict[str, Any]:
        """Run it about so long; return the rate, and the mean time of an append for its median."""
        each = max(_LEAST, int(seconds * _GUESS / agents))
        command = ["pgbench", "-n", "-M", "prepared", "-c", str(agents), "-j", "2", "-t", str(each)]
        ended = subprocess.run(
            [*command, "-f", str(self._script), self.place.url],
            check=False,
            capture_output=True,
            text=True,
        )
        if ended.returncode:  # an error of subprocess would tell the URL
            raise RuntimeError(f"pgbench ended with status {ended.returncode}")
        rate = float(re.findall(r"^tps = ([\d.]+)", ended.stdout, re.MULTILINE)[-1])
        # Its percentiles would need a log of each append.
        mean_s, done = agents / rate, agents * each
        return {"rate": rate, "p50_s": mean_s, "p99_s": 0.0, "cpu_s": 0.0, "operations": done}

    def close(self) -> None:
        """Delete the script."""
        self._script.unlink()
