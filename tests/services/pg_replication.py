"""A PostgreSQL primary and a standby of one's own, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import OwnPostgres, administer
from tests.services.process import until


class Replication:
    """Two servers, the second a standby of the first.

    A commit is acknowledged when the standby has it on disk, which may be before it shows it.
    """

    def __init__(self, folder: Path) -> None:
        for name in ("primary", "standby"):
            (folder / name).mkdir()
        folder.chmod(0o755)
        self.primary = OwnPostgres(folder / "primary")
        self.primary.configure("fsync = off")  # no machine dies here, only processes
        self.primary.start()
        try:
            self.standby = OwnPostgres(folder / "standby", self.primary)
            self.standby.start()
            administer(self.primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            administer(self.primary.url, "SELECT pg_reload_conf()")
            until(self._is_synchronous, "the standby does not follow")
        except BaseException:  # a failed assertion or a timeout too: the servers would stay
            self.close()
            raise

    def _is_synchronous(self) -> bool:
        query = "SELECT sync_state FROM pg_stat_replication"
        return administer(self.primary.url, query) == [("sync",)]

    def url(self, scheme: str = "postgresql", query: str = "") -> str:
        """The URL of whichever of the two takes writes."""
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"{scheme}://postgres@{hosts}/postgres{query}"

    def fail_over(self) -> None:
        """Kill the primary, make sure that it is gone, and promote the standby."""
        self.primary.kill()
        self.standby.promote()

    @contextmanager
    def replay_paused(self) -> Iterator[None]:
        """Let the standby receive, and not show, what is committed from now on."""
        administer(self.standby.url, "SELECT pg_wal_replay_pause()")
        try:
            paused = "SELECT pg_get_wal_replay_pause_state()"
            until(lambda: administer(self.standby.url, paused) == [("paused",)], "it replays on")
            yield
        finally:
            administer(self.standby.url, "SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Wait until the standby shows all that was committed."""
        ((position,),) = administer(self.primary.url, "SELECT pg_current_wal_flush_lsn()::text")
        shown = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        until(lambda: administer(self.standby.url, shown) == [(True,)], "it does not catch up")

    def refuse_writes(self) -> None:
        """Let the primary refuse writes, as a standby does."""
        self._set_read_only("on")

    def take_writes(self) -> None:
        """End `refuse_writes`."""
        self._set_read_only("off")

    def _set_read_only(self, value: str) -> None:
        url = f"{self.primary.url}?options=-cdefault_transaction_read_only%3Doff"
        administer(url, f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        administer(url, "SELECT pg_reload_conf()")
        query = "SHOW default_transaction_read_only"
        until(lambda: administer(self.primary.url, query) == [(value,)], "it does not change")

    def close(self) -> None:
        """End both."""
        self.primary.close()
        if hasattr(self, "standby"):
            self.standby.close()


@contextmanager
def replication() -> Iterator[Replication]:
    """Yield a running pair; end it and delete its data afterwards."""
    with TemporaryDirectory(prefix="praison-replication-") as folder:
        pair = Replication(Path(folder))
        try:
            yield pair
        finally:
            pair.close()
