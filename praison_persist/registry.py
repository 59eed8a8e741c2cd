"""Backends by name: built-in rows, factories registered at run time, and installed plugins."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from praison_persist._lazy import load
from praison_persist.errors import ConfigurationError, MissingDependencyError, UnknownBackendError

__all__ = ["Backend", "PluginRegistry", "StoreRegistry", "Tested"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tested:
    """What the tests of a backend run against, with the client library that a user has.

    Attributes:
        on: "engine", the vendor's own; "emulator", somebody else's server of the same protocol;
            "shim", a proxy of the tests before an engine of another kind; "fake", a server of the
            tests that speaks the protocol.
        versions: of servers and client libraries.
        untested: what that leaves open.
    """

    on: Literal["engine", "emulator", "shim", "fake"]
    versions: str
    untested: str = ""


@dataclass(frozen=True, slots=True)
class Backend:
    """A built-in backend.

    Attributes:
        path: "module:attribute" of its factory; imported when first created.
        extra: of this package, that installs what it needs.
        from_url: "module:function" that returns the factory's options for a URL; none: the factory
            takes it as `url`.
        title: what people call it.
        tested: of a backend that has two rows, one for each colour, the first says it for both.
    """

    name: str
    path: str
    aliases: tuple[str, ...] = ()
    extra: str = ""
    from_url: str = ""
    title: str = ""
    tested: Tested | None = None


class PluginRegistry(Generic[T]):
    """Objects by name. Names and aliases are lower case.

    An explicit `register` wins over a built-in of the same name, a built-in over an installed
    plugin. Plugins are looked up in their entry-point group on the first name that is unknown.

    Args:
        entry_point_group: where installed packages announce theirs.
        builtins: name -> the object, or a function without arguments that returns it.
    """

    _defaults: ClassVar[dict[type, Any]] = {}
    _defaults_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        *,
        entry_point_group: str = "",
        builtins: Mapping[str, Callable[[], T]] | None = None,
        discover_entry_points: bool = True,
        legacy_entry_point_groups: Sequence[str] = (),
    ) -> None:
        self._group = entry_point_group
        self._groups = [g for g in (entry_point_group, *legacy_entry_point_groups) if g]
        self._discover = discover_entry_points
        self._lock = threading.RLock()
        self._builtins: dict[str, Callable[[], T]] = {
            name.lower(): loader for name, loader in (builtins or {}).items()
        }
        self._registered: dict[str, T] = {}
        self._aliases: dict[str, str] = {}
        self._builtin_aliases: dict[str, str] = {}
        self._plugins: dict[str, EntryPoint] | None = None
        self._loaded: dict[str, T] = {}

    @classmethod
    def default(cls) -> Self:
        """Return the process's instance of this class, made on the first call.

        Raises:
            TypeError: the class cannot be made without arguments.
        """
        with PluginRegistry._defaults_lock:
            if cls not in PluginRegistry._defaults:
                PluginRegistry._defaults[cls] = cls()
            instance: Self = PluginRegistry._defaults[cls]
            return instance

    def register(self, name: str, plugin: T, *, aliases: Iterable[str] = ()) -> None:
        """Make `plugin` available as `name` and under `aliases`."""
        with self._lock:
            key = _name(name)
            self._registered[key] = plugin
            for alias in aliases:
                self._aliases[_name(alias)] = key

    def unregister(self, name: str) -> bool:
        """Forget what `register` added, with its aliases. Return whether there was such a name."""
        with self._lock:
            key = _name(name)
            known = self._registered.pop(key, None) is not None
            if known:
                self._aliases = {a: target for a, target in self._aliases.items() if target != key}
            return known

    def resolve(self, name: str) -> T:
        """Return the object of this name or alias.

        Raises:
            UnknownBackendError: there is none; lists the names there are.
            MissingDependencyError: what it needs is not installed.
        """
        with self._lock:
            key = self._canonical(name)
            if key in self._registered:
                return self._registered[key]
            if key in self._builtins:
                return self._load(key)
            if key in self._entry_points():
                return self._load_plugin(key)
        raise UnknownBackendError(self._unknown(name))

    def _unknown(self, name: str) -> str:
        return f"Unknown {self._group} plugin: {name!r}. Available: {self.list_names()}"

    def _load(self, key: str) -> T:
        return self._builtins[key]()

    def _canonical(self, name: str) -> str:
        # A real name is never hidden by an alias, whichever came first.
        key = _name(name)
        if key in self._registered or key in self._builtins:
            return key
        return self._aliases.get(key) or self._builtin_aliases.get(key, key)

    def _entry_points(self) -> dict[str, EntryPoint]:
        """Return the installed plugins by name, none of them loaded yet."""
        with self._lock:
            if self._plugins is None:
                self._plugins = {}
                for group in self._groups if self._discover else ():
                    for point in entry_points(group=group):
                        self._plugins.setdefault(point.name.lower(), point)
            return self._plugins

    def _load_plugin(self, key: str) -> T:
        """Return what an entry point names: that *is* the object."""
        if key not in self._loaded:
            self._loaded[key] = _load_entry_point(self._entry_points()[key])
        return self._loaded[key]

    def has(self, name: str) -> bool:
        """Whether the name or alias is known."""
        with self._lock:
            key = self._canonical(name)
            known = (self._registered, self._builtins, self._entry_points())
            return any(key in names for names in known)

    def is_available(self, name: str) -> bool:
        """Whether the name is known and what it needs is installed."""
        try:
            self.resolve(name)
        except (UnknownBackendError, MissingDependencyError):
            return False
        return True

    def list_names(self) -> list[str]:
        """Return all names, sorted, without aliases."""
        with self._lock:
            return sorted({*self._builtins, *self._registered, *self._entry_points()})

    def list_registered(self) -> list[str]:
        """Return all names, sorted, without aliases."""
        return self.list_names()

    def list_aliases(self) -> dict[str, str]:
        """Return alias -> name."""
        with self._lock:
            known = {**self._builtin_aliases, **self._aliases}
            return {alias: name for alias, name in known.items() if alias not in self._registered}

    def list_all_names(self) -> list[str]:
        """Return all names and aliases, sorted."""
        return sorted({*self.list_names(), *self.list_aliases()})

    def get_by_attr(self, attribute: str, value: object) -> T | None:
        """Return the first available object, by name, whose `attribute` equals `value`."""
        for name in self.list_names():
            if self.is_available(name):
                plugin = self.resolve(name)
                if getattr(plugin, attribute, None) == value:
                    return plugin
        return None


class StoreRegistry(PluginRegistry[Callable[..., Any]]):
    """Factories of one kind of store.

    Args:
        kind: "conversation", "knowledge" or "state".
        backends: the built-in rows.
    """

    def __init__(
        self, kind: str, entry_point_group: str | None = None, *, backends: Iterable[Backend] = ()
    ) -> None:
        rows = list(backends)
        super().__init__(
            entry_point_group=entry_point_group or f"praisonai.{kind}_stores",
            builtins={row.name: _loader(row) for row in rows},
        )
        self.kind = kind
        self._builtin_aliases = {alias: row.name for row in rows for alias in row.aliases}

    @classmethod
    def default(cls) -> Self:
        """A registry of stores is of one kind: ask for it by kind.

        Raises:
            ConfigurationError: always, naming `get_default_registry`.
        """
        raise ConfigurationError(
            "There is one StoreRegistry a kind: call get_default_registry('conversation'), "
            "('knowledge') or ('state')"
        )

    def register_store(
        self, name: str, factory: Callable[..., Any], *, aliases: Iterable[str] = ()
    ) -> None:
        """Make `factory(url=…, **options)` available as `name` and under `aliases`."""
        self.register(name, factory, aliases=aliases)

    def create(self, name: str, **options: Any) -> Any:
        """Call the factory of this name with `options` and return the store.

        Raises:
            UnknownBackendError, MissingDependencyError: see `resolve`.
        """
        return self.resolve(name)(**options)

    def _unknown(self, name: str) -> str:
        return f"Unknown {self.kind} backend: {name}. Registered: {self.list_names()}"


def _loader(row: Backend) -> Callable[[], Callable[..., Any]]:
    def loader() -> Callable[..., Any]:
        factory: Callable[..., Any] = load(row.path, name=row.name, extra=row.extra)
        return _with_url(factory, row) if row.from_url else factory

    return loader


def _with_url(factory: Callable[..., Any], row: Backend) -> Callable[..., Any]:
    """Return the factory, which also takes a `url` and gets the options that it stands for."""

    @functools.wraps(factory)
    def with_url(*args: Any, url: str | None = None, **options: Any) -> Any:
        if url is None:
            return factory(*args, **options)
        given = load(row.from_url, name=row.name)(url)
        twice = sorted(given.keys() & options.keys())
        if twice:
            raise ConfigurationError(
                f"{row.name}: the URL says {', '.join(twice)} already; leave it out of the options"
            )
        return factory(*args, **given, **options)

    return with_url


def _load_entry_point(point: EntryPoint) -> Any:
    try:
        return point.load()
    except ImportError as error:
        raise MissingDependencyError(
            f"Plugin {point.name!r} is registered but its dependencies are not installed: {error}"
        ) from error


def _name(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"A backend's name is a non-empty string, not {name!r}")
    return name.lower()
