"""The process of one contender: takes commands, a line of JSON each, and answers likewise."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contenders.base import Contender, Place
from benchmarks.crowd import Agent, run_tasks, run_threads
from benchmarks.messages import number_of, text_of
from benchmarks.tally import Tally
from benchmarks.timing import repeated, repeated_async, slice_of

__all__ = ["Bench"]

_TURN = 4  # messages of a turn
_NEWEST = 50
_FILL = 1000


@dataclass(slots=True)
class _Session:
    """A session, and the numbers of the messages that it acknowledged."""

    handle: Any
    acknowledged: list[int] = field(default_factory=list)
    begun: int = 0

    def texts(self, count: int) -> list[str]:
        """Return the next messages."""
        self.begun += count
        return [text_of(number) for number in range(self.begun - count, self.begun)]


class Bench:
    """Measures a contender and keeps count of what it acknowledged. Each method is a command.

    Args:
        contender: not yet opened.
    """

    def __init__(self, contender: Any) -> None:
        self.contender = contender
        self._loop = asyncio.new_event_loop()
        self._sessions: dict[str, _Session] = {}
        self._current: _Session | None = None
        self._names = itertools.count()
        self._sought: tuple[str, int] | None = None
        self._errors = Tally()

    def finish(self, value: Any) -> Any:
        """Return the value, or what it is awaited for."""
        return self._loop.run_until_complete(value) if inspect.isawaitable(value) else value

    def open(self) -> None:
        """Open the contender."""
        asyncio.set_event_loop(self._loop)
        self.finish(self.contender.open())

    def begin(self, name: str | None = None) -> _Session:
        """Begin a session and return it."""
        name = name or f"session-{next(self._names)}"
        self._sessions[name] = new = _Session(self.finish(self.contender.session(name)))
        return new

    def append(self, seconds: float, most: int | None = None) -> dict[str, Any]:
        """Append one message after the other."""
        capacity = self.contender.capacity
        if self._current is None or capacity:
            self._current = self.begin()
        session = self._current
        most = min(most or capacity, capacity) if capacity else most

        def done(number: int) -> None:
            session.acknowledged.append(number)
            session.begun = number + 1

        append, handle = self.contender.append, session.handle
        if inspect.iscoroutinefunction(append):

            async def one_async() -> None:
                number = session.begun
                await append(handle, text_of(number))
                done(number)

            return self._timed(one_async, seconds, most=most)

        def one() -> None:
            number = session.begun
            append(handle, text_of(number))
            done(number)

        return self._timed(one, seconds, most=most)

    def batch(self, size: int, seconds: float) -> dict[str, Any]:
        """Append so many messages at a time; the rate is of messages."""
        session = self.begin()
        return self._storing(self.contender.append_many, session, size, seconds, each=size)

    def turn(self, seconds: float, history: int = 200) -> dict[str, Any]:
        """Do turns of a session that has this many messages at first; the rate is of turns."""
        session = self._filled(f"turns-{next(self._names)}", history)
        return self._storing(self.contender.turn, session, _TURN, seconds)

    def _storing(
        self,
        method: Callable[[Any, list[str]], Any],
        session: _Session,
        size: int,
        seconds: float,
        each: int = 1,
    ) -> dict[str, Any]:
        def done() -> None:
            session.acknowledged += range(session.begun - size, session.begun)

        if inspect.iscoroutinefunction(method):

            async def store_async() -> None:
                await method(session.handle, session.texts(size))
                done()

            return self._timed(store_async, seconds, each)

        def store() -> None:
            method(session.handle, session.texts(size))
            done()

        return self._timed(store, seconds, each)

    def fill(self, name: str, count: int) -> None:
        """Make a session of this many messages, unless there is one of this name."""
        self._filled(name, count)

    def _filled(self, name: str, count: int) -> _Session:
        if name in self._sessions:
            return self._sessions[name]
        session = self.begin(name)
        while session.begun < count:
            texts = session.texts(min(_FILL, count - session.begun))
            self.finish(self.contender.fill(session.handle, texts))
        session.acknowledged = [*range(count)]
        return session

    def newest(self, name: str, seconds: float) -> dict[str, Any]:
        """Read the newest 50 of a session, and check that they are."""
        session = self._sessions[name]
        found = self.finish(self.contender.newest(session.handle, _NEWEST))
        expected = session.acknowledged[-_NEWEST:]
        if [number_of(text) for text in found] != expected:
            raise AssertionError(f"not the newest {_NEWEST}: {[text[:8] for text in found][:3]} …")
        return self.time("newest", seconds, session.handle, _NEWEST)

    def page(self, name: str, position: int, seconds: float) -> dict[str, Any]:
        """Read the page of 50 after this many messages, and check that it is."""
        session = self._sessions[name]
        if self._sought != (name, position):
            self.finish(self.contender.seek(session.handle, position))
            self._sought = name, position
        found = self.finish(self.contender.page(session.handle, _NEWEST))
        expected = session.acknowledged[position : position + _NEWEST]
        if [number_of(text) for text in found] != expected:
            raise AssertionError(f"not the page: {[text[:8] for text in found][:3]} …")
        return self.time("page", seconds, session.handle, _NEWEST)

    def crowd(self, agents: int, seconds: float) -> dict[str, Any]:
        """Let agents append at once; the rate is of acknowledged appends.

        A contender that is a program has agents of its own, whose messages are not read back.
        """
        if hasattr(self.contender, "own_crowd"):
            return dict(self.contender.own_crowd(agents, seconds))
        sessions = [self.begin() for _ in range(agents)]
        append = self.contender.append
        crew = [Agent(append, session.handle) for session in sessions]
        self.finish(self.contender.gather(agents))
        cpu = time.process_time()
        if inspect.iscoroutinefunction(append):
            elapsed = self.finish(run_tasks(crew, seconds))
        else:
            elapsed = run_threads(crew, seconds)
        cpu = time.process_time() - cpu
        self.finish(self.contender.part())
        for agent, session in zip(crew, sessions, strict=True):
            session.acknowledged = agent.acknowledged
            self._errors.raised(agent.errors)
        took = [each for agent in crew for each in agent.seconds]
        return slice_of(took, elapsed, cpu).to_dict()

    def verify(self) -> dict[str, Any]:
        """Read all sessions back, and forget them. Return the tally."""
        total, self._errors = self._errors, Tally()
        for session in self._sessions.values():
            stored = [number_of(text) for text in self.finish(self.contender.read(session.handle))]
            total.add(Tally.of(session.acknowledged, stored))
        self._sessions, self._current = {}, None
        return total.to_dict()

    def time(self, method: str, seconds: float, *arguments: Any, each: int = 1) -> dict[str, Any]:
        """Time a method of the contender; a call of it is of `each` operations."""
        function = getattr(self.contender, method)
        if inspect.iscoroutinefunction(function):
            return self._timed(lambda: function(*arguments), seconds, each, is_async=True)
        return self._timed(lambda: function(*arguments), seconds, each)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the contender; what it returns must be plain."""
        return self.finish(getattr(self.contender, method)(*arguments))

    def close(self) -> None:
        """Close the contender."""
        try:
            self.finish(self.contender.close())
        finally:
            self._loop.close()

    def _timed(
        self,
        call: Callable[[], Any],
        seconds: float,
        each: int = 1,
        *,
        most: int | None = None,
        is_async: bool = False,
    ) -> dict[str, Any]:
        if is_async or inspect.iscoroutinefunction(call):
            timed = self._loop.run_until_complete(repeated_async(call, seconds, each, most))
        else:
            timed = repeated(call, seconds, each, most)
        return timed.to_dict()


def main() -> None:
    """Serve the commands on standard input; vendors may print, so answers have their own file."""
    # Some keep a connection for each session and thread.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    target, engine, url, options = sys.argv[1:]
    module, _, name = target.partition(":")
    bench: Bench | None = None
    for line in sys.stdin:
        command, arguments, named = json.loads(line)
        try:
            if bench is None:
                made: type[Contender] = getattr(importlib.import_module(module), name)
                bench = Bench(made(Place(engine, url), **json.loads(options)))
            answer = {"value": getattr(bench, command)(*arguments, **named)}
        except Exception:  # noqa: BLE001 - told to whoever gave the command
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
    answers.flush()
    os._exit(0)  # threads of vendors may run on


if __name__ == "__main__":
    main()
