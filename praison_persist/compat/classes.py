"""The store classes of praisonai under their names, made of `originals` when first asked for.

A class whose constructor is as ours *is* ours. Another one is a subclass that takes the original's
arguments, and of which every store of our class is an instance, so that what a registry created is
what `isinstance` expects.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from praison_persist import backends
from praison_persist._lazy import load
from praison_persist.compat.originals import ANY, ORIGINALS, Original
from praison_persist.errors import ConfigurationError, MissingDependencyError
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.protocols import AsyncConversationStore, ConversationStore, StateStore

_EXTRAS = {
    row.path: row.extra for row in (*backends.CONVERSATION, *backends.KNOWLEDGE, *backends.STATE)
}
_CONTRACTS: Mapping[str, type] = {
    "AsyncConversationStore": AsyncConversationStore,
    "ConversationStore": ConversationStore,
    "KnowledgeStore": KnowledgeStore,
    "StateStore": StateStore,
}


def __getattr__(name: str) -> Any:
    original = ORIGINALS.get(name)
    if original is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        native = load(original.place, name=name, extra=_EXTRAS.get(original.place, ""))
    except MissingDependencyError as error:
        return _unusable(name, error)
    # Of two threads that ask at once both get the first one's class.
    return globals().setdefault(name, _translated(name, original, native))


def __dir__() -> list[str]:
    return sorted(ORIGINALS)


def _translated(name: str, original: Original, native: Any) -> Any:
    """Return the class itself, or a subclass that takes the original's arguments."""
    if not original.parameters:
        return native
    bases: tuple[type, ...] = (native,)
    if original.methods:
        bases = (load(original.methods, name=name), native)

    def __init__(self: Any, *given: Any, **options: Any) -> None:  # noqa: N807 - the class's
        super(cls, self).__init__(**_arguments(name, original, given, options))

    def __subclasshook__(mine: type, other: type) -> Any:  # noqa: N807 - the class's
        # Not by issubclass, which would ask this class, as one of the native one's subclasses.
        return True if mine is cls and native in other.__mro__ else NotImplemented

    body = {
        "__doc__": native.__doc__,
        "__init__": __init__,
        "__module__": __name__,
        "__subclasshook__": classmethod(__subclasshook__),
    }
    cls: Any = type(native)(name, bases, body)
    cls.__signature__ = _signature(original, bases)
    return cls


def _arguments(
    name: str, original: Original, given: tuple[Any, ...], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return our arguments for the original's.

    Raises:
        TypeError: there are too many, or one is given twice.
        ConfigurationError: one means nothing here, and differs from what is so.
    """
    if len(given) > len(original.parameters):
        raise TypeError(
            f"{name}() takes {len(original.parameters)} positional arguments, not {len(given)}"
        )
    named = dict(zip(original.parameters, given, strict=False))
    twice = sorted(named.keys() & options.keys())
    if twice:
        raise TypeError(f"{name}() got multiple values for {', '.join(twice)}")
    arguments: dict[str, Any] = dict(original.defaults)
    for parameter, value in {**named, **options}.items():
        if parameter not in original.without:
            arguments[original.renamed.get(parameter, parameter)] = value
        elif original.without[parameter] not in (ANY, value):
            raise ConfigurationError(
                f"{name}: {parameter}={value!r} cannot be chosen, it is always "
                f"{original.without[parameter]!r} here. Leave it out"
            )
    return arguments


def _signature(original: Original, bases: tuple[type, ...]) -> inspect.Signature:
    """Return the original's parameters, with our defaults, and then our options."""
    ours: dict[str, Any] = {}
    for base in reversed(bases):
        ours |= {each.name: each.default for each in inspect.signature(base).parameters.values()}
    ours |= original.defaults
    ours |= {each: value for each, value in original.without.items() if value is not ANY}
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    shown = [
        inspect.Parameter(each, positional, default=ours.get(original.renamed.get(each, each)))
        for each in original.parameters
    ]
    return inspect.Signature([*shown, inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)])


def _unusable(name: str, error: MissingDependencyError) -> type:
    """Return a class that can be imported and named, and raises when a store is to be made."""
    contract = next(base for end, base in _CONTRACTS.items() if name.endswith(end))

    def __new__(cls: type, *_: Any, **__: Any) -> Any:  # noqa: N807, ARG001 - the class's
        raise MissingDependencyError(str(error)) from error

    body = {"__new__": __new__, "__module__": __name__, "__doc__": str(error)}
    return type(contract)(name, (contract,), body)
