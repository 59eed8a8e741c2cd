"""A state store that is obviously right: the real ones are compared with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

from praison_persist.errors import ConflictError
from praison_persist.protocols import StateCapability, StateStore, Versioned

__all__ = ["ReferenceStateStore"]


@dataclass
class _Key:
    value: tuple[str, int] | None = None
    fields: dict[str, str] = field(default_factory=dict)
    expires_at: float = inf


class ReferenceStateStore(StateStore):
    """Python dicts, one call at a time, no checks of its arguments."""

    capabilities = frozenset(StateCapability)

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._all: dict[str, _Key] = {}
        self._written = 0

    @property
    def _keys(self) -> dict[str, _Key]:
        now = self._clock()
        self._all = {key: each for key, each in self._all.items() if now < each.expires_at}
        return self._all

    def get(self, key: str, default: Any = None) -> Any:
        """See `StateStore.get`."""
        found = self.get_versioned(key)
        return default if found is None else found.value

    def get_versioned(self, key: str) -> Versioned | None:
        """See `StateStore.get_versioned`."""
        value = self._keys.get(key, _Key()).value
        return None if value is None else Versioned(json.loads(value[0]), value[1])

    def set(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        expected_version: int | None = None,
    ) -> int:
        """See `StateStore.set`."""
        found = self.get_versioned(key)
        if expected_version not in (None, found.version if found else 0):
            raise ConflictError(key)
        self._put(key, value).expires_at = inf if ttl is None else self._clock() + ttl
        return self._written

    def _put(self, key: str, value: Any) -> _Key:
        self._written += 1
        entry = self._keys.setdefault(key, _Key())
        entry.value = (json.dumps(value), self._written)
        return entry

    def set_if_absent(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """See `StateStore.set_if_absent`."""
        absent = self.get_versioned(key) is None
        if absent:
            self.set(key, value, ttl)
        return absent

    def incr(self, key: str, amount: int = 1) -> int:
        """See `StateStore.incr`."""
        found = self.get(key, 0)
        if type(found) is not int or not -(2**63) <= found < 2**63:
            raise ConflictError(key)
        self._put(key, found + amount)
        return int(found + amount)

    def delete(self, key: str) -> bool:
        """See `StateStore.delete`."""
        return self._keys.pop(key, None) is not None

    def exists(self, key: str) -> bool:
        """See `StateStore.exists`."""
        return key in self._keys

    def keys(self, pattern: str = "*") -> list[str]:
        """See `StateStore.keys`; knows no pattern but the one of all keys."""
        assert pattern == "*"
        return sorted(self._keys)

    def ttl(self, key: str) -> int | None:
        """See `StateStore.ttl`."""
        expires_at = self._keys.get(key, _Key()).expires_at
        return None if expires_at == inf else ceil(expires_at - self._clock())

    def expire(self, key: str, ttl: float | None) -> bool:
        """See `StateStore.expire`."""
        if key in self._keys:
            self._keys[key].expires_at = inf if ttl is None else self._clock() + ttl
        return key in self._keys

    def hget(self, key: str, field: str, default: Any = None) -> Any:
        """See `StateStore.hget`."""
        return self.hgetall(key).get(field, default)

    def hset(self, key: str, field: str, value: Any) -> None:
        """See `StateStore.hset`."""
        self._keys.setdefault(key, _Key()).fields[field] = json.dumps(value)

    def hgetall(self, key: str) -> dict[str, Any]:
        """See `StateStore.hgetall`."""
        fields = self._keys.get(key, _Key()).fields
        return {name: json.loads(text) for name, text in fields.items()}

    def hdel(self, key: str, *fields: str) -> int:
        """See `StateStore.hdel`."""
        entry = self._keys.get(key, _Key())
        deleted = sum(entry.fields.pop(name, None) is not None for name in fields)
        if entry.value is None and not entry.fields:
            self._keys.pop(key, None)
        return deleted

    def close(self) -> None:
        """See `StateStore.close`."""
