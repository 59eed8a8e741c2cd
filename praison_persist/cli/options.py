"""Options that many commands have, in the same words."""

from __future__ import annotations

from typing import Annotated

import typer

from praison_persist._environment import variable_names

__all__ = ["URL", "AsJSON", "KnowledgeURL", "Schema", "StateURL", "TablePrefix"]


def _variables(kind: str) -> str:
    return " or ".join(f"${name}" for name in variable_names(f"{kind}_URL"))


URL = Annotated[
    str | None,
    typer.Option(
        "--url",
        "--conversation-url",
        metavar="URL",
        help=f"The conversations, such as sqlite:///agent.db. Else {_variables('CONVERSATION')}.",
    ),
]
KnowledgeURL = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help=f"The knowledge, such as qdrant://… Else {_variables('KNOWLEDGE')}."
    ),
]
StateURL = Annotated[
    str | None,
    typer.Option(metavar="URL", help=f"The state, such as redis://… Else {_variables('STATE')}."),
]
TablePrefix = Annotated[
    str | None,
    typer.Option(metavar="PREFIX", help="Begins the names of the tables. Default: praison_."),
]
Schema = Annotated[
    str | None,
    typer.Option(metavar="SCHEMA", help="Database schema of the tables. Default: its own."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
