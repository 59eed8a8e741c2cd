"""Database URLs: every form that people write, to a dialect and an exact SQLAlchemy URL."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.util import immutabledict

from praison_persist._masked import masked
from praison_persist.errors import (
    ConfigurationError,
    MissingDependencyError,
    UnsupportedError,
)
from praison_persist.sql import presets
from praison_persist.sql.dialects import DIALECTS, SQLITE, Dialect, Driver, flag

__all__ = ["Target", "parse_url"]

_MEMORY = ":memory:"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_HOST = re.compile(r"[A-Za-z0-9.-]+:[0-9]{1,5}")  # one of several
_AUTHORITY = re.compile("[/?]")  # ends it
_SPREAD = ("load_balance_hosts", "random")  # libpq's words, for all drivers
_BY_SCHEME = {scheme: dialect for dialect in DIALECTS.values() for scheme in dialect.schemes}

for _dialect in DIALECTS.values():
    if _dialect.registered:
        for _driver in _dialect.drivers:
            _class = _driver.sqlalchemy_class.split(":")
            registry.register(f"{_dialect.registered}.{_driver.name}", *_class)
        # Without a driver, to write statements that nothing executes.
        registry.register(_dialect.registered, *_dialect.drivers[0].sqlalchemy_class.split(":"))


@dataclass(frozen=True, slots=True)
class Target:
    """A database to connect to.

    Attributes:
        url: without a driver and without a query.
        memory: an SQLite database that lives and dies with its one connection.
        written_driver: the driver named in the URL, if any.
        query: the URL's query, in the words of its writer.
        replica: the file of an embedded replica, which reads are served from.
        sync_on_write: a write is acknowledged when the replica holds it.
    """

    dialect: Dialect
    url: URL
    written_driver: str | None = None
    memory: bool = False
    query: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    replica: Path | None = None
    sync_on_write: bool = True

    def __str__(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def address(self) -> str:
        """Where it is, for error messages: host and port, or the file."""
        if self.dialect is SQLITE:
            return self.url.database or _MEMORY
        found = self.url.host or self.query.get("host") or self.query.get("unix_socket")
        host = found if isinstance(found, str) else ",".join(found or ["localhost"])
        port = f":{self.url.port}" if self.url.port else ""
        return f"{host}{port}/{self.url.database or ''}"

    def web_url(self, *, encrypted: bool) -> str:
        """Return the URL of a server that speaks HTTP."""
        port = f":{self.url.port}" if self.url.port else ""
        host = f"[{self.url.host}]" if ":" in str(self.url.host) else self.url.host
        return f"{'https' if encrypted else 'http'}://{host}{port}"

    @property
    def option_defaults(self) -> dict[str, Any]:
        """Defaults of SQLOptions that are other than usual, because of where the database is."""
        found = dict(self.dialect.option_defaults)
        for preset in self._presets():
            found.update(preset.options)
        return found

    def _presets(self) -> tuple[presets.Preset, ...]:
        return presets.matching(self.hosts, self.query)

    @property
    def spread(self) -> bool:
        """Whether connections go to any of several hosts, instead of the first that serves."""
        return self.query.get(_SPREAD[0]) == _SPREAD[1]

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler may give each transaction another connection of the server."""
        return any(preset.is_pooler for preset in self._presets())

    @property
    def hosts(self) -> list[tuple[str, int | None]]:
        """The names and ports of the servers, as far as the URL tells."""
        if self.url.host:
            return [(self.url.host, self.url.port)]
        hosts = []
        ports = iter(_several(self.query.get("port", ())))
        for host in _several(self.query.get("host", ())):
            name, _, port = host.partition(":")
            port = port or next(ports, "")
            hosts.append((name, int(port) if port.isdecimal() else None))
        return hosts

    def driver(self, *, is_async: bool) -> Driver:
        """Return the driver for this colour: the written one if it fits, else the first installed.

        One that is not written has to heed all that the URL asks for.

        Raises:
            MissingDependencyError: none is installed.
            UnsupportedError: there is none, but there is one for the other colour.
        """
        of_colour = [d for d in self.dialect.drivers if d.is_async == is_async]
        written = [d for d in of_colour if d.name == self.written_driver]
        candidates = written or [d for d in of_colour if not self._unheeded(d)]
        for driver in candidates:
            if find_spec(driver.module) is not None:
                return driver
        colour = "asyncio" if is_async else "sync"
        if not of_colour:
            self.driver(is_async=not is_async)
            raise UnsupportedError(f"There is no {colour} driver for {self.dialect.name}")
        names = " or ".join(driver.name for driver in candidates)
        keys = ", ".join(sorted(key for driver in of_colour for key in self._unheeded(driver)))
        extra = (candidates or self.dialect.drivers)[0].extra
        heeding = f" that heeds {keys}" if keys and not written else ""
        raise MissingDependencyError(
            f"No {colour} driver for {self.dialect.name}{heeding} is installed ({names}). "
            f"Install one: pip install 'praison-persist[{extra}]'"
        )

    def connect_args(self, driver: Driver) -> dict[str, Any]:
        """Return keyword arguments for the driver's connect, beside what the URL carries.

        Raises:
            ConfigurationError: a key of the query that the driver cannot take, or a value that
                is not of its type.
        """
        renamed = self._in_words_of(driver)
        defaults = dict(driver.connect_args)
        for name, implied in driver.query_implies.items():
            defaults |= implied if name in renamed else {}
        for preset in self._presets():
            defaults |= preset.arguments(driver.name, self.query)
        for variable, name in driver.environment.items():
            if os.environ.get(variable):
                defaults[name] = os.environ[variable]
        args = {key: value for key, value in defaults.items() if key not in renamed}
        if driver.url_garbles:
            args |= self._parts()
        for name, value in renamed.items():
            into, _, leaf = name.rpartition(".")
            if into:
                args[into] = {**args.get(into, {}), leaf: value}
            elif name in driver.query_types:
                args[name] = self._typed(driver, name, value)
        if "dsn" in args:
            args["dsn"] = f"postgresql://?{urlencode(args['dsn'])}"  # asyncpg's, of any dialect
        return args

    def _parts(self) -> dict[str, Any]:
        """Return what the URL says besides its query, as arguments of connect."""
        parts = self.url.translate_connect_args(username="user")
        return {"host": "localhost", **parts}

    def _in_words_of(self, driver: Driver) -> dict[str, str | tuple[str, ...]]:
        """Return the query with the driver's names, without what it cannot honour."""
        known = driver.query_known
        unknown = set() if known is None else self.query.keys() - known - driver.query_names.keys()
        if unknown:
            raise ConfigurationError(
                f"The URL of {self.address} has a parameter that does not exist: "
                f"{', '.join(sorted(unknown))}. Known: {', '.join(sorted(known or ()))}"
            )
        unheeded = self._unheeded(driver)
        if unheeded:
            raise ConfigurationError(
                f"The URL of {self.address} asks for what {driver.name} would not heed: "
                f"{', '.join(sorted(unheeded))}. Name another driver, or none"
            )
        query = dict(self.query)
        for preset in self._presets():
            query = preset.unsaid(query)
        named = [(driver.query_names.get(key, key), value) for key, value in query.items()]
        return {name: value for name, value in named if name is not None}

    def _unheeded(self, driver: Driver) -> set[str]:
        """Return what the URL asks for, itself or by its host, that the driver would ignore."""
        asked = {
            f"TLS of {p.name}" for p in self._presets() if p.is_unsafe(driver.name, self.query)
        }
        return asked | (self.query.keys() & driver.query_refused)

    def _typed(self, driver: Driver, name: str, value: str | tuple[str, ...]) -> Any:
        try:
            return driver.query_types[name](str(value))
        except ValueError:
            raise ConfigurationError(
                f"The URL of {self.address} says {name}={value!r}, which is no value of it"
            ) from None

    def sqlalchemy_url(self, driver: Driver) -> URL:
        """Return the URL that makes SQLAlchemy use `driver`, its query in the driver's words."""
        query = {
            name: value
            for name, value in self._in_words_of(driver).items()
            if "." not in name and name not in driver.query_types
        }
        drivername = f"{self.dialect.registered or self.url.drivername}+{driver.name}"
        if driver.url_garbles:
            return URL.create(drivername, host=self.url.host, query=query)
        url = self.url.set(drivername=drivername)
        if driver.one_host and len(self.hosts) > 1:
            query = {key: value for key, value in query.items() if key not in ("host", "port")}
            host, port = self.hosts[0]
            url = url.set(host=host, port=port)
        return url.set(query=query)


def parse_url(url: str | os.PathLike[str] | URL) -> Target:
    """Parse a database URL, a plain SQLite path or ":memory:".

    `sqlite:///x.db` is relative, `sqlite:////x.db` absolute; what follows is percent-decoded.
    A plain path is taken literally.

    Raises:
        ConfigurationError: no URL of a SQL database; the message names the forms there are.
    """
    if isinstance(url, URL):
        url = url.render_as_string(hide_password=False)
    if isinstance(url, os.PathLike):
        return _sqlite(os.fspath(url), {})
    if not isinstance(url, str) or not url.strip():
        raise ConfigurationError(f"A database URL is a non-empty string or a path, not {url!r}")
    if "\x00" in url:
        raise ConfigurationError("A database URL cannot contain NUL")
    match = _SCHEME.match(url)
    scheme, _, driver = match.group(1).lower().partition("+") if match else ("", "", "")
    dialect = _BY_SCHEME.get(f"{scheme}+{driver}") or _BY_SCHEME.get(scheme) or _of_web(scheme, url)
    if match is None or not match.group(2):
        if scheme == "json":
            raise ConfigurationError(f"{url!r} is a folder of JSON files, not a SQL database")
        if dialect is not None or scheme == "file":
            raise ConfigurationError(
                f"{masked(url)!r} is neither a path nor a database URL, which has two slashes "
                f"behind the colon: {scheme if dialect else 'sqlite'}://…"
            )
        return _sqlite(url, {})
    if dialect is None:
        raise ConfigurationError(
            f"Unknown SQL scheme {scheme!r} in the database URL {masked(url)!r}. "
            f"Known: {', '.join(sorted(_BY_SCHEME))}, or a path of an SQLite file"
        )
    drivers = {d.name for d in dialect.drivers}
    if driver in dialect.refused_drivers:
        raise ConfigurationError(
            f"The driver {driver!r} in the database URL {masked(url)!r} cannot be used: "
            f"{dialect.refused_drivers[driver]}. Write {scheme}://…"
        )
    if driver and driver not in drivers | dialect.replaced_drivers:
        raise ConfigurationError(
            f"Unknown driver {driver!r} in the database URL {masked(url)!r}. "
            f"Known for {dialect.name}: {', '.join(sorted(drivers))}; it can be left out"
        )
    rest = url[match.end() :]
    if dialect.local and rest[:1] in ("", "/", "?"):
        dialect, driver = DIALECTS[dialect.local], ""
    if dialect is SQLITE:
        return _sqlite_url(rest, url, driver)
    implied = dialect.word_queries.get(driver or scheme, {})
    return _server_url(rest, url, dialect, "" if driver not in drivers else driver, implied)


def _of_web(scheme: str, url: str) -> Dialect | None:
    """Return the dialect whose hosts are served by HTTP, if this is one of them."""
    if scheme not in ("http", "https"):
        return None
    host = urlsplit(url).hostname or ""
    found = (d for d in DIALECTS.values() if d.web_hosts and host.endswith(d.web_hosts))
    return next(found, None)


def _sqlite_url(rest: str, url: str, driver: str) -> Target:
    location, _, query = rest.partition("?")
    if location and not location.startswith("/"):
        raise ConfigurationError(
            f"The SQLite URL {masked(url)!r} has a host. Write sqlite:///relative.db "
            "(three slashes) or sqlite:////absolute.db (four)"
        )
    # Decoded here, because SQLAlchemy does so only from 2.1 on.
    path = unquote(location[1:])
    return _sqlite(path, make_url(f"sqlite://?{query}").query if query else {}, driver)


def _sqlite(
    path: str, query: Mapping[str, str | tuple[str, ...]], driver: str | None = None
) -> Target:
    memory = path in ("", _MEMORY)
    # Expanded and made absolute, so that a later chdir does not move the database.
    database = _MEMORY if memory else str(_expanded(path).absolute())
    return Target(
        dialect=SQLITE,
        url=URL.create("sqlite", database=database),
        written_driver=driver or None,
        memory=memory,
        query=query,
    )


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user: a file whose name begins with "~"
        return Path(path)


def _server_url(
    rest: str, url: str, dialect: Dialect, driver: str, implied: Mapping[str, str]
) -> Target:
    hosts, rest = _several_hosts(rest, dialect)
    try:
        parsed = make_url(f"{dialect.name}://{rest}")
    except (ArgumentError, ValueError):
        parsed = None
    one_host = dialect.cluster_port is None and hosts
    if parsed is None or one_host or not all(_HOST.fullmatch(host) for host in hosts):
        raise ConfigurationError(
            f"{masked(url)!r} is not a database URL: write "
            f"{dialect.name}://user:password@host:port/database, with the password percent-encoded"
        ) from None
    query = {**implied, **parsed.query}
    if hosts:
        query["host"] = hosts
    dialect = _behind(dialect, parsed.host)
    bare = parsed.set(drivername=dialect.name, query=immutabledict())
    if bare.port is None and dialect.port is not None and "host" not in query:
        bare = bare.set(port=dialect.port)
    if bare.database and "%" in bare.database and _database_is_raw():
        bare = bare.set(database=unquote(bare.database))
    if bare.host and "%2f" in bare.host.lower():  # the directory of a socket, as libpq writes it
        query["host"] = unquote(bare.host)
        bare = bare.set(host="")
    target = Target(dialect=dialect, url=bare, written_driver=driver or None, query=query)
    return _replicated(target) if dialect.replicas else target


def _replicated(target: Target) -> Target:
    """Take out of the query what is about an embedded replica."""
    query = dict(target.query)
    path, sync = query.pop("local_path", None), str(query.pop("sync_on_write", "1"))
    try:
        on_write = flag(sync)
    except ValueError:
        raise ConfigurationError(
            f"The URL of {target.address} says sync_on_write={sync!r}; write 0 or 1"
        ) from None
    replica = _expanded(str(path)).absolute() if path else None
    return replace(target, query=query, replica=replica, sync_on_write=on_write)


def _behind(dialect: Dialect, host: str | None) -> Dialect:
    """Return the row of the database that has this host, of those that URLs of `dialect` mean."""
    name = (host or "").lower().rstrip(".")
    for other in DIALECTS.values():
        if other.speaks == dialect.name and name.endswith(other.hosts):
            return other
    return dialect


def _several_hosts(rest: str, dialect: Dialect) -> tuple[tuple[str, ...], str]:
    """Take "host1:port1,host2:port2" out of a URL; SQLAlchemy wants them in the query."""
    authority = _AUTHORITY.split(rest, 1)[0]
    credentials, at, hosts = authority.rpartition("@")
    if "," not in hosts:
        return (), rest
    # SQLAlchemy does not complete ports.
    port = dialect.cluster_port
    complete = (host if ":" in host else f"{host}:{port}" for host in hosts.split(","))
    return tuple(complete), credentials + at + rest[len(authority) :]


def _several(value: str | tuple[str, ...]) -> Sequence[str]:
    """Return the values of a query key: repeated, or separated by commas, as libpq takes them."""
    return value.split(",") if isinstance(value, str) else value


def _database_is_raw() -> bool:
    """Whether this SQLAlchemy leaves the database part of a URL percent-encoded (before 2.1)."""
    return make_url("postgresql:///a%20b").database == "a%20b"
