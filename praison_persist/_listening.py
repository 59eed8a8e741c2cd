"""An agent that knows nothing of adapters: a turn is what it is asked and what it answers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from praison_persist._orchestrator.flows import openai_message
from praison_persist.adapter import PraisonAIDB
from praison_persist.lifecycle import prompt_text
from praison_persist.outbox import RETRIED
from praison_persist.recorder import Turn

__all__ = ["Listener", "ended_as", "report"]

_log = logging.getLogger(__name__)


class Listener:
    """Any object that answers prompts: a turn is what it is asked and what it answers."""

    def __init__(
        self, agent: Any, db: PraisonAIDB, session_id: str, user_id: str | None, *, resume: bool
    ) -> None:
        self._agent, self._db, self._session_id, self._user_id = agent, db, session_id, user_id
        self._resume = resume
        self._begun = False
        self._beginning = threading.Lock()
        # A method of the agent may call another one, which is the same turn.
        self._inside: ContextVar[bool] = ContextVar("praison_persist_inside", default=False)

    def call(self, method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        if self._inside.get():
            return method(*args, **arguments)
        prompt = _prompt(args, arguments)
        if getattr(method, "__name__", "") == "iter_stream":
            return self._stream(lambda: method(*args, **arguments), prompt)
        self._begin()
        run_id = f"run-{uuid.uuid4().hex[:12]}"
        try:
            report(self._db.on_run_start, self._session_id, run_id, prompt)
            report(self._db.on_user_message, self._session_id, prompt)
            with self._within():
                answer = method(*args, **arguments)
        except BaseException as error:
            self._end(run_id, None, ended_as(error))
            raise
        if inspect.isawaitable(answer):
            return self._awaited(answer, run_id)
        if inspect.isgenerator(answer):
            return self._collected(answer, run_id)
        self._end(run_id, answer, _answered(answer))
        return answer

    def _collected(self, pieces: Any, run_id: str) -> Iterator[Any]:
        """End the turn of a method that turned out to be a generator function."""
        said: list[str] = []
        try:
            for piece in self._within_each(pieces):
                said.append(str(piece))
                yield piece
        except BaseException as error:
            pieces.close()
            self._end(run_id, "".join(said) or None, ended_as(error))
            raise
        self._end(run_id, "".join(said) or None, "completed" if said else "error")

    async def _awaited(self, answer: Awaitable[Any], run_id: str) -> Any:
        """End the turn of a method that turned out to be a coroutine function."""
        try:
            with self._within():
                found = await answer
        except BaseException as error:
            await self._aend(run_id, None, ended_as(error))
            raise
        await self._aend(run_id, found, _answered(found))
        return found

    async def acall(self, method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        if self._inside.get():
            return await method(*args, **arguments)
        prompt = _prompt(args, arguments)
        await asyncio.to_thread(self._begin)
        run_id = f"run-{uuid.uuid4().hex[:12]}"
        return await self._awaited(self._asked(method, args, arguments, run_id, prompt), run_id)

    async def _asked(
        self,
        method: Callable[..., Any],
        args: tuple[Any, ...],
        arguments: dict[str, Any],
        run_id: str,
        prompt: str,
    ) -> Any:
        await areport(self._db.aon_run_start, self._session_id, run_id, prompt)
        await areport(self._db.aon_user_message, self._session_id, prompt)
        return await method(*args, **arguments)

    def _begin(self) -> None:
        """Begin or resume the session, once; again if it could not be read."""
        with self._beginning:
            if self._begun:
                return
            name = getattr(self._agent, "name", None)
            try:
                history = self._db.on_agent_start(
                    agent_name=None if name is None else str(name),
                    session_id=self._session_id,
                    user_id=self._user_id,
                    metadata={
                        "role": _text(self._agent, "role"),
                        "goal": _text(self._agent, "goal"),
                        "agent_type": type(self._agent).__name__,
                    },
                )
            except RETRIED as error:
                _log.warning("Session %s cannot be resumed now: %s", self._session_id, error)
                return
            if self._resume and history:
                self._agent.chat_history = [openai_message(message) for message in history]
            self._begun = True

    def _end(self, run_id: str, answer: Any, status: str) -> None:
        text = None if answer is None else str(answer)
        report(self._db.on_run_end, self._session_id, run_id, text, status)

    async def _aend(self, run_id: str, answer: Any, status: str) -> None:
        text = None if answer is None else str(answer)
        await areport(self._db.aon_run_end, self._session_id, run_id, text, status)

    def _stream(self, begin: Callable[[], Any], prompt: str) -> Iterator[Any]:
        """Return the answer in the pieces that the agent gives it in; begun with the first."""
        said: list[str] = []
        self._begin()
        report(self._db.on_user_message, self._session_id, prompt)
        turn = self._db.stream_turn(self._session_id)
        pieces: Any = ()
        try:
            with self._within():
                pieces = begin()
            for piece in self._within_each(pieces):
                said.append(str(piece))
                yield piece
        except BaseException as error:
            if inspect.isgenerator(pieces):
                pieces.close()
            self._abandon(turn, said, ended_as(error))
            raise
        if said:
            report(self._db.on_agent_message, self._session_id, "".join(said))
        else:
            self._abandon(turn, said, "error")

    def _abandon(self, turn: Turn | None, said: list[str], status: str) -> None:
        if turn is not None:
            report(self._db.abandon_stream, turn, "".join(said), status)

    def _within_each(self, pieces: Any) -> Iterator[Any]:
        """Yield the pieces; while the agent makes one, what it calls is the same turn."""
        steps = iter(pieces)
        while True:
            with self._within():
                piece = next(steps, _END)
            if piece is _END:
                return
            yield piece

    @contextmanager
    def _within(self) -> Iterator[None]:
        token = self._inside.set(True)
        try:
            yield
        finally:
            self._inside.reset(token)


_END = object()


def _prompt(args: tuple[Any, ...], arguments: dict[str, Any]) -> str:
    prompt = args[0] if args else arguments.get("prompt", "")
    return prompt if isinstance(prompt, str) else prompt_text(str(prompt))


def _text(agent: Any, name: str) -> str | None:
    found = getattr(agent, name, None)
    return found if isinstance(found, str) else None


def _answered(answer: Any) -> str:
    return "error" if answer is None else "completed"


def ended_as(error: BaseException) -> str:
    """Return the status of a turn that an exception ended."""
    return "error" if isinstance(error, Exception) else "cancelled"


def report(hook: Callable[..., None], *args: Any) -> None:
    """Call a hook. While the database is away the adapter keeps what was said; agents answer."""
    try:
        hook(*args)
    except RETRIED as error:
        _log.warning("A turn is kept for later: %s", error)


async def areport(hook: Callable[..., Awaitable[None]], *args: Any) -> None:
    try:
        await hook(*args)
    except RETRIED as error:
        _log.warning("A turn is kept for later: %s", error)
