"""A process that appends to a session: `python -m tests.integrations.adk_process`.

Arguments: app, user, name, then for each database its URL and that of its state, or "".
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from google.adk.errors import StaleSessionError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.genai import types

from praison_persist.integrations.google_adk import PersistSessionService
from tests.integrations.side_by_side import say, start_together

APPENDS = 8


async def append(service: PersistSessionService, app: str, user: str, name: str) -> int:
    """Append events, each as often as it takes; return how often a session was stale."""
    stale = number = 0
    while number < APPENDS:
        session = await service.get_session(app_name=app, user_id=user, session_id="s")
        assert session is not None
        delta = {
            "count": session.state.get("count", 0) + 1,
            **{f"{prefix}{name}": number for prefix in ("", "user:", "app:")},
        }
        event = Event(
            author="user",
            content=types.Content(role="user", parts=[types.Part(text=f"{name} {number}")]),
            actions=EventActions(state_delta=delta),
        )
        try:
            await service.append_event(session, event)
        except StaleSessionError:
            stale += 1
        else:
            number += 1
    return stale


async def main(app: str, user: str, name: str, *places: str) -> None:
    """Append to the session in each of the databases."""
    async with AsyncExitStack() as stack:
        services = [
            await stack.enter_async_context(PersistSessionService(url, state=state or None))
            for url, state in zip(places[::2], places[1::2], strict=True)
        ]
        for service in services:
            await service.get_user_state(app_name=app, user_id=user)
        start_together()
        say([await append(service, app, user, name) for service in services])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
