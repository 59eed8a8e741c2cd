"""The hook of praisonaiagents for what a session store could not keep."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from praison_persist.sessions.models import now_iso

__all__ = ["Failure", "report_failure"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a `SESSION_PERSIST_FAILED` hook is told.

    Attributes:
        kept_in: the file in which the message or the damaged session is kept, if it is.
    """

    session_id: str
    error: str
    role: str = ""
    content: str = ""
    kept_in: Path | None = None


def report_failure(failure: Failure) -> None:
    """Run the hooks `SESSION_PERSIST_FAILED` of praisonaiagents' default registry, if any.

    Nobody can have registered one where praisonaiagents is not loaded, so it is not loaded here.
    A hook that fails is logged: the caller has a failure of its own to report.
    """
    if "praisonaiagents" not in sys.modules:
        return
    try:
        _run(failure)
    except Exception:  # noqa: BLE001 - a hook is anybody's code
        _log.exception("session %r: a SESSION_PERSIST_FAILED hook failed", failure.session_id)


def _run(failure: Failure) -> None:
    events: Any = importlib.import_module("praisonaiagents.hooks.events")
    registries: Any = importlib.import_module("praisonaiagents.hooks.registry")
    runners: Any = importlib.import_module("praisonaiagents.hooks.runner")
    event = importlib.import_module("praisonaiagents.hooks.types").HookEvent.SESSION_PERSIST_FAILED
    registry = registries.get_default_registry()
    if not registry.has_hooks(event):
        return
    told = events.SessionPersistFailedInput(
        session_id=failure.session_id,
        cwd=str(Path.cwd()),
        event_name=event.value,
        timestamp=now_iso(),
        role=failure.role,
        content=failure.content,
        error=failure.error,
        spilled=failure.kept_in is not None,
        spill_path=None if failure.kept_in is None else os.fspath(failure.kept_in),
    )
    runners.HookRunner(registry).execute_sync(event, told)
