"""MongoDB keeps the state contract, in both colours, also when its server dies, hangs or fails."""

from __future__ import annotations

import gc
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pymongo
import pytest
from pymongo import monitoring
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandListener, CommandStartedEvent

from praison_persist._adapt import blocking
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    UnavailableError,
)
from praison_persist.protocols import StateStore
from praison_persist.state.mongodb import AsyncMongoDBStateStore, MongoDBStateStore
from praison_persist.testing.contract import race
from praison_persist.testing.state import Clock, StateStoreContract
from praison_persist.testing.state_contract import OpenState
from tests.servers import free_port
from tests.services import mongod
from tests.services.mongod import LosingMongod, OwnMongod
from tests.services.process import until

from .scenes import cancel_half, count_beside_a_fork, forks, use_on_several_loops

# The server deletes what has expired by its own clock.
_FAR_S = 4_000_000_000.0
_QUICK = "&connectTimeoutMS=200&heartbeatFrequencyMS=500"


def _sync(*args: Any, **options: Any) -> StateStore:
    return MongoDBStateStore(*args, **options)


def _async(*args: Any, **options: Any) -> StateStore:
    return blocking(AsyncMongoDBStateStore(*args, **options), StateStore)


both = pytest.mark.parametrize("make", [_sync, _async])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnMongod]:
    """A server that runs when a test begins and when it ends, whatever happens to it between."""
    server = OwnMongod(tmp_path_factory.mktemp("mongod"))
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def url(request: pytest.FixtureRequest) -> str:
    named = mongod.named()
    return named or str(request.getfixturevalue("server").url)


@pytest.fixture(scope="session")
def database(url: str) -> Iterator[str]:
    with mongod.database(url) as name:
        yield name


@pytest.fixture
def _collected() -> Iterator[None]:
    """Collect the sockets that PyMongo leaves if it is closed or cancelled while it connects."""
    yield
    gc.collect()


def _leaving_sockets(test: Callable[..., None]) -> Callable[..., None]:
    for mark in (
        pytest.mark.usefixtures("_collected"),
        pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    ):
        test = mark(test)
    return test


@pytest.fixture
def own(server: OwnMongod) -> Iterator[str]:
    """The name of an empty database of `server`."""
    with mongod.database(server.url) as name:
        yield name


class TestMongoDB(StateStoreContract):
    make = staticmethod(_sync)

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock(_FAR_S)

    @pytest.fixture
    def open_state(self, url: str, database: str, clock: Clock) -> OpenState:
        prefix = f"{uuid.uuid4().hex}:"
        return lambda: self.make(url, database, prefix=prefix, clock=clock)


@pytest.mark.again
class TestAsyncMongoDB(TestMongoDB):
    make = staticmethod(_async)


@both
def test_what_was_acknowledged_is_there_after_a_crash(
    server: OwnMongod, own: str, make: Any
) -> None:
    """Writes wait in memory, a counter counts twice, or a call fails as the server comes back."""
    with (
        make(server.url + _QUICK, own) as store,
        make(server.url + _QUICK, own) as second,
    ):
        stores = (store, second)
        written = threading.Semaphore(0)

        def work(index: int) -> list[int]:
            if index == 4:
                for _ in range(40):
                    written.acquire()
                server.kill()
                server.start()
                return []
            counted = []
            for number in range(60):
                counted.append(stores[index % 2].incr("k"))
                stores[index % 2].set(f"{index}/{number}", number, ttl=1000)
                stores[index % 2].hset("h", f"{index}/{number}", number)
                written.release()
            return counted

        counts = race(5, work)
        assert sorted(n for some in counts for n in some) == list(range(1, 241))
        assert len(store.keys()) == 242
        assert len(store.hgetall("h")) == 240


@both
def test_a_server_that_stays_away_is_told_by_its_address(make: Any) -> None:
    """The error shows a password, or does not say where and how often."""
    port = free_port()
    url = f"mongodb://ada:geheim@127.0.0.1:{port}/?authSource=admin&serverSelectionTimeoutMS=20"
    with (
        make(url, max_retries=1, retry_delay=0.001) as store,
        pytest.raises(
            UnavailableError, match=rf"127.0.0.1:{port}/praisonai.state.* 2 attempts.*Errno 111"
        ) as caught,
    ):
        store.incr("k")
    assert caught.value.attempts == 2
    assert isinstance(caught.value.__cause__, PyMongoError)
    assert "Topology" not in str(caught.value)
    assert "geheim" not in str(caught.value) + str(caught.value.__cause__) + repr(store)


@both
def test_a_server_that_hangs_is_given_up(server: OwnMongod, own: str, make: Any) -> None:
    """An agent waits for ever."""
    url = f"{server.url}{_QUICK}&serverSelectionTimeoutMS=200"
    with make(url, own, max_retries=1, retry_delay=0.01) as store:
        store.set("k", 1)
        server.freeze()
        try:
            with pytest.raises(UnavailableError, match="2 attempts"):
                store.get("k")
        finally:
            server.thaw()
        assert store.get("k") == 1


@both
@_leaving_sockets
def test_conditional_writes_are_done_once_though_their_answers_are_lost(
    server: OwnMongod, own: str, make: Any
) -> None:
    """Another writes before the repetition, which then counts twice or finds a conflict."""
    with (
        LosingMongod(server.port, b"findAndModify") as proxy,
        # PyMongo would repeat once by itself, of which the server knows.
        make(f"{proxy.url}&retryWrites=false", own, retry_delay=0.02) as store,
        make(server.url, own) as other,
    ):
        store.incr("k")

        def count(index: int) -> list[int]:
            if index == 0:
                proxy.left = 2
                return [store.incr("k")]
            return [other.incr("k") for _ in range(10)]

        counts = race(2, count)
        assert proxy.left == 0
        assert sorted(n for some in counts for n in some) == list(range(2, 13))
        proxy.left = 1
        assert store.set_if_absent("lock", "mine")
        version = other.set("v", 1)
        proxy.left = 1
        version = store.set("v", 2, ttl=1000, expected_version=version)
        assert proxy.left == 0
        assert store.set("v", 3, expected_version=version) > 0


@both
@_leaving_sockets
def test_answers_of_a_repetition_are_those_of_the_first_time(
    server: OwnMongod, own: str, make: Any
) -> None:
    """The server gives the whole document instead of the part that was asked for."""
    with LosingMongod(server.port, b"findAndModify") as proxy, make(proxy.url, own) as store:
        store.set("k", 1)
        store.incr("k", 4)
        store.hset("k", "f", 1)
        uses: list[tuple[Callable[[], object], object]] = [
            (lambda: store.incr("k"), 6),
            (lambda: store.hdel("k", "f", "g"), 1),
            (lambda: store.set_if_absent("k", 1), False),
            (lambda: store.set_if_absent("l", 1), True),
        ]
        for use, answer in uses:
            proxy.left = 1
            assert use() == answer
            assert proxy.left == 0


_USES: dict[str, Callable[[StateStore], object]] = {
    "find": lambda store: (store.get("k"), store.exists("k"), store.keys()),
    "update": lambda store: (store.set("k", 1), store.expire("k", 100)),
    "findAndModify": lambda store: (store.hset("k", "f", 1), store.incr("n"), store.hdel("k", "g")),
    "delete": lambda store: (store.delete("l"), store.clear("m")),
    "createIndexes": lambda store: store.hset("k", "f", 1),
}


@both
def test_what_fails_for_a_moment_is_repeated(server: OwnMongod, own: str, make: Any) -> None:
    """An election, a network or a limit of time is the caller's problem."""
    slow: dict[str, Any] = {"errorCode": 262}  # ExceededTimeLimit
    unsafe = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
    for command, use in _USES.items():
        for how in [slow] if command == "find" else [slow, unsafe]:
            with make(server.url, own, retry_delay=0.001) as store:
                with server.failing(command, 3, **how):
                    use(store)
                assert store.get("k", 1) == 1
    with make(server.url, own, retry_delay=0.001) as store:
        for how in ({"errorCode": 10_107}, {"closeConnection": True}):  # NotWritablePrimary
            with server.failing("findAndModify", 3, **how):
                assert store.incr("c") > 0
        assert store.get("c") == 2


@both
def test_what_does_not_pass_is_told_at_once(server: OwnMongod, own: str, make: Any) -> None:
    """It is repeated, or taken for nothing."""
    with make(server.url, own) as store:
        store.set("k", 1)
        for command, use in _USES.items():
            if command == "createIndexes":
                continue
            with (
                server.failing(command, 1, errorCode=2),
                pytest.raises(BackendError, match=f"{own}.state: cannot .*fail") as caught,
            ):
                use(store)
            assert type(caught.value) is BackendError
            with (
                server.failing(command, 1, errorCode=13),
                pytest.raises(UnavailableError, match=r"refused: .*Check user"),
            ):
                use(store)
        with (
            server.failing("update", 1, writeConcernError={"code": 100, "errmsg": "no majority"}),
            pytest.raises(BackendError, match="no majority") as caught,
        ):
            store.set("k", "private")
        assert "private" not in str(caught.value)


@both
def test_a_race_to_make_a_document_is_no_error(server: OwnMongod, own: str, make: Any) -> None:
    """E11000 duplicate key."""
    with make(server.url, own) as store, make(server.url, own) as second:
        stores = (store, second)
        which = {"keyPattern": {"_id": 1}, "keyValue": {"_id": "k"}}
        with server.failing("findAndModify", 3, errorCode=11_000, errorExtraInfo=which):
            assert store.incr("k") == 1
        for round_ in range(5):
            keys = [f"{round_}/{index}" for index in range(50)]
            race(
                8,
                lambda i, keys=keys: stores[i % 2].set_many(dict.fromkeys(keys, i)),  # type: ignore[misc]  # bound now
            )
            assert set(store.get_many(keys)) == set(keys)


@both
def test_wrong_credentials_are_told(url: str, make: Any) -> None:
    wrong = url.replace("mongodb://", "mongodb://ada:geheim@")
    with make(wrong) as store, pytest.raises(UnavailableError, match="Authentication") as caught:
        store.get("k")
    assert "geheim" not in str(caught.value)


@both
def test_what_another_program_stored_is_told_and_kept(
    server: OwnMongod, own: str, make: Any
) -> None:
    """Documents of praisonai's, in the collection that both take by default, are replaced."""
    with make(server.url, own) as store, pymongo.MongoClient[Any](server.url) as client:
        document = {"_id": "k", "value": {"a": 1}, "expires_at": 1.5}
        client[own].state.insert_one(document)
        client[own].state.insert_one({"value": "of an ObjectId"})
        uses: list[Callable[[], object]] = [
            lambda: store.get("k"),
            lambda: store.set("k", 1),
            lambda: store.set_many({"j": 1, "k": 1, "l": 1}),
            lambda: store.get_many(["k", "l"]),
            lambda: store.hset("k", "f", 1),
            lambda: store.incr("k"),
            lambda: store.set_if_absent("k", 1),
            lambda: store.exists("k"),
        ]
        for use in uses:
            with pytest.raises(BackendError, match="'k' is of another program"):
                use()
        with pytest.raises(ConflictError):
            store.set("k", 1, expected_version=1)
        assert not store.delete("k")
        assert not store.expire("k", 1)
        assert store.keys() == ["j", "l"]
        assert store.clear("", confirm=True) == 2
        assert client[own].state.find_one("k") == document
        assert client[own].state.count_documents({}) == 2


@both
def test_the_server_deletes_what_expired_and_nothing_else(
    server: OwnMongod, own: str, make: Any
) -> None:
    """An index over numbers deletes nothing; one by the second deletes what a clock still has."""
    now = time.time()
    with (
        make(server.url, own, clock=lambda: now - 7200) as late,
        make(server.url, own, clock=lambda: now - 60) as slow,
        pymongo.MongoClient[Any](server.url) as client,
    ):
        documents = client[own].state
        late.set("forever", 1)
        late.hset("emptied", "f", 1)
        assert documents.count_documents({}) == 2
        late.hdel("emptied", "f")
        late.set_many({f"k{index}": 1 for index in range(10)}, ttl=10)
        late.set("kept", 1, ttl=10)
        late.expire("kept", None)
        slow.set("slow", 1, ttl=1)
        until(lambda: documents.count_documents({}) <= 3, "nothing is deleted")
        assert sorted(each["_id"] for each in documents.find()) == ["forever", "kept", "slow"]
        assert slow.keys() == ["forever", "kept", "slow"]
        assert sorted(documents.index_information()) == ["_id_", "praison_purge"]


class _Listener(CommandListener):
    def __init__(self) -> None:
        self.events: list[CommandStartedEvent] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.database_name.startswith("praison_test_"):
            self.events.append(event)

    def succeeded(self, event: object) -> None:
        pass

    failed = succeeded


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[CommandStartedEvent]:
    """What clients made from now on ask of databases of tests."""
    listener = _Listener()
    listeners = monitoring._LISTENERS._replace(command_listeners=[listener])
    monkeypatch.setattr(monitoring, "_LISTENERS", listeners)
    return listener.events


@both
def test_calls_take_one_round_trip(
    server: OwnMongod, own: str, commands: list[CommandStartedEvent], make: Any
) -> None:
    """A hundred keys take a hundred times as long, or a write reads first."""
    values = {f"k{index:04}": index for index in range(500)}
    with make(server.url, own) as store:
        store.hset("k0001", "f", 1)
        uses: list[Callable[[], object]] = [
            lambda: store.set_many(values, ttl=1000),
            lambda: store.get_many(list(values)),
            lambda: store.get("k0001"),
            lambda: store.get_versioned("k0001"),
            lambda: store.set("k0001", 1),
            lambda: store.set_if_absent("k0001", 1),
            lambda: store.set_if_absent("new", 1),
            lambda: store.incr("n"),
            lambda: store.hget("k0001", "f"),
            lambda: store.hdel("k0001", "f"),
            lambda: store.expire("n", 10),
            lambda: store.ttl("n"),
            lambda: store.delete("n"),
            lambda: store.keys("*1"),
            lambda: store.page_keys("k", limit=400),
            lambda: store.clear("k"),
        ]
        for number, use in enumerate(uses):
            commands.clear()
            use()
            assert len(commands) == 1, f"number {number}"
        version = store.set("v", 1)
        commands.clear()
        store.set("v", 2, expected_version=version)
        with pytest.raises(ConflictError):
            store.set("v", 3, expected_version=version)
        assert len(commands) == 2


@both
def test_keys_are_listed_by_their_index(server: OwnMongod, own: str, make: Any) -> None:
    """A page reads the whole collection."""
    with make(server.url, own) as store, pymongo.MongoClient[Any](server.url) as client:
        store.set_many({f"{letter}{n}": 1 for letter in "abc" for n in range(100)})
        client[own].command("profile", 2)
        assert len(store.page_keys("b", limit=10).keys) == 10
        assert len(store.keys("b*9")) == 10
        client[own].command("profile", 0)
        found = list(client[own]["system.profile"].find({"op": "query"}))
        assert [each["planSummary"] for each in found] == ["IXSCAN { _id: 1 }"] * 2
        assert [each["keysExamined"] for each in found] == [10, 100]
        assert [each["docsExamined"] for each in found] == [10, 19]  # those with a 9


@both
def test_prefixes_end_where_they_end(server: OwnMongod, own: str, make: Any) -> None:
    """The first key after a prefix is taken for one of it, or its last ones are missed."""
    ends = ["a", "a\ud7ff", "a\uffff", "a\U0010ffff", "\U0010ffff", "\U0010ffff\U0010ffff"]
    for prefix in ("", "p", "p\ud7ff", "\U0010ffff"):
        with make(server.url, own, prefix=prefix) as store:
            keys = sorted({f"{end}{tail}" for end in ends for tail in ("", "\x01", "\U0010ffff")})
            store.set_many(dict.fromkeys([*keys, "b", "\ue000", "a\ue000"], 1))
            for end in ends:
                wanted = [key for key in store.keys("*") if key.startswith(end)]
                assert sorted(store.scan_prefix(end)) == wanted
                assert set(wanted) >= {key for key in keys if key.startswith(end)}
            assert store.clear("a\ud7ff") == 3
            assert store.exists("a\ue000")
            store.clear("", confirm=True)
    with make(server.url, own, prefix="a") as store, make(server.url, own, prefix="ab") as inner:
        inner.set("k", 1)
        assert store.keys() == ["bk"]
        assert inner.keys() == ["k"]


@both
def test_patterns_of_any_length_and_text(server: OwnMongod, own: str, make: Any) -> None:
    """The server refuses the regular expression."""
    long = "x" * 300 + "(é😀\n$^"
    with make(server.url, own) as store:
        store.set_many({f"a{long}b": 1, f"a{long}": 2, f"a{long[:-1]}b": 3})
        assert store.keys(f"*{long}*") == [f"a{long}", f"a{long}b"]
        assert store.keys(f"?{long}b") == [f"a{long}b"]
        assert store.keys("*" + "y" * 40_000) == []
        assert store.keys("a*\ud800") == []
        assert store.keys("a*\x00") == []
        assert store.page_keys("", limit=2**62).next_cursor is None
        for cursor in ("\ud800", "", "x" * 481):
            with pytest.raises(InvalidDataError, match="cursor"):
                store.page_keys("", cursor=cursor)


@both
def test_what_exceeds_a_document_is_told(server: OwnMongod, own: str, make: Any) -> None:
    with make(server.url, own) as store:
        store.hset("k", "f", "x" * 9_000_000)
        uses: list[Callable[[], object]] = [
            lambda: store.hset("k", "g", "x" * 9_000_000),
            lambda: store.set("k", "x" * 9_000_000),
            lambda: store.set("l", "x" * 17_000_000),
        ]
        for use in uses:
            with pytest.raises(InvalidDataError, match="16 MiB"):
                use()
        assert store.keys() == ["k"]


def test_a_store_serves_several_event_loops(url: str, database: str) -> None:
    use_on_several_loops(AsyncMongoDBStateStore(url, database, prefix=uuid.uuid4().hex), 20)


@_leaving_sockets
def test_a_cancelled_task_leaves_the_store_in_order(url: str, database: str) -> None:
    store = AsyncMongoDBStateStore(url, database, prefix=uuid.uuid4().hex)
    cancel_half(store, tasks=30, rounds=10, step_s=0.002)


@forks
def test_a_store_can_be_used_after_a_fork(url: str, database: str) -> None:
    with MongoDBStateStore(url, database, prefix=uuid.uuid4().hex) as store:
        count_beside_a_fork(store, 50)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://h", "scheme 'redis'"),
        ("mongodb:h", "scheme"),
        (b"mongodb://h", "scheme"),
        ("mongodb://", "h"),
        ("mongodb://h:port", "h:port/praisonai.state: Port"),
        ("mongodb://h/?retryWritess=true", "retrywritess"),
        ("mongodb://h/?socketTimeoutMS=soon", "sockettimeoutms"),
        ("mongodb://h/?w=0", "w=0"),
        ("mongodb://h/?tls=true&tlsCAFile=/no/such/file", "No such file"),
        ("mongodb://h/?directConnection=true&replicaSet=a&loadBalanced=true", "loadBalanced"),
        ("mongodb+srv://a.b.c,d.e.f", "only one, hostname"),
        ("mongodb+srv://a.b.c:1", "port"),
        ("mongodb://ada:ge/heim@h", "percent-encode"),
        ("mongodb://ada:ge:heim@h:1", "percent-encode"),
        ("mongodb://ada:ge%heim@h", "percent-encode"),
        ("mongodb://ada:geheim@h:port", "percent-encode"),
        ("mongodb://ada:x?geheim@h", "percent-encode"),
        ("mongodb://ada:x@heim?x@h", "percent-encode"),
    ],
)
def test_what_is_no_place_is_refused(url: Any, says: str) -> None:
    """It connects to something else, or shows a part of a password."""
    for make in (_sync, _async):
        with pytest.raises(ConfigurationError, match=says) as caught:
            make(url)
        shown = f"{caught.value}{caught.value.__cause__}"
        assert "heim" not in shown


@both
def test_what_is_no_name_is_refused(make: Any) -> None:
    for options in (
        {"database": ""},
        {"database": "a.b"},
        {"database": None},
        {"collection": ""},
        {"collection": "a$b"},
        {"collection": 1},
        {"prefix": None},
        {"prefix": "\ud800"},
        {"prefix": "x" * 481},
    ):
        with pytest.raises(ConfigurationError):
            make("mongodb://h", **options)


def test_the_environment_says_where_it_is(
    url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URL", url)
    with MongoDBStateStore(database=database, prefix=uuid.uuid4().hex) as store:
        store.set("k", 1)
        assert store.get("k") == 1
    monkeypatch.setenv("MONGODB_URL", "mongodb://elsewhere,there:2")
    assert repr(MongoDBStateStore()) == "MongoDBStateStore(elsewhere,there:2/praisonai.state)"
    monkeypatch.delenv("MONGODB_URL")
    assert "localhost:27017/praisonai.state" in repr(AsyncMongoDBStateStore())


@both
@pytest.mark.parametrize(
    ("options", "concern"),
    [
        ("", {"w": "majority", "j": True, "wtimeout": 10_000}),
        ("&w=1&journal=false", {"w": 1, "j": False, "wtimeout": 10_000}),
        ("&WTIMEOUTMS=500", {"w": "majority", "j": True, "wtimeout": 500}),
    ],
)
def test_the_url_decides_how_safe_a_write_is(
    server: OwnMongod,
    own: str,
    commands: list[CommandStartedEvent],
    make: Any,
    options: str,
    concern: dict[str, Any],
) -> None:
    """An acknowledged write is lost in a failover."""
    with make(server.url + options, own) as store:
        store.set("k", 1, ttl=100)
        store.hset("k", "f", 2)
        store.delete("k")
    asked = [(event.command_name, event.command["writeConcern"]) for event in commands]
    wanted = ["createIndexes", "update", "findAndModify", "delete"]
    assert asked == [(command, concern) for command in wanted]


class _Names:
    """A DNS server, which knows the same of every name.

    Attributes:
        answers: type of the record -> text.
        failing: how many queries it fails to answer first.
    """

    def __init__(self, answers: dict[str, str], failing: int) -> None:
        self.answers, self.failing = answers, failing
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def _serve(self) -> None:
        while True:
            data, client = self._socket.recvfrom(4096)
            if not data:
                self._socket.close()
                return
            query = dns.message.from_wire(data)
            reply = dns.message.make_response(query)
            kind = dns.rdatatype.to_text(query.question[0].rdtype)
            if self.failing:
                self.failing -= 1
                reply.set_rcode(dns.rcode.SERVFAIL)
            elif kind in self.answers:
                name = query.question[0].name
                reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, self.answers[kind]))
            self._socket.sendto(reply.to_wire(), client)

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()


@both
def test_a_name_of_the_domain_system_is_looked_up_when_used(
    server: OwnMongod, own: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store cannot be made without a network, or a moment without names is told as an error."""
    names = _Names({"SRV": f"0 0 {server.port} node.praison.test.", "A": "127.0.0.1"}, 1)
    for module in (dns.resolver, dns.asyncresolver):
        resolver = module.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], names.port
        monkeypatch.setattr(module, "default_resolver", resolver)
    dns.resolver.override_system_resolver(dns.resolver.default_resolver)
    url = "mongodb+srv://state.praison.test/?tls=false&replicaSet=rs0"
    try:
        with make(url, own, retry_delay=0.01) as store:
            assert names.failing == 1
            store.set("k", 1)
            assert "state.praison.test/" in repr(store)
        names.failing = 4
        with (
            make(url, own, retry_delay=0.01) as store,
            pytest.raises(UnavailableError, match="4 attempts"),
        ):
            store.get("k")
    finally:
        dns.resolver.restore_system_resolver()
        names.close()
    with make(server.url, own) as store:
        assert store.get("k") == 1
