"""What every revision has to keep to, and those after the first, which run beside an older release.

The text of a revision is looked at, not what it does: a rule is broken on any path.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

# Types and tables change with the code, a revision never: it spells out its own.
_MAY_IMPORT = sys.stdlib_module_names | {"sqlalchemy", "alembic"}

# What a running older release cannot survive, or waits for; its remedy.
_BREAKS = {
    "drop_table": "the running release uses it; drop it a release later",
    "rename_table": "the running release uses it; create another",
    "drop_column": "the running release uses it; drop it a release later",
    "drop_constraint": "the running release relies on it; drop it a release later",
    "create_index": "it locks out writers: use op.create_index_online",
    "create_unique_constraint": "the running release may break it, and it locks out writers",
    "create_check_constraint": "the running release may break it, and it locks out writers",
    "create_foreign_key": "the running release may break it, and it locks out writers",
    "create_primary_key": "it rewrites the table under a lock: make another table",
    "create_all": "types of today: use op.create_table, spelled out",
    "drop_all": "types of today: use op.drop_table",
}
_ALTERS = {
    "new_column_name": "the running release uses the old name; add a column",
    "type_": "it rewrites the table under a lock: add a column",
}


def violations(path: Path) -> list[str]:
    """Return what is wrong with a revision, each with its line; nothing when all is well."""
    tree = ast.parse(path.read_text())
    found = [*_of_name(path, tree), *_of_imports(tree), *_of_functions(tree)]
    if _assigned(tree).get("down_revision") is not None:
        upgrade = _functions(tree).get("upgrade")
        found += _of_calls(ast.Module([f for f in tree.body if _name(f) != "downgrade"], []))
        found += [] if upgrade is None else _of_columns(tree)
    return [f"{path.name}:{line}: {text}" for line, text in found]


def _of_name(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    number = path.name.partition("_")[0]
    values = _assigned(tree)
    if values.get("revision") != number or not number.isdigit() or len(number) != 4:
        yield 1, "its revision is the four digits that its file's name begins with"
    elif values.get("down_revision") != (None if number == "0001" else f"{int(number) - 1:04}"):
        yield 1, "its down_revision is the number before it: there is one chain"


def _of_imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        from_ = [] if isinstance(node, ast.Import) else [node.module or "." * node.level]
        for name in from_ or [alias.name for alias in node.names]:
            if name.partition(".")[0] not in _MAY_IMPORT:
                yield node.lineno, f"imports {name}, which changes; a revision never does"


def _of_functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for name in ("upgrade", "downgrade"):
        function = _functions(tree).get(name)
        if function is None or all(isinstance(one, ast.Pass) for one in function.body):
            yield 1, f"has no {name}"


def _of_calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for call in _calls(tree):
        name = _called(call)
        if name in _BREAKS:
            yield call.lineno, f"{name}: {_BREAKS[name]}"
        if name == "alter_column":
            words = {word.arg: word.value for word in call.keywords}
            for word, why in _ALTERS.items():
                if word in words:
                    yield call.lineno, f"alter_column({word}=): {why}"
            if _constant(words.get("nullable")) is False:
                yield call.lineno, "alter_column(nullable=False): the running release writes NULL"


def _of_columns(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find columns added NOT NULL without a default: the running release does not fill them."""
    for call in _calls(tree):
        if _called(call) != "add_column":
            continue
        for column in (c for c in ast.walk(call) if isinstance(c, ast.Call)):
            words = {word.arg: word.value for word in column.keywords}
            if _constant(words.get("nullable")) is False and "server_default" not in words:
                yield call.lineno, "add_column: NOT NULL needs a server_default"
            if _constant(words.get("primary_key")) or _constant(words.get("unique")):
                yield call.lineno, "add_column: a key locks out writers; add the column alone"


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _name(node: ast.stmt) -> str:
    return getattr(node, "name", "")


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _assigned(tree: ast.Module) -> dict[str, object]:
    found: dict[str, object] = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name):
            found[target.id] = _constant(node.value)
    return found
