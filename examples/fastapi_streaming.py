"""A chat service of FastAPI: answers are streamed, and kept also if nobody reads them to the end.

`uvicorn --app-dir examples fastapi_streaming:app` serves it; run as a program it serves itself on
127.0.0.1 and is its own client: one that listens, one that hangs up in the middle, one that
comes back.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import uvicorn
from fastapi import Body, FastAPI, Request
from fastapi.responses import StreamingResponse
from surroundings import surroundings

from praison_persist import Agent, db

LONG = "Tell me of bees: they fly, they dance, they sleep, and in the winter they sing."


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Have one adapter for all requests; its pool is the service's."""
    url = os.environ.get("DATABASE_URL", "sqlite:///service.db")
    async with db(database_url=url) as store:
        app.state.store, app.state.turns = store, set()
        yield
        await asyncio.gather(*app.state.turns)  # no turn is cut off by a shutdown


app = FastAPI(lifespan=lifespan)


@app.post("/chat/{session_id}")
async def chat(
    session_id: str, prompt: Annotated[str, Body(embed=True)], request: Request
) -> StreamingResponse:
    """Answer a prompt with server-sent events: the parts of the answer, and "done"."""
    state, loop = request.app.state, asyncio.get_running_loop()
    parts: asyncio.Queue[str | None] = asyncio.Queue()

    def answer() -> None:
        """Take the whole stream in a thread of its own: the turn does not end with the client."""
        try:
            agent = Agent(name="Assistant", db=state.store, session_id=session_id, user_id="ada")
            for part in agent.iter_stream(prompt):
                loop.call_soon_threadsafe(parts.put_nowait, part)
        finally:
            loop.call_soon_threadsafe(parts.put_nowait, None)

    async def events() -> AsyncIterator[str]:
        while (part := await parts.get()) is not None:
            yield f"data: {json.dumps(part)}\n\n"
        yield "event: done\ndata: null\n\n"

    turn = asyncio.create_task(asyncio.to_thread(answer))
    state.turns.add(turn)
    turn.add_done_callback(state.turns.discard)
    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/sessions/{session_id}")
async def messages(session_id: str, request: Request) -> list[dict[str, Any]]:
    """Return what was said in a session."""
    stored = await request.app.state.store.aget_messages(session_id)
    return [{"role": message.role, "content": message.content} for message in stored]


@contextmanager
def served() -> Iterator[str]:
    """Serve the app in a thread; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def parts_of(client: httpx.Client, prompt: str, *, at_most: int | None = None) -> list[str]:
    """Return the parts of an answer; hang up after `at_most` of them."""
    found: list[str] = []
    with client.stream("POST", "/chat/user-123", json={"prompt": prompt}) as response:
        for line in response.iter_lines():
            if line == "event: done" or len(found) == at_most:
                break
            if line:
                found.append(json.loads(line.removeprefix("data: ")))
    return found


def main() -> None:
    """Serve, and be three clients."""
    with surroundings(chunk_delay_s=0.05):
        for file in Path.cwd().glob("service.db*"):
            file.unlink()
        with served() as address, httpx.Client(base_url=address, timeout=60) as client:
            whole = parts_of(client, "My name is Ada.")
            print(f"{len(whole)} parts: {''.join(whole)}")

            heard = "".join(parts_of(client, LONG, at_most=2))
            print(f"Hung up after {heard!r}")
            deadline = time.monotonic() + 30
            while len(said := client.get("/sessions/user-123").json()) < 4:  # noqa: PLR2004 - two turns
                if time.monotonic() > deadline:
                    raise TimeoutError("The answer was not kept")
                time.sleep(0.05)
            print(f"Kept: {said[-1]['content']}")

            print(f"Back again: {''.join(parts_of(client, 'What is my name?'))}")


if __name__ == "__main__":
    main()
