"""Agents in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from local_llm import LocalLLM

ROOT = Path(__file__).parents[2]

# LiteLLM and MCP are optional, and take longer to import than all else in such a test.
_PROLOGUE = """
import sys
sys.modules["litellm"] = sys.modules["mcp"] = None
"""


def environment(llm: LocalLLM | None = None) -> dict[str, str]:
    """Return the variables of a process that finds this package, and the model."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return {**os.environ, **path, **(llm.environment() if llm else {})}


def start(program: str, *arguments: str, llm: LocalLLM | None = None) -> subprocess.Popen[str]:
    """Start a program in a new interpreter; its output is for `communicate`."""
    return subprocess.Popen(
        [sys.executable, "-c", _PROLOGUE + textwrap.dedent(program), *arguments],
        env=environment(llm),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(program: str, *arguments: str, llm: LocalLLM | None = None) -> tuple[str, str]:
    """Run a program to its end, which has to be a good one; return what it wrote."""
    process = start(program, *arguments, llm=llm)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output, errors
