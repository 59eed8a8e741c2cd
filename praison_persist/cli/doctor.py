"""`praison-persist doctor`: connect to the stores for real, and say what is wrong with them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from praison_persist.cli.examination import Examination, examine
from praison_persist.cli.options import URL, AsJSON, KnowledgeURL, Schema, StateURL, TablePrefix
from praison_persist.cli.output import print_json, print_line
from praison_persist.errors import ConfigurationError
from praison_persist.persistence_config import KINDS, PersistenceConfig

__all__ = ["doctor"]

_UNITS = (("_ms", " ms"), ("_s", " s"))
_SIZES = ("disk_free", "file_size")


def doctor(
    url: URL = None,
    knowledge_url: KnowledgeURL = None,
    state_url: StateURL = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the stores that the environment names.")
    ] = False,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    as_json: AsJSON = False,
) -> None:
    """Connect to the stores and say what is wrong; status 1 if anything is. Only reads.

    Without a URL, the stores are those that the environment names.
    """
    given = {"conversation": url, "knowledge": knowledge_url, "state": state_url}
    named = {"table_prefix": table_prefix, "schema": schema}
    options = {name: value for name, value in named.items() if value is not None}
    results = [
        examine(kind, backend, place, options if kind == "conversation" else {})
        for kind, backend, place in _places(given, everything=everything)
    ]
    if as_json:
        print_json(results)
    else:
        for result in results:
            _print(result)
    if any(result.problems for result in results):
        raise typer.Exit(1)


def _places(
    given: dict[str, str | None], *, everything: bool
) -> list[tuple[str, str | None, str | None]]:
    """Return kind, backend and URL of each store to look at.

    Raises:
        ConfigurationError: there is none.
    """
    found: list[tuple[str, str | None, str | None]] = []
    environment = None
    if everything or not any(given.values()):
        environment = PersistenceConfig.from_env()
    for kind in KINDS:
        if given[kind]:
            found.append((kind, None, given[kind]))
        elif environment is not None and environment.wants(kind):
            found.append((kind, *environment.named(kind)))
    if not found:
        raise ConfigurationError(
            "Which store? Write --conversation-url, --knowledge-url or --state-url, or set "
            "PRAISON_CONVERSATION_URL, PRAISON_KNOWLEDGE_URL or PRAISON_STATE_URL"
        )
    return found


def _print(result: Examination) -> None:
    where = f" {result.address}" if result.address else ""
    print_line(f"{result.kind}: {result.verdict}{where}")
    for name, value in result.facts.items():
        label = name.removesuffix("_ms").removesuffix("_s").replace("_", " ")
        print_line(f"  {label:24}{_shown(name, value)}")
    for problem in result.problems:
        print_line(f"  ! {problem}")


def _shown(name: str, value: Any) -> str:
    if name in _SIZES:
        return f"{value / 2**20:.1f} MiB"
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {inner}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    unit = next((unit for end, unit in _UNITS if name.endswith(end)), "")
    return f"{value}{unit}"
