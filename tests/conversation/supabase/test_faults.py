"""What the REST store does when the API is down, hangs, loses an answer or refuses the key."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.conversation.supabase import (
    AsyncSupabaseConversationStore,
    SupabaseConversationStore,
)
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    ConflictError,
    UnavailableError,
)
from praison_persist.protocols import ConversationStore
from praison_persist.testing.contract import message, session
from tests.servers import administer, free_port
from tests.services.supabase import ANON_KEY, KEY, Supabase

BUSY = '{"code": "PGRST003", "message": "Timed out acquiring connection from connection pool."}'
PAGE = "<html>bad gateway</html>"
Open = Callable[..., ConversationStore]


def _sync(url: str, key: str, **options: Any) -> ConversationStore:
    return SupabaseConversationStore(url, key, **options)


def _async(url: str, key: str, **options: Any) -> ConversationStore:
    return blocking(AsyncSupabaseConversationStore(url, key, **options), ConversationStore)


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def opened(request: pytest.FixtureRequest) -> Open:
    made: Open = request.param
    return made


@pytest.fixture
def store(opened: Open, supabase: Supabase) -> Iterator[ConversationStore]:
    with opened(supabase.url, KEY, retry_delay=0.001) as store:
        store.create_session(session())
        yield store


class TestOutages:
    @pytest.mark.parametrize(
        "answer",
        [(429, "{}"), (502, PAGE), (503, BUSY), (504, BUSY), (522, PAGE), (200, PAGE)],
    )
    def test_a_busy_or_broken_gateway_is_asked_again(
        self, store: ConversationStore, supabase: Supabase, answer: tuple[int, str]
    ) -> None:
        supabase.failing = [answer] * 3
        store.add_message("s", message("kept"))
        assert [each.content for each in store.get_messages("s")] == ["kept"]
        supabase.failing = [answer] * 4
        with pytest.raises(UnavailableError, match="4 attempts"):
            store.count("s")

    def test_an_api_that_was_killed_is_back(
        self, store: ConversationStore, supabase: Supabase
    ) -> None:
        store.add_message("s", message("before"))
        supabase.api.kill()
        try:
            with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:\d+: cannot add messages"):
                store.add_message("s", message("lost"))
        finally:
            supabase.api.start()
        store.add_message("s", message("after"))
        assert [each.content for each in store.get_messages("s")] == ["before", "after"]

    def test_nothing_listens(self, opened: Open) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        with (
            opened(url, KEY, max_retries=1, retry_delay=0.001) as store,
            pytest.raises(UnavailableError, match="2 attempts") as caught,
        ):
            store.get_session("s")
        assert KEY not in str(caught.value)

    def test_an_api_that_hangs_is_waited_for_as_long_as_was_said(
        self, opened: Open, supabase: Supabase
    ) -> None:
        with opened(supabase.url, KEY, timeout=0.3, max_retries=0) as store:
            supabase.api.freeze()
            try:
                with pytest.raises(UnavailableError, match="1 attempts"):
                    store.get_session("s")
            finally:
                supabase.api.thaw()
            assert store.get_session("s") is None

    def test_a_statement_that_took_too_long_is_not_repeated(
        self, store: ConversationStore, supabase: Supabase
    ) -> None:
        told = "canceling statement due to statement timeout"
        supabase.failing = [(500, f'{{"code": "57014", "message": "{told}"}}')]
        with pytest.raises(BackendError, match=f"{told}.*page_messages"):
            store.get_messages("s")

    def test_connections_that_the_database_ended(
        self, opened: Open, supabase: Supabase, database: str
    ) -> None:
        with opened(supabase.url, KEY, max_retries=6, retry_delay=0.1) as store:
            store.create_session(session())
            administer(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            store.add_message("s", message("after"))
            assert [each.content for each in store.get_messages("s")] == ["after"]


class TestLostAnswers:
    """A request was done and its answer did not arrive: the next try meets what it wrote."""

    def test_a_session_is_created_once(self, store: ConversationStore, supabase: Supabase) -> None:
        supabase.losing = 1
        assert store.create_session(session("new", name="n")).name == "n"
        with pytest.raises(ConflictError):
            store.create_session(session("new", name="n"))

    def test_messages_are_added_once(self, store: ConversationStore, supabase: Supabase) -> None:
        supabase.losing = 1
        added = store.add_messages("s", [message("a"), message("b")])
        assert [each.seq for each in added] == [1, 2]
        assert store.get_messages("s") == added

    def test_an_expected_version_is_met_once(
        self, store: ConversationStore, supabase: Supabase
    ) -> None:
        supabase.losing = 1
        assert store.update_session(session(name="new"), expected_version=1).version == 2
        with pytest.raises(ConflictError, match="version 2"):
            store.update_session(session(name="other"), expected_version=1)

    def test_a_dump_is_loaded_once(self, store: ConversationStore, supabase: Supabase) -> None:
        store.add_message("s", message("a"))
        dump = store.dump_session("s")
        assert dump is not None
        store.delete_session("s")
        supabase.losing = 1
        assert store.load_session(dump) == "s"
        assert store.dump_session("s") == dump


class TestKeys:
    def test_a_wrong_key_is_told_and_shown_nowhere(
        self, opened: Open, supabase: Supabase, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG), opened(supabase.url, "a-wrong-key") as store:
            with pytest.raises(UnavailableError, match=r"Invalid API key.*service_role") as caught:
                store.get_session("s")
            assert len(supabase.functions) == 1
            shown = f"{caught.value!r} {caught.value.__cause__!r} {store!r} {vars(store)}"
        assert "a-wrong-key" not in shown + caplog.text

    def test_the_publishable_key_may_nothing(self, opened: Open, supabase: Supabase) -> None:
        with opened(supabase.url, ANON_KEY) as store:
            for call in (
                lambda: store.get_session("s"),
                lambda: store.create_session(session()),
                lambda: store.get_messages("s"),
                lambda: store.delete_session("s"),
            ):
                with pytest.raises(UnavailableError, match="service_role"):
                    call()

    def test_a_gateway_that_tells_the_key_does_not_reach_the_message(
        self, opened: Open, supabase: Supabase
    ) -> None:
        supabase.failing = [(400, f'{{"message": "no such key: {KEY}"}}')]
        with (
            opened(supabase.url, KEY) as store,
            pytest.raises(BackendError, match=r"no such key: \*\*\*") as caught,
        ):
            store.get_session("s")
        assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"

    @pytest.mark.parametrize("key", ["a b", "a\nb", "ключ"])
    def test_what_can_be_no_key(self, supabase: Supabase, key: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            SupabaseConversationStore(supabase.url, key)
        assert key not in str(caught.value)

    def test_a_redirect_does_not_take_the_key_elsewhere(
        self, store: ConversationStore, supabase: Supabase
    ) -> None:
        supabase.failing = [(307, "{}")]
        with pytest.raises(BackendError, match="307"):
            store.get_session("s")


class TestSharing:
    def test_a_store_is_used_after_a_fork(self, supabase: Supabase) -> None:
        context = multiprocessing.get_context("fork")
        with SupabaseConversationStore(supabase.url, KEY) as store:
            store.create_session(session())
            child = context.Process(target=store.add_message, args=("s", message("of the child")))
            child.start()
            store.add_message("s", message("of the parent"))
            child.join(30)
            assert child.exitcode == 0
            assert len(store.get_messages("s")) == 2

    def test_a_store_is_used_on_two_loops(self, supabase: Supabase) -> None:
        store = AsyncSupabaseConversationStore(supabase.url, KEY)
        asyncio.run(_add(store, "first"))
        asyncio.run(_add(store, "second"))
        with SupabaseConversationStore(supabase.url, KEY) as other:
            assert [each.content for each in other.get_messages("s")] == ["first", "second"]

    def test_a_cancelled_write_is_whole_or_absent(self, supabase: Supabase) -> None:
        async def cancelled() -> None:
            async with AsyncSupabaseConversationStore(supabase.url, KEY) as store:
                await store.create_session(session())
                for number in range(10):
                    batch = [message(f"{number}/{part}") for part in range(5)]
                    writing = asyncio.create_task(store.add_messages("s", batch))
                    await asyncio.sleep(0.001 * number)
                    writing.cancel()
                    await asyncio.wait([writing])
                await store.add_message("s", message("last"))
                found = await store.get_messages("s")
                assert [each.seq for each in found] == list(range(1, len(found) + 1))
                assert len(found) % 5 == 1

        asyncio.run(cancelled())


async def _add(store: AsyncSupabaseConversationStore, text: str) -> None:
    await store.ensure_session(session())
    await store.add_message("s", message(text))
