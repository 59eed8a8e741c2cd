"""What one framework said, another reads in its own terms."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.packages import INTEGRATIONS, needs

needs("agents", extra="openai-agents", required_by=INTEGRATIONS)
needs("google.adk", extra="google-adk", required_by=INTEGRATIONS)

from google.adk.events.event import Event  # noqa: E402 - after the check
from google.genai import types  # noqa: E402 - after the check

from praison_persist.integrations.google_adk import (  # noqa: E402 - after the check
    PersistSessionService,
)
from praison_persist.integrations.openai_agents import PersistSession  # noqa: E402 - after the check


def test_an_agent_of_openai_goes_on_with_a_session_of_adk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agents.db"
    call = types.FunctionCall(id="call_1", name="weather", args={"city": "Oslo"})
    answer = types.FunctionResponse(id="call_1", name="weather", response={"result": "rain"})
    parts = [
        types.Part(text="Weather in Oslo?"),
        types.Part(function_call=call),
        types.Part(function_response=answer),
        types.Part(text="Rain."),
    ]

    async def main() -> None:
        where: dict[str, Any] = {"app_name": "app", "user_id": "ada", "session_id": "s"}
        async with PersistSessionService(url) as service:
            session = await service.create_session(**where)
            for author, part in zip(["user", "bot", "bot", "bot"], parts, strict=True):
                content = types.Content(role="model", parts=[part])
                await service.append_event(session, Event(author=author, content=content))
            async with PersistSession("adk:app:ada:s", url) as other:
                assert await other.get_items() == [
                    {"role": "user", "content": "Weather in Oslo?"},
                    {"type": "function_call", "call_id": "call_1", "name": "weather",
                     "arguments": '{"city":"Oslo"}'},
                    {"type": "function_call_output", "call_id": "call_1",
                     "output": '{"result":"rain"}'},
                    {"role": "assistant", "content": "Rain."},
                ]  # fmt: skip
                await other.add_items([{"role": "user", "content": "Thanks."}])
            again = await service.get_session(**where)
            assert again is not None
            content = again.events[-1].content
            assert content is not None
            assert content.parts == [types.Part(text="Thanks.")]

    asyncio.run(main())
