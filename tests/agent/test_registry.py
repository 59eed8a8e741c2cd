"""Backends by name: built in, registered or installed, in the mode that is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from praison_persist import (
    AsyncConversationStore,
    AsyncSQLConversationStore,
    ConfigurationError,
    ConversationMessage,
    ConversationSession,
    ConversationStore,
    MissingDependencyError,
    PluginRegistry,
    PraisonAIDB,
    SQLConversationStore,
    StoreRegistry,
    UnknownBackendError,
    create_conversation_store,
    get_default_registry,
)
from praison_persist.config import detect_backend
from praison_persist.registry import Backend, create_lazy_getattr

POSTGRES, MYSQL = "postgresql://u:secret@127.0.0.1:9/d", "mysql://u:secret@127.0.0.1:9/d"
SINGLESTORE = "singlestoredb://u:secret@127.0.0.1:9/d"


@pytest.fixture
def registry() -> StoreRegistry:
    """A registry of its own: an echo of what its factories are called with."""
    made = StoreRegistry(
        "conversation", backends=[Backend("builtin", "builtins:dict", aliases=("built",))]
    )
    made.register_store("mine", lambda **options: ("mine", options), aliases=("m", "Mi"))
    return made


@pytest.fixture
def conversation_stores() -> Iterator[StoreRegistry]:
    """The registry of the process; what a test registers as "extra" is forgotten afterwards."""
    stores = get_default_registry("conversation")
    yield stores
    stores.unregister("extra")


class TestNames:
    @pytest.mark.parametrize(
        ("name", "cls", "url"),
        [
            ("postgres", "PostgresConversationStore", POSTGRES),
            ("async_postgres", "AsyncPostgresConversationStore", POSTGRES),
            ("asyncpg", "AsyncPostgresConversationStore", POSTGRES),
            ("postgres_async", "AsyncPostgresConversationStore", POSTGRES),
            ("mysql", "MySQLConversationStore", MYSQL),
            ("async_mysql", "AsyncMySQLConversationStore", MYSQL),
            ("aiomysql", "AsyncMySQLConversationStore", MYSQL),
            ("mysql_async", "AsyncMySQLConversationStore", MYSQL),
            ("singlestore", "SingleStoreConversationStore", SINGLESTORE),
            ("sqlite", "SQLiteConversationStore", ":memory:"),
            ("sync_sqlite", "SyncSQLiteConversationStore", ":memory:"),
            ("sqlite_sync", "SyncSQLiteConversationStore", ":memory:"),
            ("async_sqlite", "AsyncSQLiteConversationStore", ":memory:"),
            ("aiosqlite", "AsyncSQLiteConversationStore", ":memory:"),
            ("sqlite_async", "AsyncSQLiteConversationStore", ":memory:"),
            ("SQLite", "SQLiteConversationStore", ":memory:"),
        ],
    )
    def test_documented_names_and_aliases(self, name: str, cls: str, url: str) -> None:
        assert type(create_conversation_store(name, url)).__name__ == cls
        assert type(get_default_registry("conversation").create(name, url=url)).__name__ == cls

    @pytest.mark.parametrize("mode", ["sync", "async", "auto"])
    @pytest.mark.parametrize(
        ("names", "url"),
        [
            (("postgres", "async_postgres", "asyncpg", "postgres_async"), POSTGRES),
            (("mysql", "async_mysql", "aiomysql", "mysql_async"), MYSQL),
            (("sqlite", "sync_sqlite", "async_sqlite", "aiosqlite", "sqlite_sync"), ":memory:"),
        ],
    )
    def test_a_mode_chooses_the_colour_whatever_the_name_says(
        self, mode: str, names: tuple[str, ...], url: str
    ) -> None:
        for name in names:
            store = create_conversation_store(name, url, mode)
            is_async = mode == "async" or (
                mode == "auto" and ("async" in name or name.startswith("aio"))
            )
            if is_async:
                assert isinstance(store, AsyncSQLConversationStore)
            else:
                assert isinstance(store, SQLConversationStore)

    def test_a_mode_adapts_a_backend_that_has_only_the_other_colour(
        self, registry: StoreRegistry
    ) -> None:
        registry.register("blue", lambda url: SQLConversationStore(url))
        registry.register("red", lambda url: AsyncSQLConversationStore(url))
        made = {
            mode: create_conversation_store(name, ":memory:", mode, registry=registry)
            for mode, name in (("async", "blue"), ("sync", "red"))
        }
        assert isinstance(made["async"], AsyncConversationStore)
        assert isinstance(made["sync"], ConversationStore)
        store = made["sync"]
        store.create_session(ConversationSession(session_id="s"))
        store.add_message("s", ConversationMessage(role="user", content="hi"))
        assert [message.content for message in store.get_messages("s")] == ["hi"]
        store.close()

    def test_an_unknown_mode(self) -> None:
        with pytest.raises(
            ValueError, match=r"^Invalid conversation mode: x. Expected sync\|async"
        ):
            create_conversation_store("sqlite", mode="x")

    @pytest.mark.parametrize("kind", ["conversation", "knowledge", "state"])
    def test_there_is_one_registry_a_kind(self, kind: str) -> None:
        assert get_default_registry(kind) is get_default_registry(kind)
        assert get_default_registry(kind).kind == kind

    def test_an_unknown_kind(self) -> None:
        with pytest.raises(ValueError, match="'widgets'"):
            get_default_registry("widgets")

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("x.db", "sqlite"),
            ("/data/x", "sqlite"),
            (":memory:", "sqlite"),
            ("C:\\data\\x.db", "sqlite"),
            ("sqlite:///x.db", "sqlite"),
            ("postgres://h/d", "postgres"),
            ("postgresql://h/d", "postgres"),
            ("postgresql+psycopg://h/d", "postgres"),
            ("mysql+pymysql://h/d", "mysql"),
            ("MariaDB://h/d", "mysql"),
            ("singlestoredb+mysql://h/d", "singlestore"),
        ],
    )
    def test_a_url_tells_its_backend(self, url: str, name: str) -> None:
        assert detect_backend(url) == name

    @pytest.mark.parametrize("url", ["oracle://h/d", "://x", "postgresql:/u:secret@h/d"])
    def test_a_url_that_tells_none(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            detect_backend(url)
        assert "secret" not in str(caught.value)


class TestRegistering:
    def test_a_factory_is_called_once_with_what_create_is_given(
        self, registry: StoreRegistry
    ) -> None:
        assert registry.create("mine", url="u", size=3) == ("mine", {"url": "u", "size": 3})

    @pytest.mark.parametrize("name", ["mine", "MINE", "m", "mi"])
    def test_names_and_aliases_are_found_in_any_case(
        self, registry: StoreRegistry, name: str
    ) -> None:
        assert registry.create(name) == ("mine", {})
        assert registry.has(name)
        assert registry.is_available(name)

    def test_the_lists(self, registry: StoreRegistry) -> None:
        assert registry.list_registered() == registry.list_names() == ["builtin", "mine"]
        assert registry.list_aliases() == {"m": "mine", "mi": "mine", "built": "builtin"}
        assert registry.list_all_names() == ["built", "builtin", "m", "mi", "mine"]

    def test_unregister_forgets_aliases_too(self, registry: StoreRegistry) -> None:
        assert registry.unregister("Mine")
        assert not registry.unregister("mine")
        assert not registry.has("m")
        assert registry.list_names() == ["builtin"]

    def test_a_real_name_is_not_hidden_by_an_alias(self, registry: StoreRegistry) -> None:
        registry.register("m", lambda **_: "the real m")
        assert registry.create("m") == "the real m"
        assert "m" not in registry.list_aliases()
        registry.unregister("m")
        assert registry.create("m") == ("mine", {})

    def test_an_alias_does_not_hide_a_builtin(self, registry: StoreRegistry) -> None:
        registry.register("other", lambda **_: "other", aliases=("builtin", "built"))
        assert registry.create("builtin") == {}
        assert registry.create("built") == "other"
        registry.unregister("other")
        assert registry.create("built") == {}

    def test_a_registered_name_hides_a_builtin(self, registry: StoreRegistry) -> None:
        registry.register("builtin", lambda **_: "mine now")
        assert registry.create("builtin") == "mine now"
        registry.unregister("builtin")
        assert registry.create("builtin", a=1) == {"a": 1}

    def test_an_unknown_name_lists_those_there_are(self, registry: StoreRegistry) -> None:
        text = r"^Unknown conversation backend: nosuch. Registered: \['builtin', 'mine'\]$"
        with pytest.raises(UnknownBackendError, match=text):
            registry.create("nosuch")
        with pytest.raises(ValueError, match="nosuch"):
            create_conversation_store("nosuch")
        assert not registry.is_available("nosuch")

    @pytest.mark.parametrize("name", ["", None, 3])
    def test_a_name_that_is_none(self, registry: StoreRegistry, name: Any) -> None:
        with pytest.raises(ConfigurationError, match="non-empty string"):
            registry.register(name, dict)

    def test_a_backend_whose_package_is_missing(self) -> None:
        registry = StoreRegistry(
            "conversation", backends=[Backend("far", "nosuchpackage.store:Store", extra="far")]
        )
        with pytest.raises(MissingDependencyError, match=r"pip install 'praison-persist\[far\]'"):
            registry.create("far")
        assert registry.has("far")
        assert not registry.is_available("far")
        with pytest.raises(AttributeError, match=r"'stores' has no attribute 'far'.*pip install"):
            registry.get_by_attr("stores", "far")

    def test_found_as_an_attribute_of_a_module(self, registry: StoreRegistry) -> None:
        registry.register("plain", dict)
        assert registry.get_by_attr("stores", "plain") is dict
        with pytest.raises(AttributeError, match="'stores' has no attribute 'nosuch'"):
            registry.get_by_attr("stores", "nosuch")
        __getattr__ = create_lazy_getattr(registry)
        assert __getattr__("plain") is dict
        with pytest.raises(AttributeError, match=f"{__name__!r} has no attribute 'nosuch'"):
            __getattr__("nosuch")

    def test_names_that_are_taken_away(self, registry: StoreRegistry) -> None:
        """An alias alone, a name with its aliases, a built-in: what is left still works."""
        registry.register("plain", dict, aliases=("p", "q"))
        assert registry.unregister("p")
        assert registry.has("q")
        assert not registry.has("p")
        assert registry.unregister("plain")
        assert not registry.has("q")
        assert registry.unregister("builtin")
        assert not registry.has("built")
        assert not registry.unregister("builtin")
        with pytest.raises(UnknownBackendError):
            registry.resolve("builtin")

    def test_a_builtin_is_loaded_once_and_made_each_time(self) -> None:
        loads: list[str] = []

        def loader() -> Any:
            loads.append("load")
            return list

        registry = PluginRegistry[Any](builtins={"Plain": loader})
        assert loads == []
        assert registry.create("plain", "ab") == ["a", "b"]
        assert registry.create("PLAIN") == []
        assert loads == ["load"]

    def test_a_loader_may_ask_the_registry_from_another_thread(self) -> None:
        """An import that waits for a thread which waits for the registry never ends."""

        def loader() -> Any:
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(mine.resolve, "inner").result(timeout=30)

        mine = PluginRegistry[Any](builtins={"inner": lambda: int, "outer": loader})
        assert mine.resolve("outer") is int

    def test_what_a_plugin_lacks_is_an_import_error_and_a_value_error(self) -> None:
        def loader() -> Any:
            raise ModuleNotFoundError("No module named 'far'", name="far")

        registry = PluginRegistry[Any](builtins={"far": loader})
        text = "^Plugin 'far' is registered but its dependencies are not installed: No module"
        with pytest.raises(ValueError, match=text):
            registry.resolve("far")
        with pytest.raises(ImportError, match=text):
            registry.resolve("far")
        assert not registry.is_available("far")

    def test_a_registered_backend_keeps_a_conversation(
        self, conversation_stores: StoreRegistry, tmp_path: Path
    ) -> None:
        def factory(url: str | None = None, **options: Any) -> SQLConversationStore:
            return SQLConversationStore((url or "").removeprefix("extra://"), **options)

        conversation_stores.register("extra", factory, aliases=("xt",))
        with PraisonAIDB(f"extra://{tmp_path / 'x.db'}") as db:
            db.on_user_message("s", "hi")
            assert [message.content for message in db.get_messages("s")] == ["hi"]
        with PraisonAIDB(str(tmp_path / "x.db"), database_backend="xt") as db:
            assert db.get_session("s") is not None

    def test_threads_register_and_create_at_the_same_time(self, registry: StoreRegistry) -> None:
        errors: list[BaseException] = []
        start = threading.Barrier(8)

        def work(number: int) -> None:
            try:
                start.wait()
                for turn in range(100):
                    name = f"n{number}-{turn}"
                    registry.register(name, lambda **_: name, aliases=(f"a{name}",))  # noqa: B023 - it is never called
                    assert registry.create(f"a{name}") == name
                    registry.list_all_names()
                    assert registry.has("mine")
                    assert registry.unregister(name)
            except BaseException as error:  # noqa: BLE001 - reported below
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert registry.list_names() == ["builtin", "mine"]


class TestDefaults:
    def test_each_class_has_one_instance(self) -> None:
        class One(PluginRegistry[Any]):
            pass

        class Other(PluginRegistry[Any]):
            pass

        found: list[One] = []
        threads = [threading.Thread(target=lambda: found.append(One.default())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(one) for one in found}) == 1
        other: object = Other.default()
        assert other is not found[0]
        One.default().register("x", 1)
        assert One.default().resolve("x") == 1

    def test_a_generic_registry_names_its_group(self) -> None:
        registry: PluginRegistry[int] = PluginRegistry(
            entry_point_group="nosuch.group", builtins={"One": lambda: 1}
        )
        assert registry.resolve("one") == 1
        text = r"Unknown nosuch.group plugin: 'x'. Available: \['one'\]"
        with pytest.raises(UnknownBackendError, match=text):
            registry.resolve("x")

    def test_store_registries_are_had_by_kind(self) -> None:
        with pytest.raises(ConfigurationError, match="get_default_registry"):
            StoreRegistry.default()


def test_plugins_of_a_deprecated_group_are_found_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename of the group makes every installed plugin disappear."""
    info = tmp_path / "old-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: old\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[old.group]\nboth = builtins:list\nlone = builtins:set\nown = builtins:str\n"
        "[new.group]\nboth = builtins:dict\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def registry(*, discover: bool) -> PluginRegistry[Any]:
        return PluginRegistry(
            entry_point_group="new.group",
            builtins={"own": lambda: int},
            legacy_entry_point_groups=("old.group",),
            discover_entry_points=discover,
        )

    found = registry(discover=True)
    with pytest.warns(DeprecationWarning, match=r"'lone'.*'old\.group'.*'new\.group'"):
        assert found.resolve("lone") is set
    assert found.resolve("both") is dict
    assert found.resolve("own") is int
    assert registry(discover=False).list_names() == ["own"]
