"""Where sessions are kept if nothing else is said: where praisonaiagents looks for them."""

from __future__ import annotations

import os
from pathlib import Path

from praison_persist._environment import own_variable

__all__ = ["default_session_dir", "default_spill_dir", "home"]


def home() -> Path:
    """Return the folder of all data: `PRAISON_HOME` or `PRAISONAI_HOME`, or the user's.

    The user's is `~/.praisonai` or else `~/.praison` if there is one; else `praisonai` in
    `XDG_DATA_HOME`, or `~/.praisonai`.

    Raises:
        ConfigurationError: both variables are set, and differ.
    """
    named = own_variable("HOME")
    if named:
        return Path(named).expanduser().absolute()
    user = Path.home()
    for name in (".praisonai", ".praison"):
        if (user / name).exists():
            return user / name
    data = os.environ.get("XDG_DATA_HOME", "")
    return Path(data) / "praisonai" if Path(data).is_absolute() else user / ".praisonai"


def default_session_dir() -> Path:
    """Return the folder of the session files, as it is now."""
    return home() / "sessions"


def default_spill_dir() -> Path:
    """Return the folder for messages that could not be stored, as it is now."""
    return home() / "state" / "session_spill"
