"""An agent that answers one prompt for a command: quietly, and with its failures as errors."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from dataclasses import dataclass
from typing import Any

from praison_persist.adapter import PraisonAIDB
from praison_persist.errors import BackendError, ConfigurationError, MissingDependencyError

__all__ = ["Persona", "answer"]

_INSTRUCTIONS = "You are a helpful assistant."


@dataclass(frozen=True, slots=True)
class Persona:
    """Who answers.

    Attributes:
        model: as praisonaiagents names it; None is its default.
    """

    name: str
    instructions: str | None = None
    model: str | None = None


def answer(db: PraisonAIDB, who: Persona, prompt: str, session_id: str, user_id: str | None) -> str:
    """Return what the agent says; the turn is stored in the session, which is begun or resumed.

    Raises:
        MissingDependencyError: praisonaiagents is not installed.
        ConfigurationError: the model cannot be asked, for want of a key.
        BackendError: the model gave no answer; says why.
    """
    # The core's log would tell the failure a second and a third time.
    os.environ.setdefault("LOGLEVEL", "CRITICAL")
    with contextlib.redirect_stdout(io.StringIO()):  # where the core draws errors too
        agent_class, core = _core()
        failures: list[str] = []
        core.register_display_callback("error", lambda **said: failures.append(_told(said)))
        try:
            agent = agent_class(
                name=who.name,
                instructions=who.instructions or _INSTRUCTIONS,
                output="silent",
                db=db,
                session_id=session_id,
                user_id=user_id,
                **({} if who.model is None else {"llm": who.model}),
            )
            said = agent.chat(prompt)
        except ValueError as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(str(error)) from error  # of the core: a key is missing
    if said is None:
        why = failures[-1] if failures else "it says nothing"
        raise BackendError(f"The model gave no answer: {why}. The prompt is stored as unanswered")
    return str(said)


def _core() -> tuple[Any, Any]:
    try:
        return importlib.import_module("praison_persist.agent").Agent, importlib.import_module(
            "praisonaiagents"
        )
    except ImportError as error:
        raise MissingDependencyError(
            f"An agent needs the package {error.name!r}, which is not installed. "
            "Install it: pip install 'praison-persist[agents]'"
        ) from error


def _told(said: dict[str, Any]) -> str:
    return " ".join(str(said.get("message", said)).split())[:500].rstrip(".")
