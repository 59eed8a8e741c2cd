"""What stores are made with, read from the sources: the client of a store may not be there."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Option", "options_of"]

# What is said once for all stores that say nothing of their own.
_USUAL = {
    "url": "a database URL, in place of the parts below",
    "host": "of the server, in place of a URL",
    "port": "of that host",
    "db": "number of the database",
    "database": "that has the tables",
    "user": "who connects",
    "username": "who the password is of",
    "password": "of the user; None: none is sent",
    "schema": "database schema of the tables",
    "options": "see `praison_persist.sql.options.SQLOptions`",
    "path": "a file, or a URL; `:memory:` is of one store",
    "clock": "tells the time, in seconds since the epoch",
}
_UNITS = (
    ("seconds", re.compile(r"timeout|_delay$|_seconds$|_interval$")),
    ("tries", re.compile(r"^max_retries$")),
    ("connections", re.compile(r"^max_connections$")),
)


@dataclass(frozen=True, slots=True)
class Option:
    """A parameter of a constructor.

    Attributes:
        default: as Python writes it; "" where there is none.
        unit: of a number that has one.
        meaning: what the class's docstring says of it.
    """

    name: str
    default: str
    unit: str
    meaning: str


def options_of(path: str) -> list[Option]:
    """Return what the class at "module:Class" is made with, in order.

    Raises:
        LookupError: there is no such class, or it does not say what an option means.
    """
    module, _, name = path.partition(":")
    line = list(_ancestry(module, name))
    place, constructor = next(
        (place, member)
        for place, (_, cls) in enumerate(line)
        for member in cls.body
        if isinstance(member, ast.FunctionDef) and member.name == "__init__"
    )
    home = line[place][0]
    # A base of the one that has the constructor may mean something else by the same name.
    own = (_arguments(cls) for _, cls in line[: place + 1])
    said = {**_USUAL, **next(filter(None, own), {})}
    of_class = _constants([cls for _, cls in line])
    found = []
    for parameter, default in _parameters(constructor.args):
        value = "" if default is None else _value(home, default)
        if value == "None":  # `_OfServer` has the class say it
            value = of_class.get(f"_{parameter.strip('*')}", value)
        plain = parameter.strip("*")
        if plain not in said:
            raise LookupError(f"{path} does not say what {plain!r} is")
        unit = next((unit for unit, names in _UNITS if names.search(plain)), "")
        found.append(Option(parameter, value, unit, said[plain].removeprefix(f"{unit or ' '} ")))
    return found


@functools.cache
def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"There is no module {module!r}")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _ancestry(module: str, name: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield a class and those before it that this package defines, each with its module."""
    module, cls = _defined(module, name)
    if not isinstance(cls, ast.ClassDef):
        raise LookupError(f"{module}:{name} is no class")  # noqa: TRY004 - it is not there
    yield module, cls
    for base in cls.bases:
        if isinstance(base, ast.Name) and _has(module, base.id):
            yield from _ancestry(module, base.id)


def _has(module: str, name: str) -> bool:
    try:
        return isinstance(_defined(module, name)[1], ast.ClassDef)
    except LookupError:
        return False


def _defined(module: str, name: str) -> tuple[str, ast.AST]:
    """Return where a name of a module is defined, and what defines it."""
    for statement in _tree(module).body:
        match statement:
            case ast.ClassDef(name=found) if found == name:
                return module, statement
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                return module, value
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, value in zip(names, values, strict=True):
                    if isinstance(target, ast.Name) and target.id == name:
                        return module, value
            case ast.ImportFrom(module=str(source), names=names) if source.startswith("praison_"):
                for alias in names:
                    if (alias.asname or alias.name) == name:
                        return _defined(source, alias.name)
            case _:
                continue
    raise LookupError(f"{module} defines no {name!r}")


def _parameters(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the names of parameters but `self`, with their defaults."""
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(positional) - len(arguments.defaults))
    defaults: list[ast.expr | None] = [*missing, *arguments.defaults]
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for each, default in [*zip(positional, defaults, strict=True), *keywords][1:]:
        yield each.arg, default
    if arguments.kwarg:
        yield f"**{arguments.kwarg.arg}", None


def _value(module: str, default: ast.expr) -> str:
    if isinstance(default, ast.Name):
        return _value(*_expression(module, default.id))
    return ast.unparse(default)


def _expression(module: str, name: str) -> tuple[str, ast.expr]:
    home, value = _defined(module, name)
    if not isinstance(value, ast.expr):
        raise LookupError(f"{module}: {name!r} is no constant")  # noqa: TRY004 - it is not there
    return home, value


def _constants(line: list[ast.ClassDef]) -> Mapping[str, str]:
    """Return the constants that classes set, the first of them before those after it."""
    found: dict[str, str] = {}
    for cls in line:
        for statement in cls.body:
            match statement:
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    pairs = [*zip(names, values, strict=True)]
                case ast.AnnAssign(target=ast.Name() as target, value=ast.Constant() as value):
                    pairs = [(target, value)]
                case _:
                    continue
            for name, constant in pairs:
                if isinstance(name, ast.Name) and isinstance(constant, ast.Constant):
                    found.setdefault(name.id, repr(constant.value))
    return found


def _arguments(cls: ast.ClassDef) -> dict[str, str]:
    """Return what a docstring says under `Args:`."""
    document = ast.get_docstring(cls) or ""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", document, re.MULTILINE)
    if section is None:
        return {}
    entries = re.split(r"^    (?=\S)", section[1], flags=re.MULTILINE)[1:]
    found: dict[str, str] = {}
    for entry in entries:
        names, _, meaning = entry.partition(":")
        text = " ".join(meaning.split()).removesuffix(".")
        found |= dict.fromkeys(re.split(r", *", names), text)
    return found
