"""SurrealDB's own engine, from the wheel of its SDK, behind its RPC protocol in CBOR.

surrealdb.com/docs/surrealdb/integration/rpc: a request has `id`, `method` and `params`, over a
WebSocket, or posted to /rpc with the headers Surreal-NS and Surreal-DB. What is asked is passed to
the engine as it came. Signing in is answered here: the engine that runs within a process has no
users. Requests are run one after another, in one session of the engine.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web
from surrealdb import Surreal
from surrealdb._surrealdb_ext import AsyncEmbeddedDB
from surrealdb.data.cbor import decode, encode

USER, PASSWORD = "root", "the-password"
_TOKEN = "the-token"
_CONFLICT = (
    "The query was not executed due to a failed transaction. Failed to commit transaction due to "
    "a read or write conflict. This transaction can be retried"
)
_SESSION = ("signin", "authenticate", "invalidate", "use")


class SurrealDB:
    """A server on a port of its own, in a thread.

    Attributes:
        failing: HTTP statuses to answer the next posts with instead.
        expired: how many of the next queries are told that their session has expired.
        conflicting: how many of the next queries are told that another writer was in the way.
        losing: how many of the next queries are run, and their answers lost.
        meanwhile: is called when the next query has been run, before it is answered.
        refusing: whether connections are closed at once.
        signed_in: how often somebody did.
    """

    def __init__(self) -> None:
        self.failing: list[int] = []
        self.expired = self.conflicting = self.losing = self.signed_in = 0
        self.refusing = False
        self.meanwhile: Callable[[], object] | None = None
        self._engine: Any = AsyncEmbeddedDB("mem://")
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._loop = asyncio.new_event_loop()
        self._sockets: set[web.WebSocketResponse] = set()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(30)

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def empty(self) -> None:
        """Delete all data, and forget what to fail with."""
        self.failing, self.expired, self.conflicting, self.losing = [], 0, 0, 0
        self.refusing, self.meanwhile = False, None
        client: Any = Surreal(f"http://{self.host}")
        client.signin({"username": USER, "password": PASSWORD})
        names = client.query_raw("INFO FOR ROOT")["result"][0]["result"]["namespaces"]
        for name in names:
            client.query_raw(f"REMOVE NAMESPACE IF EXISTS `{name}`")
        self.signed_in = 0

    def cut(self) -> None:
        """Close all WebSockets, as a server does that ends."""

        async def cut() -> None:
            for each in list(self._sockets):
                await each.close()

        asyncio.run_coroutine_threadsafe(cut(), self._loop).result(30)

    def close(self) -> None:
        """End it."""
        self.cut()
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)
        self._socket.close()

    def _serve(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._served(ready))
        self._loop.close()

    async def _served(self, ready: threading.Event) -> None:
        self._lock, self._ended = asyncio.Lock(), asyncio.Event()
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/rpc", self._rpc)
        runner = web.AppRunner(app)
        await self._engine.connect()
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        ready.set()
        await self._ended.wait()
        await runner.cleanup()
        await self._engine.close()

    async def _rpc(self, request: web.Request) -> web.StreamResponse:
        if self.refusing:
            return web.Response(status=503)
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        if self.failing:
            return web.Response(status=self.failing.pop(0))
        names = [request.headers.get(each) for each in ("surreal-ns", "surreal-db")]
        session: dict[str, Any] = {"use": names} if all(names) else {}
        session["user"] = request.headers.get("authorization") == f"Bearer {_TOKEN}"
        body = await self._answer(await request.read(), session)
        if body is None:
            return web.Response(status=504)
        return web.Response(body=body, content_type="application/cbor")

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(protocols=("cbor",), max_msg_size=0)
        await connection.prepare(request)
        self._sockets.add(connection)
        session: dict[str, Any] = {"user": False}
        async for message in connection:
            if message.type == WSMsgType.BINARY:
                answer = await self._answer(message.data, session)
                if answer is None:
                    break
                await connection.send_bytes(answer)
        await connection.close()
        self._sockets.discard(connection)
        return connection

    async def _answer(self, raw: bytes, session: dict[str, Any]) -> bytes | None:
        asked: Any = decode(raw)
        method, params = asked["method"], asked.get("params") or []
        if method == "signin":
            return self._reply(asked, self._sign_in(params[0], session))
        if method == "use":
            session["use"] = params
            return self._reply(asked, {"result": None})
        if not session["user"]:
            return self._reply(asked, _refused("IAM error: Not enough permissions"))
        if method in _SESSION:
            return self._reply(asked, {"result": None})
        if self.expired:
            self.expired -= 1
            return self._reply(asked, _refused("The session has expired"))
        if self.conflicting:
            self.conflicting -= 1
            failed = {"status": "ERR", "result": _CONFLICT, "time": "1ms"}
            return self._reply(asked, {"result": [failed]})
        async with self._lock:
            if "use" in session:
                use = {"id": "0", "method": "use", "params": session["use"]}
                await self._engine.execute(encode(use))
            try:
                answer: bytes = await self._engine.execute(raw)
            except RuntimeError as error:
                return self._reply(asked, {"error": {"code": -32000, "message": str(error)}})
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            await asyncio.to_thread(act)
        if self.losing:
            self.losing -= 1
            return None
        return answer

    def _sign_in(self, given: dict[str, Any], session: dict[str, Any]) -> dict[str, Any]:
        user = given.get("username", given.get("user")), given.get("password", given.get("pass"))
        if user != (USER, PASSWORD):
            return _refused("There was a problem with authentication")
        self.signed_in += 1
        session["user"] = True
        return {"result": _TOKEN}

    def _reply(self, asked: dict[str, Any], answer: dict[str, Any]) -> bytes:
        reply: bytes = encode({"id": asked["id"], **json.loads(json.dumps(answer))})
        return reply


def _refused(text: str) -> dict[str, Any]:
    message = f"There was a problem with the database: {text}"
    return {"error": {"code": -32002, "message": message}}
