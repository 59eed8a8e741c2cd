"""The same calls, chosen at random, on two session services of ADK: the answers are the same."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.events.event import Event
from google.adk.sessions.base_session_service import (
    BaseSessionService,
    GetSessionConfig,
    ListSessionsResponse,
)
from google.adk.sessions.session import Session

__all__ = ["Comparison"]

_NAMES = ["a", "b", "app:a", "user:a", "temp:a", "app:b", "user:b"]
_EVENTS_FROM = 2_000_000_000  # seconds; what is earlier is the time of a creation


class Comparison:
    """Two services, in an app of their own.

    Args:
        new_event: makes an event that is later than all before, of a text, an author and state.

    Attributes:
        appended, refused: how many appends went well, and how many did not.
    """

    def __init__(
        self,
        services: Sequence[BaseSessionService],
        choose: random.Random,
        new_event: Callable[..., Event],
    ) -> None:
        self._services, self._choose, self._new_event = services, choose, new_event
        self._app = uuid4().hex
        self._held: list[list[Session]] = []  # each as both services gave it
        self._newest = float(_EVENTS_FROM)
        self.appended = self.refused = 0

    async def step(self) -> None:
        """Make one call on both."""
        calls = [self._create, self._get, self._append, self._list, self._user, self._delete]
        await self._choose.choices(calls, [4, 6, 12, 2, 1, 1])[0]()

    async def _both(self, call: Callable[[BaseSessionService], Awaitable[Any]]) -> list[Any]:
        answers = [await _answer(call(service)) for service in self._services]
        assert _shown(answers[0]) == _shown(answers[1])
        return answers

    def _state(self) -> dict[str, int]:
        names = self._choose.sample(_NAMES, self._choose.randrange(4))
        return {name: self._choose.randrange(9) for name in names}

    def _where(self) -> dict[str, Any]:
        choose = self._choose.choice
        return {"app_name": self._app, "user_id": choose("uv"), "session_id": choose("sx")}

    async def _create(self) -> None:
        where, state = self._where(), self._state()
        await self._both(lambda service: service.create_session(**where, state=state))

    async def _get(self) -> None:
        where = self._where()
        config = GetSessionConfig(
            num_recent_events=self._choose.choice([None, None, 0, 1, 3, 50]),
            after_timestamp=self._choose.choice([None, None, self._newest - 3, self._newest]),
        )
        got = await self._both(lambda service: service.get_session(**where, config=config))
        if isinstance(got[0], Session):
            self._held.append(got)

    async def _append(self) -> None:
        if not self._held:
            return
        # Mostly to what was read last; what was read before may be superseded.
        back = min(int(self._choose.expovariate(0.4)), len(self._held) - 1)
        sessions = self._held[-1 - back]
        if self._choose.random() < 0.1:  # as it comes over a wire: without a marker
            sessions[:] = [Session.model_validate(each.model_dump()) for each in sessions]
        author = self._choose.choice(["user", "forecaster"])
        event = self._new_event(uuid4().hex, author, **self._state())
        self._newest = event.timestamp
        of = dict(zip(map(id, self._services), sessions, strict=True))
        answers = await self._both(
            lambda service: service.append_event(of[id(service)], event.model_copy(deep=True))
        )
        assert _shown(sessions[0]) == _shown(sessions[1])
        if isinstance(answers[0], Event):
            self.appended += 1
        else:
            self.refused += 1

    async def _list(self) -> None:
        user = self._choose.choice(["u", "v", None])
        await self._both(lambda service: service.list_sessions(app_name=self._app, user_id=user))

    async def _user(self) -> None:
        await self._both(lambda service: service.get_user_state(app_name=self._app, user_id="u"))

    async def _delete(self) -> None:
        where = self._where()
        await self._both(lambda service: service.delete_session(**where))


async def _answer(call: Awaitable[Any]) -> Any:
    """Return what a call returns, or the type of what it raises."""
    try:
        return await call
    except (ValueError, AlreadyExistsError) as error:
        return type(error)


def _shown(value: Any) -> Any:
    """Return an answer without what is each service's own."""
    if isinstance(value, ListSessionsResponse):
        return [_shown(session) for session in value.sessions]
    if isinstance(value, Event):
        return value.model_dump(mode="json")
    if not isinstance(value, Session):
        return value
    own = {"last_update_time"} if value.last_update_time < _EVENTS_FROM else set()
    return value.model_dump(mode="json", exclude=own)
