"""Migrations of a user's own tables, beside those of this package, which are Alembic's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from praison_persist.compat.migration_history import History, history_of
from praison_persist.errors import ConfigurationError, SchemaError

__all__ = ["Migration", "MigrationManager", "SchemaVersion"]

Step = Callable[[Any], object] | str

_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|rc)[-_.]?(\d*))?", re.IGNORECASE)


@dataclass(eq=False)
class SchemaVersion:
    """A version of a schema; versions compare as releases do, and are equal as texts.

    Attributes:
        version: "1.0.0", "1.1rc1".
        applied_at: seconds since the epoch; None: it is not applied, or it is not known when.
    """

    version: str
    description: str = ""
    applied_at: float | None = None

    def __lt__(self, other: SchemaVersion) -> bool:
        return _order(self.version) < _order(other.version)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SchemaVersion) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)


@dataclass
class Migration:
    """One step between two versions.

    Attributes:
        up: applies it: a SQL statement, or a function of the database. On SQL that is a
            `migration_history.MigrationDatabase`.
        down: reverts it; None: it cannot be reverted.
    """

    version: str
    description: str
    up: Step
    down: Step | None = None


class MigrationManager:
    """Applies and reverts migrations, and tells which are applied.

    Version 1.0.0 is this package's own tables: it is applied when they are at the revision of this
    code, which Alembic brings them to. What is registered besides is recorded in the table
    `<prefix>schema_versions` of a SQL database, in the state store otherwise.

    Args:
        db_adapter: an adapter, a SQL store, or a database URL. None: nothing is applied, and
            nothing can be.
    """

    CURRENT_VERSION: ClassVar[str] = "1.0.0"

    def __init__(self, db_adapter: Any = None) -> None:
        self._history: History | None = None if db_adapter is None else history_of(db_adapter)
        self._own = Migration(
            self.CURRENT_VERSION, "Tables of sessions, messages, runs, state and knowledge", "", ""
        )
        self._migrations = [self._own]

    def register_migration(
        self, version: str, description: str, up: Step, down: Step | None = None
    ) -> None:
        """Add a migration; see `Migration`.

        Raises:
            ConfigurationError: the version cannot be ordered, or has a migration already.
        """
        _order(version)
        if any(each.version == version for each in self._migrations if each is not self._own):
            raise ConfigurationError(f"Version {version!r} has a migration already")
        self._migrations.append(Migration(version, description, up, down))
        self._migrations.sort(key=lambda each: _order(each.version))

    def get_current_version(self) -> str | None:
        """Return the greatest version that is applied, None if there is none."""
        versions = {*self._applied(), *([self._own.version] if self._is_current() else ())}
        return max(versions, key=_order, default=None)

    def set_current_version(self, version: str) -> None:
        """Record that the migrations up to `version` are applied, and no others; run none.

        Raises:
            SchemaError: that would not be true of this package's own tables.
        """
        bound, history = _order(version), self._database()
        if (_order(self._own.version) <= bound) is not self._is_current():
            raise SchemaError(
                f"The tables of this package are {'' if self._is_current() else 'not '}at "
                f"{self._own.version}; that is for migrate_up and migrate_down to change"
            )
        wanted = {
            each.version: each.description
            for each in self._migrations
            if each is not self._own and _order(each.version) <= bound
        }
        wanted.setdefault(version, "")
        for old in self._applied().keys() - wanted.keys():
            history.change(old, "", _nothing, applies=False)
        for each, description in wanted.items():
            history.change(each, description, _nothing, applies=True)

    def get_pending_migrations(self) -> list[Migration]:
        """Return the migrations that are not applied, in the order they will be."""
        applied = self._applied()
        current = self._is_current()
        return [
            each
            for each in self._migrations
            if not (current if each is self._own else each.version in applied)
        ]

    def migrate_up(self, target_version: str | None = None) -> list[str]:
        """Apply what is pending, up to `target_version`; return the versions applied.

        What is applied stays so if a later one fails. The exception is the migration's own, or a
        BackendError for what the database refused.
        """
        bound = None if target_version is None else _order(target_version)
        done: list[str] = []
        for each in self.get_pending_migrations():
            if bound is not None and _order(each.version) > bound:
                break
            history = self._database()
            if each is self._own:
                history.upgrade_schema()
            elif not history.change(each.version, each.description, _work(each.up), applies=True):
                continue  # another process has applied it meanwhile
            done.append(each.version)
        return done

    def migrate_down(self, target_version: str) -> list[str]:
        """Revert what is applied above `target_version`, the last first; return the versions.

        Raises:
            SchemaError: one cannot be reverted, or is not registered; nothing was. Or the tables
                of this package would be dropped, and hold rows.
        """
        bound, pending = _order(target_version), self.get_pending_migrations()
        doomed = [
            each
            for each in reversed(self._migrations)
            if _order(each.version) > bound and each not in pending
        ]
        known = {each.version for each in self._migrations}
        unknown = [each for each in self._applied() if each not in known and _order(each) > bound]
        stuck = [each.version for each in doomed if each.down is None] + unknown
        if stuck:
            raise SchemaError(
                f"The migrations {', '.join(stuck)} have no down; register one for each, or stay "
                "at the version"
            )
        done: list[str] = []
        for each in doomed:
            if each is self._own:
                self._database().drop_schema()
            elif each.down is not None:
                work = _work(each.down)
                if not self._database().change(each.version, each.description, work, applies=False):
                    continue  # another process has reverted it meanwhile
            done.append(each.version)
        return done

    def get_migration_status(self) -> dict[str, Any]:
        """Return current_version, latest_version, pending_count, pending_versions, all_versions."""
        pending = [each.version for each in self.get_pending_migrations()]
        return {
            "current_version": self.get_current_version(),
            "latest_version": self._migrations[-1].version,
            "pending_count": len(pending),
            "pending_versions": pending,
            "all_versions": [each.version for each in self._migrations],
        }

    def _applied(self) -> dict[str, float]:
        return {} if self._history is None else self._history.applied()

    def _is_current(self) -> bool:
        return self._history is not None and self._history.schema_is_current()

    def _database(self) -> History:
        if self._history is None:
            raise ConfigurationError(
                "Which database? Pass an adapter, a SQL store or a URL to MigrationManager"
            )
        return self._history


def _work(step: Step) -> Callable[[Any], object]:
    return (lambda database: database.execute(step)) if isinstance(step, str) else step


def _nothing(database: Any) -> None:
    del database


def _order(version: str) -> tuple[tuple[int, ...], str, int]:
    """Return what versions are sorted by: 1.0 and 1.0.0 are equal, a pre-release is before.

    Raises:
        ConfigurationError: it is no version.
    """
    found = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if found is None:
        raise ConfigurationError(f"{version!r} is no version; write one as 1.2.0 or 1.2.0rc1")
    release = [int(number) for number in found[1].split(".")]
    while release and release[-1] == 0:
        release.pop()
    return tuple(release), (found[2] or "z").lower(), int(found[3] or 0)
