"""Which stores there are to be: from code, a dict, a YAML file or the environment."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from praison_persist._environment import from_environment, own_variable
from praison_persist._masked import is_secret, masked
from praison_persist.config import detect_backend, get_default_registry
from praison_persist.errors import ConfigurationError, MissingDependencyError

__all__ = ["KINDS", "PersistenceConfig"]

_log = logging.getLogger(__name__)

KINDS = ("conversation", "knowledge", "state")

# The database -> the variable that locates it, where a kind is named so and not located. The first
# of a kind is also used where it is not named either.
_FALLBACKS = {
    "conversation": {
        "postgres": "POSTGRES_URL",
        "neon": "NEON_DATABASE_URL",
        "xata": "XATA_DATABASE_URL",
        "cockroachdb": "COCKROACHDB_URL",
        "turso": "TURSO_DATABASE_URL",
    },
    "knowledge": {"qdrant": "QDRANT_URL"},
    "state": {"redis": "REDIS_URL"},
}
_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


@dataclass(slots=True, repr=False)
class PersistenceConfig:
    """Which stores there are to be. A kind with neither a name nor a URL is not wanted.

    Attributes:
        conversation_store, knowledge_store, state_store: a backend's name or alias; None: the URL
            tells it.
        conversation_url, knowledge_url, state_url: where it is; None: the backend's default.
        conversation_options, knowledge_options, state_options: options of the backend's own; and
            "mode", as `create_conversation_store` takes it.
        session_id: of who names none.
        user_id: of who names none.
        auto_create_tables: create the tables of conversations in an empty database. False: whoever
            runs `praison-persist db upgrade` does.
        lazy_init: connect at the first use. False: when the stores are created.
    """

    conversation_store: str | None = None
    conversation_url: str | None = None
    conversation_options: dict[str, Any] = field(default_factory=dict)
    knowledge_store: str | None = None
    knowledge_url: str | None = None
    knowledge_options: dict[str, Any] = field(default_factory=dict)
    state_store: str | None = None
    state_url: str | None = None
    state_options: dict[str, Any] = field(default_factory=dict)
    session_id: str | None = None
    user_id: str | None = None
    auto_create_tables: bool = True
    lazy_init: bool = True

    @classmethod
    def from_env(cls) -> Self:
        """Build from the environment: see `praison_persist.ENV_VARS`.

        A kind that PRAISON_… neither names nor locates is where POSTGRES_URL, QDRANT_URL or
        REDIS_URL say. One that is named and not located is where the variable of that database
        says: those, or NEON_DATABASE_URL, XATA_DATABASE_URL, COCKROACHDB_URL, TURSO_DATABASE_URL.

        Raises:
            ConfigurationError: PRAISON_… and PRAISONAI_… are both set, and differ; or a value
                cannot be right.
        """
        found: dict[str, Any] = {
            "session_id": own_variable("SESSION_ID"),
            "user_id": own_variable("USER_ID"),
            "auto_create_tables": _boolean("AUTO_CREATE_TABLES"),
            "lazy_init": _boolean("LAZY_INIT"),
        }
        for kind in KINDS:
            name = own_variable(f"{kind.upper()}_STORE")
            url = own_variable(f"{kind.upper()}_URL")
            if url is None:
                url = _located(kind, name)
            found |= {f"{kind}_store": name, f"{kind}_url": url}
        replica_url = own_variable("CONVERSATION_REPLICA_URL")
        if replica_url is not None:
            found["conversation_options"] = {"replica_url": replica_url}
        return cls(**found)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build from a dict of the fields.

        Raises:
            ConfigurationError: a key that is no field, with the nearest there is; or a value of
                the wrong type.
        """
        if not isinstance(data, Mapping):
            raise ConfigurationError(
                f"A configuration is a mapping of its fields, not a {type(data).__name__}"
            )
        names = [known.name for known in fields(cls)]
        unknown = [key for key in data if key not in names]
        if unknown:
            said = ", ".join(_with_nearest(key, names) for key in unknown)
            raise ConfigurationError(
                f"Unknown configuration keys: {said}. Known: {', '.join(names)}"
            )
        config = cls(**data)
        for name in names:
            _check_type(name, getattr(config, name))
        for kind in KINDS:
            options = f"{kind}_options"
            setattr(config, options, dict(getattr(config, options)))
        return config

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Build from a YAML file of the fields, or of them below a key `persistence`.

        Raises:
            ConfigurationError: as `from_dict`; or the file is no YAML.
            MissingDependencyError: PyYAML is not installed.
            OSError: the file cannot be read.
        """
        try:
            import yaml  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingDependencyError(
                "A YAML file needs the package 'yaml', which is not installed. "
                "Install it: pip install 'praison-persist[yaml]'"
            ) from error
        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            # The error quotes the line, which may hold a password.
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark is not None else ""
            raise ConfigurationError(f"{os.fspath(path)}{where} is no YAML") from None
        if isinstance(data, dict) and "persistence" in data:
            data = data["persistence"]
        return cls.from_dict({} if data is None else data)

    def to_dict(self, *, include_secrets: bool = False) -> dict[str, Any]:
        """Return the fields as a new dict, for `from_dict` only with `include_secrets`.

        Args:
            include_secrets: leave passwords and keys in; they are "***" otherwise.
        """
        values = {known.name: getattr(self, known.name) for known in fields(self)}
        if include_secrets:
            return {
                name: dict(value) if isinstance(value, dict) else value
                for name, value in values.items()
            }
        return {name: _shown(name, value) for name, value in values.items()}

    def __repr__(self) -> str:
        said = [
            f"{known.name}={_shown(known.name, value)!r}"
            for known in fields(self)
            if (value := getattr(self, known.name)) not in (None, {})
        ]
        return f"{type(self).__name__}({', '.join(said)})"

    def problems(self) -> list[str]:
        """Return what cannot be right, a sentence each, without touching a database."""
        found: list[str] = []
        for kind in KINDS:
            name, url = self.named(kind)
            options = getattr(self, f"{kind}_options")
            try:
                if name is not None and not get_default_registry(kind).has(name):
                    names = get_default_registry(kind).list_all_names()
                    found.append(
                        f"{kind}_store={_with_nearest(name, names)} is no {kind} backend. "
                        f"Known: {', '.join(names)}"
                    )
                elif name is None and url is not None:
                    detect_backend(url, kind=kind)
            except ConfigurationError as error:
                found.append(f"{kind}_url: {error}")
            if options and not self.wants(kind):
                found.append(f"{kind}_options without {kind}_store or {kind}_url")
        return found

    def validate(self) -> bool:
        """Return whether `problems` finds none; those it finds are logged."""
        problems = self.problems()
        for problem in problems:
            _log.error("%s", problem)
        return not problems

    def wants(self, kind: str) -> bool:
        """Whether there is to be a store of "conversation", "knowledge" or "state"."""
        return self.named(kind) != (None, None)

    def named(self, kind: str) -> tuple[str | None, str | None]:
        """Return the name and the URL of a kind; what is empty is None."""
        name, url = getattr(self, f"{kind}_store"), getattr(self, f"{kind}_url")
        return name or None, url or None


def _located(kind: str, name: str | None) -> str | None:
    """Return the URL that the environment has for a backend of this name, or of none."""
    variables = _FALLBACKS[kind]
    if name is None:
        return from_environment(next(iter(variables.values())))
    given = name.lower()
    canonical = get_default_registry(kind).list_aliases().get(given, given)
    for database in (given, canonical.removeprefix("async_")):
        if database in variables:
            return from_environment(variables[database])
    return None


def _boolean(name: str) -> bool:
    """Return PRAISON_`name` as a truth value; not set is true."""
    value = own_variable(name)
    if value is None:
        return True
    if value.lower() not in _BOOLEANS:
        raise ConfigurationError(f"PRAISON_{name}={value!r} must be true or false")
    return _BOOLEANS[value.lower()]


def _with_nearest(key: object, names: list[str]) -> str:
    close = difflib.get_close_matches(str(key), names, 1)
    return f"{key!r} (did you mean {close[0]!r}?)" if close else repr(key)


def _check_type(name: str, value: object) -> None:
    if name.endswith("_options"):
        wanted, form = isinstance(value, Mapping), "a mapping"
    elif name in ("auto_create_tables", "lazy_init"):
        wanted, form = isinstance(value, bool), "true or false"
    else:
        wanted, form = value is None or isinstance(value, str), "a string"
    if not wanted:
        raise ConfigurationError(f"{name} must be {form}, not a {type(value).__name__}")


def _shown(name: str, value: Any) -> Any:
    """Return a value without secrets, at any depth."""
    if isinstance(value, Mapping):
        return {key: _shown(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, inner) for inner in value]
    # A number may be a limit of tokens, or the length of a key; and a password is one in YAML.
    is_number = isinstance(value, bool | int | float)
    if value is not None and is_secret(name) and (not is_number or "pass" in name.lower()):
        return "***"
    return masked(value) if isinstance(value, str) else value
