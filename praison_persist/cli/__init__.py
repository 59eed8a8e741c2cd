"""The command `praison-persist`: argparse only, each group of commands in a module of its own.

Exit status: 0 done, 1 a problem (one line on stderr says what to do), 2 the command was wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from praison_persist.cli import db
from praison_persist.errors import ConfigurationError, PersistError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own if None); return its exit status."""
    parser = argparse.ArgumentParser(
        prog="praison-persist", description="Persistence of AI agents: look after their databases."
    )
    groups = parser.add_subparsers(metavar="GROUP", required=True)
    db.add_to(groups)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except PersistError as error:
        line = " ".join(str(error).split())
        print(f"praison-persist: {line}", file=sys.stderr)  # noqa: T201 - a command's output
        return 2 if isinstance(error, ConfigurationError) else 1
    return status
