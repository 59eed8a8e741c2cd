"""The session service of ADK over our stores answers as ADK's own on a database does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.packages import INTEGRATIONS, needs

needs("google.adk", extra="google-adk", required_by=INTEGRATIONS)

from google.adk.errors import StaleSessionError  # noqa: E402 - after the check
from google.adk.errors.already_exists_error import AlreadyExistsError  # noqa: E402 - after the check
from google.adk.errors.session_not_found_error import (  # noqa: E402 - after the check
    SessionNotFoundError,
)
from google.adk.events.event import Event  # noqa: E402 - after the check
from google.adk.events.event_actions import EventActions  # noqa: E402 - after the check
from google.adk.sessions.base_session_service import (  # noqa: E402 - after the check
    GetSessionConfig,
)
from google.adk.sessions.database_session_service import (  # noqa: E402 - after the check
    DatabaseSessionService,
)
from google.adk.sessions.session import Session  # noqa: E402 - after the check
from google.genai import types  # noqa: E402 - after the check

from praison_persist import (  # noqa: E402 - after the check
    AsyncSQLiteConversationStore,
    PraisonAIDB,
    create_conversation_store,
)
from praison_persist.errors import (  # noqa: E402 - after the check
    ConfigurationError,
    InvalidDataError,
    UnavailableError,
)
from praison_persist.integrations.google_adk import (  # noqa: E402 - after the check
    PersistSessionService,
)
from praison_persist.models import (  # noqa: E402 - after the check
    ConversationMessage,
    ConversationSession,
)
from praison_persist.state.sql import SQLStateStore  # noqa: E402 - after the check
from tests.integrations.adk_comparison import Comparison  # noqa: E402 - after the check
from tests.integrations.places import PLACES, url_of  # noqa: E402 - after the check
from tests.integrations.side_by_side import side_by_side  # noqa: E402 - after the check
from tests.programs import ROOT, environment, python  # noqa: E402 - after the check

PROCESS = "tests.integrations.adk_process"
APPENDS = 8  # of each process
APP, USER = "weather app", "ada"
_times = count(2_000_000_000)

Where = dict[str, Any]


@asynccontextmanager
async def service_at(
    url: str, folder: Path, **options: Any
) -> AsyncIterator[PersistSessionService]:
    """The service; state of apps and users is in a file where there is no SQL."""
    state = f"sqlite:///{folder}/state.db" if url.startswith("json:") else None
    async with PersistSessionService(url, state=state) as service:
        yield service


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/agents.db"


def event(text: str = "hi", author: str = "user", /, **state: Any) -> Event:
    """An event that is later than all before."""
    return Event(
        author=author,
        invocation_id="e-1",
        timestamp=float(next(_times)),
        content=types.Content(role="user", parts=[types.Part(text=text)]),
        actions=EventActions(state_delta=state),
    )


def texts(session: Session | None) -> list[str | None]:
    assert session is not None
    return [e.content.parts[0].text for e in session.events if e.content and e.content.parts]


FULL = Event(
    author="forecaster",
    invocation_id="e-2",
    content=types.Content(
        role="model",
        parts=[
            types.Part(text="thinking", thought=True, thought_signature=b"\xff\x00\xfe"),
            types.Part(text="Ünïcödé \x00"),
            types.Part(inline_data=types.Blob(data=b"\x89PNG\xff", mime_type="image/png")),
            types.Part(function_call=types.FunctionCall(id="c" * 300, name="f", args={"a": [1.0]})),
        ],
    ),
    actions=EventActions(
        state_delta={"none": None, "deep": {"x": [None, {"y": 2**70}]}, "user:né": 1.5},
        artifact_delta={"a.png": 3},
        transfer_to_agent="other",
    ),
    long_running_tool_ids={"b", "a"},
    custom_metadata={"k": {"n": None}},
    usage_metadata=types.GenerateContentResponseUsageMetadata(prompt_token_count=7),
    branch="a.b",
    output={"any": ["thing"]},
)


def test_events_come_back_equal(url: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with service_at(url, tmp_path) as service:
            session = await service.create_session(app_name=APP, user_id=uuid4().hex)
            appended = [event(), FULL.model_copy(deep=True), event("bye")]
            for each in appended:
                await service.append_event(session, each)
            stored = await service.get_session(
                app_name=APP, user_id=session.user_id, session_id=session.id
            )
            assert stored is not None
            assert stored.events == appended
            assert stored.state == session.state

    asyncio.run(main())


@pytest.mark.parametrize(("kind", "steps"), [("sqlite", 200), ("json", 100), ("mariadb", 60)])
def test_answers_are_those_of_adks_own_service(
    kind: str, steps: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The same calls, chosen at random, on both; some with session objects that are superseded."""

    async def main() -> None:
        theirs = DatabaseSessionService(f"sqlite+aiosqlite:///{tmp_path}/theirs.db")
        async with service_at(url_of(kind, request, tmp_path), tmp_path) as ours, theirs:
            comparison = Comparison([ours, theirs], random.Random(steps), event)
            for _ in range(steps):
                await comparison.step()
            assert comparison.refused > steps / 50
            assert comparison.appended > steps / 10

    asyncio.run(main())


def test_branches_append_to_one_session_object(url: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with service_at(url, tmp_path) as service:
            session = await service.create_session(app_name=APP, user_id=uuid4().hex)
            names = [str(number) for number in range(6)]
            events = [event(name, "user", **{name: 1, f"user:{name}": 1}) for name in names]
            await asyncio.gather(*(service.append_event(session, each) for each in events))
            stored = await service.get_session(
                app_name=APP, user_id=session.user_id, session_id=session.id
            )
            assert sorted(texts(stored), key=str) == names
            assert stored is not None
            assert stored.events == session.events
            assert stored.state == session.state == {
                **dict.fromkeys(names, 1), **{f"user:{name}": 1 for name in names}
            }  # fmt: skip

    asyncio.run(main())


def test_processes_append_to_one_session(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Who is stale reads again; nothing is lost, neither events nor what they did to the state."""
    urls = [url_of(kind, request, tmp_path) for kind in PLACES]
    user = uuid4().hex
    states = [f"sqlite:///{tmp_path}/state.db" if url.startswith("json:") else "" for url in urls]
    words = [word for pair in zip(urls, states, strict=True) for word in pair]

    async def create() -> None:
        for url in urls:
            async with service_at(url, tmp_path) as service:
                await service.create_session(app_name=APP, user_id=user, session_id="s")

    asyncio.run(create())
    stale = side_by_side(
        PROCESS, *((APP, user, name, *words) for name in ("red", "blue")), folder=tmp_path
    )
    assert any(sum(refused) for refused in stale)

    async def check() -> None:
        for url in urls:
            async with service_at(url, tmp_path) as service:
                session = await service.get_session(app_name=APP, user_id=user, session_id="s")
                assert session is not None
                said = texts(session)
                for name in ("red", "blue"):
                    mine = [text for text in said if text and text.startswith(name)]
                    assert mine == [f"{name} {number}" for number in range(APPENDS)]
                    for key in (name, f"user:{name}", f"app:{name}"):
                        assert session.state[key] == APPENDS - 1
                assert session.state["count"] == 2 * APPENDS
                assert len(said) == 2 * APPENDS

    asyncio.run(check())


def test_a_stale_session_is_refused_and_its_event_not_stored(url: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with service_at(url, tmp_path) as one, service_at(url, tmp_path) as other:
            where: Where = {"app_name": uuid4().hex, "user_id": USER, "session_id": "s"}
            mine = await one.create_session(**where)
            yours = await other.get_session(**where)
            assert yours is not None
            await one.append_event(mine, event("first"))
            with pytest.raises(StaleSessionError):
                await other.append_event(yours, event("lost", "user", **{"user:x": 1}))
            again = await other.get_session(**where)
            assert texts(again) == ["first"]
            assert again is not None
            assert again.state == {}
            await other.append_event(again, event("second"))
            with pytest.raises(StaleSessionError):
                await one.append_event(mine, event("lost"))
            # An id that is used again is another session.
            await one.delete_session(**where)
            with pytest.raises(SessionNotFoundError):
                await other.append_event(again, event("gone"))
            await one.create_session(**where)
            with pytest.raises(StaleSessionError):
                await other.append_event(again, event("gone"))

    asyncio.run(main())


def test_the_same_event_again_is_the_same_write(sqlite_url: str, tmp_path: Path) -> None:
    """Who does not know whether an append went through repeats it on what it had."""

    async def main() -> None:
        async with service_at(sqlite_url, tmp_path) as service:
            where: Where = {"app_name": APP, "user_id": USER, "session_id": "s"}
            session = await service.create_session(**where)
            before = session.model_copy(deep=True)
            said = event("once", "user", **{"user:x": 1})
            await service.append_event(session, said.model_copy(deep=True))
            await service.append_event(before, said.model_copy(deep=True))
            assert texts(await service.get_session(**where)) == ["once"]
            await service.append_event(before, event("then"))
            assert texts(await service.get_session(**where)) == ["once", "then"]

    asyncio.run(main())


def test_an_append_that_failed_half_way_is_completed_by_its_repetition(sqlite_url: str) -> None:
    """The event is stored, its state is not yet: the caller knows neither, and tries again."""

    class Failing(AsyncSQLiteConversationStore):
        fails = True

        async def update_session(self, *arguments: Any, **options: Any) -> ConversationSession:
            if self.fails:
                raise UnavailableError("away", attempts=1, elapsed_s=0.0)
            return await super().update_session(*arguments, **options)

    async def main() -> None:
        async with Failing(sqlite_url) as store, PersistSessionService(store) as service:
            where: Where = {"app_name": APP, "user_id": USER, "session_id": "s"}
            session = await service.create_session(**where)
            said = event("once", "user", **{"user:x": 1, "y": 2})
            with pytest.raises(UnavailableError):
                await service.append_event(session, said)
            assert session.events == []
            store.fails = False
            await service.append_event(session, said)
            stored = await service.get_session(**where)
            assert stored is not None
            assert stored.events == session.events == [said]
            assert stored.state == session.state == {"user:x": 1, "y": 2}
            (row,) = await store.list_sessions()
            assert row.state == {"y": 2}

    asyncio.run(main())


def test_what_others_write_to_the_row_meanwhile_stays(sqlite_url: str) -> None:
    class Renaming(AsyncSQLiteConversationStore):
        renamed = False

        async def update_session(
            self, session: ConversationSession, *, expected_version: int | None = None
        ) -> ConversationSession:
            if not self.renamed:
                self.renamed = True
                stored = await self.get_session(session.session_id)
                assert stored is not None
                await super().update_session(replace(stored, name="Trip"))
            return await super().update_session(session, expected_version=expected_version)

    async def main() -> None:
        async with Renaming(sqlite_url) as store, PersistSessionService(store) as service:
            session = await service.create_session(app_name=APP, user_id=USER)
            await service.append_event(session, event("hi", "user", y=2))
            (row,) = await store.list_sessions()
            assert (row.name, row.state) == ("Trip", {"y": 2})

    asyncio.run(main())


def test_a_session_is_shown_as_of_one_moment(sqlite_url: str, tmp_path: Path) -> None:
    """Its state is not older, nor its events newer, than what the next append is compared with."""

    class Racing(AsyncSQLiteConversationStore):
        between: Any = None

        async def get_messages(self, *arguments: Any, **options: Any) -> list[ConversationMessage]:
            if options.get("after") is not None and self.between is not None:
                between, self.between = self.between, None
                await between()
            return await super().get_messages(*arguments, **options)

    async def main() -> None:
        where: Where = {"app_name": APP, "user_id": USER, "session_id": "s"}
        async with Racing(sqlite_url) as store, PersistSessionService(store) as service:
            session = await service.create_session(**where)
            await service.append_event(session, event("first", "user", n=1))
            late = event("late", "user", n=2)
            store.between = lambda: service.append_event(session, late)
            read = await service.get_session(**where, config=GetSessionConfig(after_timestamp=1.0))
            assert read is not None
            assert (texts(read), read.state) == (["first"], {"n": 1})
            with pytest.raises(StaleSessionError):
                await service.append_event(read, event("unseen"))

    asyncio.run(main())


def test_a_fork_is_no_session(sqlite_url: str, tmp_path: Path) -> None:
    async def fill() -> None:
        async with service_at(sqlite_url, tmp_path) as service:
            session = await service.create_session(app_name=APP, user_id=USER, session_id="s")
            await service.append_event(session, event())

    async def listed() -> list[str]:
        async with service_at(sqlite_url, tmp_path) as service:
            found = await service.list_sessions(app_name=APP)
            return [session.id for session in found.sessions]

    asyncio.run(fill())
    with create_conversation_store("sqlite", sqlite_url) as store:
        (row,) = store.list_sessions()
        store.create_session(replace(row, session_id="fork"))
    assert asyncio.run(listed()) == ["s"]


DYING = """
import asyncio, os, sys
from praison_persist.integrations.google_adk import PersistSessionService
from praison_persist.state.sql import SQLStateStore
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions

class Dying(SQLStateStore):
    def hset(self, key, field, value):
        os._exit(9)

async def main(url):
    service = PersistSessionService(url, state=Dying(url))
    session = await service.get_session(app_name="a", user_id="u", session_id="s")
    actions = EventActions(state_delta={"kept": 1, "user:kept": 2, "app:kept": 3})
    await service.append_event(session, Event(author="user", actions=actions))

asyncio.run(main(sys.argv[1]))
"""


def test_what_a_process_that_died_had_appended_is_whole(sqlite_url: str, tmp_path: Path) -> None:
    """It dies behind the event, before the state of user, app and session is written."""
    where: Where = {"app_name": "a", "user_id": "u", "session_id": "s"}

    async def create() -> None:
        async with service_at(sqlite_url, tmp_path) as service:
            await service.create_session(**where)

    async def look() -> None:
        async with service_at(sqlite_url, tmp_path) as service:
            session = await service.get_session(**where)
            assert session is not None
            assert len(session.events) == 1
            assert session.state == {"kept": 1, "user:kept": 2, "app:kept": 3}
            assert await service.get_user_state(app_name="a", user_id="u") == {}
            few = await service.get_session(**where, config=GetSessionConfig(num_recent_events=0))
            assert few is not None
            assert (few.events, few.state) == ([], session.state)
            await service.append_event(few, event("next"))
            assert await service.get_user_state(app_name="a", user_id="u") == {"kept": 2}
            other = await service.create_session(app_name="a", user_id="v")
            assert other.state == {"app:kept": 3}

    asyncio.run(create())
    ended = python("-c", DYING, sqlite_url, cwd=ROOT, variables=environment(tmp_path))
    assert ended.returncode == 9, ended.stderr
    asyncio.run(look())


def test_what_cannot_be_kept_is_refused_and_nothing_stored(sqlite_url: str, tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"f": print},
        {"user:f": float("nan")},
        {"app:" + "n" * 300: 1},
        {"user:": 1},
    ]

    async def main() -> None:
        async with service_at(sqlite_url, tmp_path) as service:
            where: Where = {"app_name": APP, "user_id": USER, "session_id": "s"}
            for state in wrong:
                with pytest.raises(InvalidDataError):
                    await service.create_session(**where, state=state)
            session = await service.create_session(**where)
            for state in wrong:
                with pytest.raises(InvalidDataError):
                    await service.append_event(session, event("hi", "user", **state))
            stored = await service.get_session(**where)
            assert stored is not None
            assert (stored.events, stored.state) == ([], {})
            with pytest.raises(AlreadyExistsError):
                await service.create_session(**where, state={"user:x": 1})
            assert await service.get_user_state(app_name=APP, user_id=USER) == {}

    asyncio.run(main())


def test_sessions_of_users_and_apps_are_apart(sqlite_url: str, tmp_path: Path) -> None:
    """Ids that would run together where they are joined."""
    triples = [("a", "b:c", "d"), ("a:b", "c", "d"), ("a", "b", "c:d"), ("a%3Ab", "c", "d")]

    async def main() -> None:
        async with service_at(sqlite_url, tmp_path) as service:
            for app, user, name in triples:
                long = name * 200
                for session_id in (name, long):
                    session = await service.create_session(
                        app_name=app, user_id=user, session_id=session_id
                    )
                    await service.append_event(session, event(f"{app} {user}"))
            for app, user, name in triples:
                listed = (await service.list_sessions(app_name=app, user_id=user)).sessions
                assert [session.id for session in listed] == [name, name * 200]
                session = await service.get_session(app_name=app, user_id=user, session_id=name)
                assert texts(session) == [f"{app} {user}"]

    asyncio.run(main())


def test_others_read_what_was_said_and_what_they_say_is_read(
    sqlite_url: str, tmp_path: Path
) -> None:
    def part(**fields: Any) -> types.Content:
        return types.Content(role="model", parts=[types.Part(**fields)])

    call = types.FunctionCall(id="call_1", name="weather", args={"city": "Oslo"})
    answer = types.FunctionResponse(id="call_1", name="weather", response={"result": "rain"})

    async def talk() -> None:
        async with service_at(sqlite_url, tmp_path) as service:
            session = await service.create_session(
                app_name=APP, user_id=USER, session_id="s", state={"user:lang": "no", "mood": "ok"}
            )
            await service.append_event(session, event("Weather in Oslo?"))
            for content in (part(function_call=call), part(function_response=answer)):
                said = Event(author="forecaster", invocation_id="e-1", content=content)
                await service.append_event(session, said)
            rain = event("Rain.", "forecaster")
            assert rain.content is not None
            assert rain.content.parts is not None
            rain.content.parts.append(types.Part(text="It is Oslo.", thought=True))
            await service.append_event(session, rain)
            await service.append_event(session, Event(author="forecaster"))

    asyncio.run(talk())
    with PraisonAIDB(sqlite_url, app_name=APP) as db:
        (row,) = db.list_sessions(user_id=USER)
        assert (row.agent_id, row.state) == (APP, {"mood": "ok"})
        resumed = db.on_agent_start("Assistant", session_id=row.session_id)
        assert [(message.role, message.content) for message in resumed] == [
            ("user", "Weather in Oslo?"),
            ("assistant", None),
            ("tool", '{"result":"rain"}'),
            ("assistant", "Rain."),
        ]
        assert resumed[1].tool_calls == [
            {"id": "call_1", "type": "function",
             "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
        ]  # fmt: skip
        assert db.get_state(row.session_id)["user:lang"] == "no"
        store = create_conversation_store("sqlite", sqlite_url)
        with store:
            store.add_message(row.session_id, ConversationMessage(role="user", content="Thanks"))
            store.add_message(row.session_id, ConversationMessage(role="tool", content="?"))

    async def read() -> None:
        async with service_at(sqlite_url, tmp_path) as service:
            session = await service.get_session(app_name=APP, user_id=USER, session_id="s")
            assert session is not None
            assert [e.author for e in session.events[-3:]] == ["forecaster", "user", "tool"]
            assert texts(session)[-1] == "Thanks"
            await service.append_event(session, event("more"))
            session = await service.get_session(app_name=APP, user_id=USER, session_id="s")
            assert texts(session)[-1] == "more"

    asyncio.run(read())


def test_a_store_without_state_needs_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="state="):
        PersistSessionService(f"json:{tmp_path}/folder")


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_given_stores_stay_open(mode: str, sqlite_url: str) -> None:
    store = create_conversation_store("sqlite", sqlite_url, mode)
    state = SQLStateStore(sqlite_url)

    async def main() -> None:
        where: Where = {"app_name": APP, "user_id": USER, "session_id": "s"}
        async with PersistSessionService(store) as service:
            await service.create_session(**where, state={"user:x": 1})
        async with PersistSessionService(store, state=state) as service:
            assert (await service.get_user_state(app_name=APP, user_id=USER)) == {"x": 1}
        if mode == "async":
            await store.close()

    asyncio.run(main())
    if mode == "sync":
        store.close()
    assert state.keys()
    state.close()
