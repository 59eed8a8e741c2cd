"""An agent of Google's ADK whose second process knows what the first was told, and its state.

Run it twice: `python examples/integrations/google_adk.py`. The model is a scripted one.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.adk.tools import ToolContext
from google.genai import types

from praison_persist import db
from praison_persist.integrations.google_adk import PersistSessionService

sys.path.insert(0, str(Path(__file__).parent.parent))
from surroundings import surroundings

DATABASE = "sqlite:///google_adk.db"
APP, USER, SESSION = "assistant", "ada", "user-123"
_USAGE = types.GenerateContentResponseUsageMetadata(
    prompt_token_count=11, candidates_token_count=7, total_token_count=18
)


class Scripted(BaseLlm):  # type: ignore[misc]  # typed only where ADK is installed
    """A model that knows a name once it was told, and counts with a tool."""

    async def generate_content_async(
        self,
        llm_request: LlmRequest,
        stream: bool = False,
    ) -> AsyncGenerator[LlmResponse, None]:
        """Answer: first with a call of the tool, then with what was said in all turns."""
        del stream
        last = llm_request.contents[-1].parts[-1]
        if last.function_response is None:
            part = types.Part(function_call=types.FunctionCall(name="count", args={}))
        else:
            said = " ".join(p.text or "" for c in llm_request.contents for p in c.parts or ())
            name = re.search(r"my name is (\w+)", said, re.IGNORECASE)
            number = last.function_response.response["result"]
            answer = f"Your name is {name[1]}." if name else "I do not know your name."
            part = types.Part(text=f"{answer} This is turn {number}.")
        content = types.Content(role="model", parts=[part])
        yield LlmResponse(content=content, usage_metadata=_USAGE)


def count(tool_context: ToolContext) -> int:
    """Count the turns of this user."""
    number = int(tool_context.state.get("user:turns", 0)) + 1
    tool_context.state["user:turns"] = number
    return number


async def talk() -> None:
    """Say something in the first process, and ask for it in the second."""
    agent = LlmAgent(name="assistant", model=Scripted(model="scripted"), tools=[count])
    async with PersistSessionService(DATABASE) as service:
        where: dict[str, Any] = {"app_name": APP, "user_id": USER, "session_id": SESSION}
        session = await service.get_session(**where) or await service.create_session(**where)
        print(f"{len(session.events)} events are known, and the state {session.state}.")
        prompt = "What is my name?" if session.events else "My name is Ada."
        runner = Runner(app_name=APP, agent=agent, session_service=service)
        message = types.Content(role="user", parts=[types.Part(text=prompt)])
        async for event in runner.run_async(user_id=USER, session_id=SESSION, new_message=message):
            if event.is_final_response() and event.content:
                print(event.content.parts[0].text)


def main() -> None:
    """Run it, and show the conversation as every other reader of the database sees it."""
    with surroundings():
        asyncio.run(talk())
        with db(database_url=DATABASE) as store:
            (session,) = store.list_sessions(user_id=USER)
            for message in store.get_messages(session.session_id):
                print(f"  {message.seq:3}  {message.role:9}  {message.content}")


if __name__ == "__main__":
    main()
