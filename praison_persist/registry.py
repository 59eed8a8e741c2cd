"""Backends by name: built-in rows, factories registered at run time, and installed plugins."""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from praison_persist._lazy import load
from praison_persist.errors import ConfigurationError, MissingDependencyError, UnknownBackendError

__all__ = ["Backend", "PluginRegistry", "StoreRegistry", "Tested", "create_lazy_getattr"]

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


class MissingPluginError(MissingDependencyError, ConfigurationError):
    """What a plugin needs is not installed. praisonai raises a ValueError, which this is too."""


class PluginRegistry(Generic[T]):
    """Objects by name. Names and aliases are lower case.

    An explicit `register` wins over a built-in of the same name, a built-in over an installed
    plugin. Plugins are looked up in their entry-point group on the first name that is unknown.

    Args:
        entry_point_group: where installed packages announce theirs.
        builtins: name -> a function without arguments that returns the object; called once.
        discover_entry_points: whether installed plugins are looked up at all.
        legacy_entry_point_groups: other names of the group. A plugin that is found in one of
            these alone is used, with a DeprecationWarning.
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
        self._legacy_groups = tuple(legacy_entry_point_groups)
        self._discover = discover_entry_points
        self._lock = threading.RLock()
        self._loaders: dict[str, Callable[[], T]] = {
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

    def register(self, name: str, plugin: T, *, aliases: Iterable[str] | None = None) -> None:
        """Make `plugin` available as `name` and under `aliases`."""
        key, others = _name(name), [_name(alias) for alias in aliases or ()]
        with self._lock:
            self._registered[key] = plugin
            self._aliases |= dict.fromkeys(others, key)

    def unregister(self, name: str) -> bool:
        """Forget a name with its aliases, or an alias alone. Return whether there was such a name.

        A built-in that was hidden by a registered name is there again.
        """
        key = _name(name)
        with self._lock:
            if key in self._registered:
                del self._registered[key]
                self._aliases = _without(self._aliases, key)
                return True
            for known in (self._loaders, self._entry_points()):
                if key in known:
                    del known[key]
                    self._loaded.pop(key, None)
                    self._aliases = _without(self._aliases, key)
                    self._builtin_aliases = _without(self._builtin_aliases, key)
                    return True
            aliases = self._aliases if key in self._aliases else self._builtin_aliases
            return aliases.pop(key, None) is not None

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
            if key in self._loaded:
                return self._loaded[key]
            source = self._source(key)
        if source is None:
            raise UnknownBackendError(self._unknown(name))
        # Without the lock: what is imported now may wait for a thread that waits for this registry.
        plugin = _loaded(source, name)
        with self._lock:
            if self._source(key) is source:  # nobody took it away meanwhile
                self._loaded[key] = plugin
        return plugin

    def _source(self, key: str) -> Callable[[], T] | EntryPoint | None:
        """Return what loads a built-in or an installed plugin."""
        return self._loaders.get(key) or self._entry_points().get(key)

    def create(self, name: str, *args: Any, **options: Any) -> Any:
        """Call the object of this name, a class or a factory, and return the result.

        Raises:
            UnknownBackendError, MissingDependencyError: see `resolve`.
        """
        factory: Any = self.resolve(name)
        return factory(*args, **options)

    def _unknown(self, name: str) -> str:
        return f"Unknown {self._group} plugin: {name!r}. Available: {self.list_names()}"

    def _canonical(self, name: str) -> str:
        # A real name is never hidden by an alias, whichever came first.
        key = _name(name)
        if key in self._registered or key in self._loaders:
            return key
        return self._aliases.get(key) or self._builtin_aliases.get(key, key)

    def _entry_points(self) -> dict[str, EntryPoint]:
        """Return the installed plugins by name, none of them loaded yet."""
        with self._lock:
            if self._plugins is None:
                self._plugins = self._found() if self._discover else {}
            return self._plugins

    def _found(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for group in filter(None, (self._group, *self._legacy_groups)):
            for point in entry_points(group=group):
                key = point.name.lower()
                if key not in found and group != self._group:
                    warnings.warn(
                        f"The entry point {point.name!r} is in the group {group!r}, whose name is "
                        f"deprecated; declare it in {self._group!r}",
                        DeprecationWarning,
                        stacklevel=2,
                    )
                found.setdefault(key, point)
        return found

    def has(self, name: str) -> bool:
        """Whether the name or alias is known."""
        with self._lock:
            key = self._canonical(name)
            known = (self._registered, self._loaders, self._entry_points())
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
            return sorted({*self._loaders, *self._registered, *self._entry_points()})

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

    def get_by_attr(self, module_name: str, attr_name: str) -> T:
        """Return the object of a name as the attribute of a module: for a module's `__getattr__`.

        Raises:
            AttributeError: the name is unknown, or what it needs is not installed.
        """
        try:
            return self.resolve(attr_name)
        except (UnknownBackendError, MissingDependencyError) as error:
            raise AttributeError(
                f"module {module_name!r} has no attribute {attr_name!r}: {error}"
            ) from error


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
        self, name: str, factory: Callable[..., Any], *, aliases: Iterable[str] | None = None
    ) -> None:
        """Make `factory(url=…, **options)` available as `name` and under `aliases`."""
        self.register(name, factory, aliases=aliases)

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


def create_lazy_getattr(registry: PluginRegistry[T]) -> Callable[[str], T]:
    """Return a function that is a module's `__getattr__`: the registry's names are attributes.

    The module is the one that calls this.
    """
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    module = caller.f_globals.get("__name__", "") if caller is not None else ""
    return functools.partial(registry.get_by_attr, module)


def _loaded(source: Callable[[], T] | EntryPoint, name: str) -> T:
    """Return a built-in object, or the one that an installed plugin's entry point names."""
    try:
        # With the backport importlib_metadata loaded, an entry point is of its class.
        plugin: T = source() if callable(source) else source.load()
    except MissingDependencyError:
        raise  # says already what to install
    except ImportError as error:
        raise MissingPluginError(
            f"Plugin {name!r} is registered but its dependencies are not installed: {error}"
        ) from error
    return plugin


def _without(aliases: Mapping[str, str], name: str) -> dict[str, str]:
    return {alias: target for alias, target in aliases.items() if target != name}


def _name(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"A backend's name is a non-empty string, not {name!r}")
    return name.lower()
