"""Programs that tests run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_OF_USERS = ("PRAISONAI_", "OPENAI_", "XDG_", "PYTHON")


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a program that has its home in `folder`, and no settings of a user's.

    It imports the package from the checkout, and no litellm: the extra `agents` does not bring it,
    and praisonaiagents would spend seconds on it in each process.
    """
    home, hidden = folder / "home", folder / "hidden"
    for new in (home, hidden):
        new.mkdir(exist_ok=True)
    (hidden / "litellm.py").write_text("raise ImportError('hidden by tests/programs.py')\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_OF_USERS)}
    return {
        **kept,
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{hidden}",
    }


def python(
    *words: str | Path, cwd: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments; return how it ended and what it printed."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
