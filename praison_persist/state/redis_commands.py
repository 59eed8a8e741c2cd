"""State as Redis commands, for every client that can send them: redis-py's and Upstash's.

A key is one Redis hash: "v" holds the value as JSON, "n" its version, "f:…" the fields of the
key's own hash, "r" what conditional writes were answered lately. So one expiry covers all of it,
one slot of a cluster has all of it, and counting is HINCRBY. The server's clock decides what has
expired.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

from praison_persist._flow import Flow, wait
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    InvalidDataError,
    PersistError,
    UnavailableError,
)
from praison_persist.state.base import StateDriver
from praison_persist.state.driver import bad_cursor, done, not_a_counter, out_of_range
from praison_persist.state.keys import Glob

__all__ = ["Commands", "RedisDriver", "check_namespace"]

_VALUE, _VERSION, _FIELD = "v", "n", "f:"
_FOR_EVER = "0"  # as a time to live
_BATCH = 500  # keys a script: some tenths of a millisecond, during which the server waits
_COUNT = 1000  # keys a SCAN looks at


@dataclass(frozen=True, slots=True)
class _Script:
    """A Lua script, which the server runs without anything between."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


# KEYS; returns their values.
_READ = _Script("""\
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('HGET', key, 'v') end
return found
""")
_PUT = """\
local function put(key, version, ttl, text)
  redis.call('HSET', key, 'v', text, 'n', version)
  if ttl == '0' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ttl) end
end
"""
# KEYS; version, milliseconds, a text for each key.
_WRITE = _Script(
    _PUT
    + """\
for i, key in ipairs(KEYS) do put(key, ARGV[1], ARGV[2], ARGV[i + 2]) end
return 1
"""
)
# A write whose answer was lost is repeated with the same version. If it had been done, the answer
# is given again, also when others have written since: else a counter would count twice.
_ANSWERS = """\
local answers = redis.call('HGET', KEYS[1], 'r') or ''
local earlier = string.match(answers, ',' .. ARGV[1] .. '=(-?%d+);')
if earlier then return earlier end
local function answer(text)
  answers = ',' .. ARGV[1] .. '=' .. text .. ';' .. answers
  redis.call('HSET', KEYS[1], 'r', string.sub(answers, 1, 1000))
  return text
end
"""
# One key; version, milliseconds, text, expected version.
_WRITE_IF = _Script(
    _PUT
    + _ANSWERS
    + """\
if (redis.call('HGET', KEYS[1], 'n') or '0') ~= ARGV[4] then return '0' end
put(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return answer('1')
"""
)
# One key; version, amount. The sum is read back as text: Lua's numbers are doubles.
_ADD = _Script(
    _ANSWERS
    + """\
redis.call('HINCRBY', KEYS[1], 'v', ARGV[2])
redis.call('HSET', KEYS[1], 'n', ARGV[1])
return answer(redis.call('HGET', KEYS[1], 'v'))
"""
)


class Commands(ABC):
    """A client, reduced to what state needs of it.

    Attributes:
        failures: what it raises.
    """

    failures: tuple[type[BaseException], ...] = ()

    def ready(self) -> Flow[None]:
        """Wait until commands can be sent."""
        return done(None)

    @abstractmethod
    def run(self, *args: str) -> Any:
        """Send a command; return its reply, or a coroutine of it."""

    @abstractmethod
    def run_many(self, commands: Sequence[Sequence[str]]) -> Any:
        """Send commands in one round trip; return the list of replies, or a coroutine of it.

        A command that failed is an exception, raised or in the list.
        """

    @abstractmethod
    def close(self) -> Any:
        """Close the connections; return None, or a coroutine."""

    @abstractmethod
    def is_transient(self, error: BaseException) -> bool:
        """See StateDriver.is_transient."""

    @abstractmethod
    def is_refused(self, error: BaseException) -> bool:
        """Whether the server does not accept the credentials."""

    def group(self, keys: Sequence[str]) -> Iterator[list[int]]:
        """Yield the positions of keys that one script may be given together."""
        for start in range(0, len(keys), _BATCH):
            yield list(range(start, min(start + _BATCH, len(keys))))

    def scan(
        self, match: str, count: int, cursor: str | None
    ) -> Flow[tuple[list[Any], str | None]]:
        """Look at about `count` keys; return those that match, and the next cursor."""
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise bad_cursor(cursor)
        reply = yield from wait(
            self.run("SCAN", cursor or "0", "MATCH", match, "COUNT", str(count))
        )
        following = _text(reply[0])
        return reply[1], None if following == "0" else following


class RedisDriver(StateDriver):
    """Hooks as Redis commands.

    Args:
        prefix: begins each key in the database, and never appears in the store's own.
    """

    def __init__(
        self,
        commands: Commands,
        prefix: str,
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._commands, self._prefix = commands, prefix
        self.address, self.retry, self.sleep = address, retry, sleep
        self.failures = commands.failures

    def read(self, keys: Sequence[str]) -> Flow[dict[str, str]]:
        """See StateDriver.read."""
        if len(keys) == 1:
            text = yield from self._run("HGET", self._at(keys[0]), _VALUE)
            return {} if text is None else {keys[0]: _text(text)}
        groups = list(self._commands.group([self._at(key) for key in keys]))
        calls: list[tuple[list[str], list[str]]]
        calls = [([self._at(keys[i]) for i in group], []) for group in groups]
        replies = yield from self._call_all(_READ, calls)
        found = [
            (i, text)
            for group, texts in zip(groups, replies, strict=True)
            for i, text in zip(group, texts, strict=True)
        ]
        return {keys[i]: _text(text) for i, text in found if text is not None}

    def read_versioned(self, key: str) -> Flow[tuple[str, int] | None]:
        """See StateDriver.read_versioned."""
        text, version = yield from self._run("HMGET", self._at(key), _VALUE, _VERSION)
        return None if text is None else (_text(text), int(version))

    def write(self, texts: Mapping[str, str], version: int, ttl: float | None) -> Flow[int]:
        """See StateDriver.write."""
        keys, values = [self._at(key) for key in texts], list(texts.values())
        common = [str(version), _milliseconds(ttl)]
        if len(keys) == 1:
            yield from self._call(_WRITE, keys, [*common, *values])
            return version
        calls = [
            ([keys[i] for i in group], [*common, *[values[i] for i in group]])
            for group in self._commands.group(keys)
        ]
        yield from self._call_all(_WRITE, calls)
        return version

    def write_if(
        self, key: str, text: str, version: int, ttl: float | None, expected: int
    ) -> Flow[int | None]:
        """See StateDriver.write_if."""
        args = [str(version), _milliseconds(ttl), text, str(expected)]
        written = yield from self._call(_WRITE_IF, [self._at(key)], args)
        return version if int(written) else None

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete."""
        if len(keys) == 1:
            return int((yield from self._run("UNLINK", self._at(keys[0]))))
        replies = yield from self._run_many([["UNLINK", self._at(key)] for key in keys])
        return sum(map(int, replies))

    def remaining(self, key: str) -> Flow[float | None]:
        """See StateDriver.remaining."""
        left_ms = int((yield from self._run("PTTL", self._at(key))))
        # redis.io/commands/pttl: -2 for no key, -1 for no expiry.
        return {-2: None, -1: inf}.get(left_ms, left_ms / 1000)

    def expire(self, key: str, ttl: float | None) -> Flow[bool]:
        """See StateDriver.expire."""
        name = self._at(key)
        if ttl is not None:
            return bool((yield from self._run("PEXPIRE", name, _milliseconds(ttl))))
        replies = yield from self._run_many([["PERSIST", name], ["EXISTS", name]])
        return bool(replies[1])

    def page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[Sequence[str], str | None]]:
        """See StateDriver.page. The cursor is the server's."""
        match = "*".join(map(_escaped, (self._prefix + glob.prefix, *glob.literals[1:])))
        found, following = yield from self._commands.scan(match, limit or _COUNT, cursor)
        begin = len(self._prefix)
        return [_text(key)[begin:] for key in found], following

    def read_fields(self, key: str, fields: Sequence[str] | None) -> Flow[dict[str, str]]:
        """See StateDriver.read_fields."""
        name = self._at(key)
        if fields is None:
            pairs = _pairs((yield from self._run("HGETALL", name)))
            begin = len(_FIELD)
            return {at[begin:]: text for at, text in pairs.items() if at.startswith(_FIELD)}
        texts = yield from self._run("HMGET", name, *[_FIELD + each for each in fields])
        found = zip(fields, texts, strict=True)
        return {each: _text(text) for each, text in found if text is not None}

    def write_fields(self, key: str, texts: Mapping[str, str]) -> Flow[None]:
        """See StateDriver.write_fields."""
        pairs = [part for each, text in texts.items() for part in (_FIELD + each, text)]
        yield from self._run("HSET", self._at(key), *pairs)

    def delete_fields(self, key: str, fields: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete_fields."""
        names = [_FIELD + each for each in fields]
        return int((yield from self._run("HDEL", self._at(key), *names)))

    def add(self, key: str, amount: int, version: int) -> Flow[int]:
        """See StateDriver.add."""
        try:
            total = yield from self._call(_ADD, [self._at(key)], [str(version), str(amount)])
        except self.failures as error:
            # HINCRBY's own words, which are all that tells its errors apart.
            if "not an integer" in str(error):
                raise not_a_counter(key) from error
            if "overflow" in str(error):
                raise out_of_range(key) from error
            raise
        return int(total)

    def close(self) -> Flow[None]:
        """See StateDriver.close."""
        return wait(self._commands.close())

    def is_transient(self, error: BaseException) -> bool:
        """See StateDriver.is_transient."""
        return self._commands.is_transient(error)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See StateDriver.translate."""
        text = self.describe(error)
        if self._commands.is_refused(error):
            return UnavailableError(f"{self.address} refused: {text}. Check user and password")
        if "WRONGTYPE" in text:
            return BackendError(
                f"{self.address}: cannot {action}: the key holds data of another program "
                f"({text}); use another prefix than {self._prefix!r}, or delete that key"
            )
        return super().translate(error, action)

    def _at(self, key: str) -> str:
        return self._prefix + key

    def _run(self, *args: str) -> Flow[Any]:
        yield from self._commands.ready()
        return (yield from wait(self._commands.run(*args)))

    def _run_many(self, commands: Sequence[Sequence[str]]) -> Flow[list[Any]]:
        yield from self._commands.ready()
        replies: list[Any] = yield from wait(self._commands.run_many(commands))
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return replies

    def _call(self, script: _Script, keys: list[str], args: list[str]) -> Flow[Any]:
        rest = [str(len(keys)), *keys, *args]
        try:
            return (yield from self._run("EVALSHA", script.sha, *rest))
        except self.failures as error:
            if not _is_unknown_script(error):
                raise
        # A server that was started again, or another one of them; this makes it known there.
        return (yield from self._run("EVAL", script.text, *rest))

    def _call_all(
        self, script: _Script, calls: list[tuple[list[str], list[str]]]
    ) -> Flow[list[Any]]:
        """Call a script for groups of keys, in one round trip. It may be called twice."""
        if len(calls) == 1:
            return [(yield from self._call(script, *calls[0]))]
        rests = [[str(len(keys)), *keys, *args] for keys, args in calls]
        try:
            return (yield from self._run_many([["EVALSHA", script.sha, *rest] for rest in rests]))
        except self.failures as error:
            if not _is_unknown_script(error):
                raise
        return (yield from self._run_many([["EVAL", script.text, *rest] for rest in rests]))


def _is_unknown_script(error: BaseException) -> bool:
    # redis-py has a class for it, whose text lacks the first word.
    return type(error).__name__ == "NoScriptError" or str(error).startswith("NOSCRIPT")


def _text(reply: str | bytes) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def _pairs(reply: Any) -> dict[str, str]:
    """Return the reply to HGETALL as a dict; RESP2 has a flat list of it."""
    items = reply.items() if isinstance(reply, Mapping) else zip(*[iter(reply)] * 2, strict=True)
    return {_text(name): _text(text) for name, text in items}


def _milliseconds(ttl: float | None) -> str:
    return _FOR_EVER if ttl is None else str(max(1, ceil(ttl * 1000)))


def _escaped(text: str) -> str:
    """Take the meaning from the characters of Redis' globs."""
    return "".join(f"\\{each}" if each in "\\*?[]^" else each for each in text)


def check_namespace(prefix: object) -> str:
    """Return a store's prefix if it can be one.

    Raises:
        ConfigurationError: empty, so that keys of other programs would be taken for the store's.
    """
    if not isinstance(prefix, str) or not prefix:
        raise ConfigurationError(
            f"prefix={prefix!r} would mix the store's keys with those of other programs; "
            "write a text such as 'praison:'"
        )
    try:
        prefix.encode()
    except UnicodeEncodeError as error:
        raise InvalidDataError(f"prefix={prefix!r} contains a lone surrogate") from error
    return prefix
