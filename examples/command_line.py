"""The command line: doctor, run and resume, then what is kept."""

from __future__ import annotations

import subprocess
import sys

from surroundings import surroundings

URL = "sqlite:///command_line.db"
COMMANDS = (
    ("run", "My name is Ada.", "--url", URL, "--session-id", "user-123"),
    ("doctor", "--url", URL),
    ("resume", "--url", URL, "--session-id", "user-123", "--show-history"),
    ("resume", "--url", URL, "--session-id", "user-123", "--continue", "What is my name?"),
    ("sessions", "list", "--url", URL),
    ("sessions", "delete", "user-123", "--yes", "--url", URL),
)


def main() -> int:
    """Run each command; return the exit status of the first that fails."""
    with surroundings():
        for words in COMMANDS:
            shown = [f'"{word}"' if " " in word else word for word in words]
            print(f"$ praison-persist {' '.join(shown)}", flush=True)
            command = [sys.executable, "-m", "praison_persist", *words]
            ended = subprocess.run(  # noqa: S603 - the words above
                command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            print(ended.stdout)
            if ended.returncode:
                return ended.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
