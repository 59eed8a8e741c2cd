"""The contract of state stores, once for both colours: checks, codec, retries, translation."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf, isfinite
from typing import Any, TypeVar

from praison_persist._flow import Flow
from praison_persist._json import check_json, dumps, loads
from praison_persist._vendor import Calls
from praison_persist.errors import ConflictError, InvalidDataError, UnsupportedError
from praison_persist.protocols import KeyPage, StateCapability, Versioned
from praison_persist.state.driver import StateDriver, out_of_range
from praison_persist.state.keys import Glob, check_field, check_key, check_prefix

__all__ = ["StateFlows"]

R = TypeVar("R")

_TTL_MAX_S = 1e10  # 317 years: every vendor's clock reaches there
_VERSION_BITS = 53  # exact also where numbers are doubles
_INTEGER_BOUND = 2**63
_PAGE = 1000  # keys


class StateFlows(Calls):
    """The methods of a state store as flows over a driver of either colour."""

    def __init__(self, driver: StateDriver, name: str) -> None:
        super().__init__(driver)
        self._driver, self._name = driver, name

    def get(self, key: str, default: Any) -> Flow[Any]:
        """See StateStore.get."""
        check_key(key)
        found = yield from self.call("read", lambda: self._driver.read([key]))
        return loads(found[key]) if key in found else default

    def get_many(self, keys: Sequence[str]) -> Flow[dict[str, Any]]:
        """See StateStore.get_many."""
        wanted = _names(keys, "keys", check_key)
        if not wanted:
            return {}
        found = yield from self.call("read", lambda: self._driver.read(wanted))
        return {key: loads(found[key]) for key in wanted if key in found}

    def get_versioned(self, key: str) -> Flow[Versioned | None]:
        """See StateStore.get_versioned."""
        self._need(StateCapability.VERSIONS)
        check_key(key)
        found = yield from self.call("read", lambda: self._driver.read_versioned(key))
        return None if found is None else Versioned(loads(found[0]), found[1])

    def set(
        self, key: str, value: Any, ttl: float | None, expected_version: int | None
    ) -> Flow[int]:
        """See StateStore.set."""
        if expected_version is None:
            return (yield from self.set_many({key: value}, ttl))
        self._need(StateCapability.VERSIONS)
        _check_integer(expected_version, "expected_version", 0)
        version = yield from self._write_if(key, value, ttl, expected_version)
        if version is None:
            raise ConflictError(
                f"{key!r} is not of version {expected_version}: it was written or deleted since; "
                "read it with get_versioned and decide again"
            )
        return version

    def set_many(self, values: Mapping[str, Any], ttl: float | None) -> Flow[int]:
        """See StateStore.set_many; returns the version."""
        if not isinstance(values, Mapping):
            raise InvalidDataError(f"values are key -> value, not {type(values).__name__}")
        texts = {check_key(key): _encode(value, key) for key, value in values.items()}
        _check_ttl(ttl)
        if not texts:
            return 0
        version = _new_version()
        return (yield from self.call("write", lambda: self._driver.write(texts, version, ttl)))

    def set_if_absent(self, key: str, value: Any, ttl: float | None) -> Flow[bool]:
        """See StateStore.set_if_absent."""
        self._need(StateCapability.SET_IF_ABSENT)
        return (yield from self._write_if(key, value, ttl, 0)) is not None

    def _write_if(self, key: str, value: Any, ttl: float | None, expected: int) -> Flow[int | None]:
        text, version = _encode(value, check_key(key)), _new_version()
        _check_ttl(ttl)
        return (
            yield from self.call(
                "write", lambda: self._driver.write_if(key, text, version, ttl, expected)
            )
        )

    def delete(self, key: str) -> Flow[bool]:
        """See StateStore.delete."""
        check_key(key)
        return bool((yield from self.call("delete", lambda: self._driver.delete([key]))))

    def exists(self, key: str) -> Flow[bool]:
        """See StateStore.exists."""
        check_key(key)
        return (yield from self.call("read", lambda: self._driver.remaining(key))) is not None

    def ttl(self, key: str) -> Flow[int | None]:
        """See StateStore.ttl."""
        check_key(key)
        left = yield from self.call("read", lambda: self._driver.remaining(key))
        return None if left is None or left == inf else max(1, ceil(left))

    def expire(self, key: str, ttl: float | None) -> Flow[bool]:
        """See StateStore.expire."""
        check_key(key)
        _check_ttl(ttl)
        return (yield from self.call("write", lambda: self._driver.expire(key, ttl)))

    def keys(self, pattern: str) -> Flow[list[str]]:
        """See StateStore.keys."""
        glob = Glob.parse(pattern)
        found: set[str] = set()
        cursor = None
        while True:
            page, cursor = yield from self._page(glob, None, cursor)
            found.update(page)
            if cursor is None:
                return sorted(found)

    def page_keys(self, prefix: str, limit: int, cursor: str | None) -> Flow[KeyPage]:
        """See StateStore.page_keys."""
        glob = Glob.of_prefix(check_prefix(prefix))
        _check_integer(limit, "limit", 1)
        while True:
            page, cursor = yield from self._page(glob, limit, cursor)
            if page or cursor is None:
                return KeyPage(page, cursor)

    def _page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[list[str], str | None]]:
        keys, following = yield from self.call(
            "list keys", lambda: self._driver.page(glob, limit, cursor)
        )
        return [key for key in keys if glob.matches(key)], following

    def clear(self, prefix: str, *, confirm: bool) -> Flow[int]:
        """See StateStore.clear."""
        if not check_prefix(prefix) and not confirm:
            raise InvalidDataError(
                "clear('') would delete every key of the store; pass confirm=True if that is meant"
            )
        at_once = yield from self.call("delete", lambda: self._driver.clear(prefix))
        if at_once is not None:
            return at_once
        glob, deleted, cursor = Glob.of_prefix(prefix), 0, None
        while True:
            page, cursor = yield from self._page(glob, _PAGE, cursor)
            deleted += yield from self._delete_all(list(dict.fromkeys(page)))
            if cursor is None:
                return deleted

    def _delete_all(self, keys: list[str]) -> Flow[int]:
        if not keys:
            return 0
        return (yield from self.call("delete", lambda: self._driver.delete(keys)))

    def hget(self, key: str, field: str, default: Any) -> Flow[Any]:
        """See StateStore.hget."""
        check_key(key)
        check_field(field)
        found = yield from self.call("read", lambda: self._driver.read_fields(key, [field]))
        return loads(found[field]) if field in found else default

    def hset(self, key: str, field: str, value: Any) -> Flow[None]:
        """See StateStore.hset."""
        check_key(key)
        texts = {check_field(field): _encode(value, key, field)}
        yield from self.call("write", lambda: self._driver.write_fields(key, texts))

    def hgetall(self, key: str) -> Flow[dict[str, Any]]:
        """See StateStore.hgetall."""
        check_key(key)
        found = yield from self.call("read", lambda: self._driver.read_fields(key, None))
        return {field: loads(found[field]) for field in sorted(found)}

    def hdel(self, key: str, fields: Sequence[str]) -> Flow[int]:
        """See StateStore.hdel."""
        check_key(key)
        names = _names(fields, "fields", check_field)
        if not names:
            return 0
        return (yield from self.call("delete", lambda: self._driver.delete_fields(key, names)))

    def incr(self, key: str, amount: int) -> Flow[int]:
        """See StateStore.incr."""
        self._need(StateCapability.COUNTERS)
        check_key(key)
        _check_integer(amount, "amount", None)
        if not -_INTEGER_BOUND <= amount < _INTEGER_BOUND:
            raise out_of_range(key)
        version = _new_version()
        return (yield from self.call("write", lambda: self._driver.add(key, amount, version)))

    def _need(self, capability: StateCapability) -> None:
        if capability not in self._driver.capabilities:
            raise UnsupportedError(
                f"{self._name} does not support {capability.name} ({capability.value})"
            )


def _new_version() -> int:
    # Random, and not counted: a key that was deleted and made again does not repeat its versions.
    return secrets.randbits(_VERSION_BITS) or 1


def _encode(value: Any, key: str, field: str | None = None) -> str:
    check_json(value, f"state[{key!r}]" if field is None else f"state[{key!r}][{field!r}]")
    return dumps(value)


def _names(values: Sequence[str], name: str, check: Callable[[object], str]) -> list[str]:
    if isinstance(values, str):
        raise InvalidDataError(f"{name} are a list of strings, not the string {values!r}")
    return list(dict.fromkeys(check(value) for value in values))


def _check_ttl(ttl: object) -> None:
    if ttl is None:
        return
    number = isinstance(ttl, int | float) and not isinstance(ttl, bool)
    if not number or not isfinite(ttl) or not 0 < ttl <= _TTL_MAX_S:  # type: ignore[arg-type,operator]  # a number
        raise InvalidDataError(
            f"ttl must be seconds above 0 and up to {_TTL_MAX_S:.0f}, or None for ever, "
            f"not {ttl!r}; to end a key now, delete it"
        )


def _check_integer(value: object, name: str, least: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidDataError(f"{name} must be a whole number, not {value!r}")
    if least is not None and not least <= value < _INTEGER_BOUND:
        raise InvalidDataError(f"{name} must be from {least} to 2**63 - 1, not {value!r}")
