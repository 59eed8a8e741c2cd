"""A conversation that survives its process.

Two processes run, one after the other. All that the second knows of the first is an SQLite file.
The exit status is 1 if that was not enough.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from surroundings import surroundings

from praison_persist import Agent, PraisonAIDB, db

DATABASE = Path("conversation.db")
SESSION = "user-123"
TOLD = ("My name is Ada.", "I keep bees.")
ASKED = "What is my name?"


def assistant(store: PraisonAIDB) -> Agent:
    """Return an agent whose conversation is kept in `store`."""
    return Agent(
        name="Assistant",
        instructions="You are a friendly assistant. Answer in one short sentence.",
        db=store,
        session_id=SESSION,
        user_id="ada",
    )


def begin() -> int:
    """Be the first process: tell the assistant something, and end."""
    print(f"Process {os.getpid()} begins a conversation and ends:\n")
    with db(database_url=f"sqlite:///{DATABASE}") as store:
        agent = assistant(store)
        for prompt in TOLD:
            show("user", prompt)
            show("assistant", agent.chat(prompt))
    return 0


def resume() -> int:
    """Be the second process: ask for what only the first was told."""
    with db(database_url=f"sqlite:///{DATABASE}") as store:
        agent = assistant(store)
        answer = agent.chat(ASKED)
        handed = agent.chat_history[:-2]  # before the question and its answer
    print(f"\nProcess {os.getpid()} resumes it. It was handed {len(handed)} messages:\n")
    for message in handed:
        show(message["role"], message["content"])
    print("\nand is asked:\n")
    show("user", ASKED)
    show("assistant", answer)
    if tuple(m["content"] for m in handed if m["role"] == "user") != TOLD:
        return failed("the second process was not handed what the first was told")
    return 0 if "Ada" in str(answer) else failed("the answer does not have the name")


def failed(reason: str) -> int:
    """Print why the demo failed; return the exit status."""
    print(f"\nThe demo failed: {reason}", file=sys.stderr)
    return 1


def show(role: str, content: Any) -> None:
    """Print one message."""
    print(f"  {role:9}  {content}")


def main() -> int:
    """Run both processes on a new file; return the exit status."""
    steps = {"begin": begin, "resume": resume}
    if len(sys.argv) > 1:
        return steps[sys.argv[1]]()
    with surroundings() as folder:
        for file in folder.glob(f"{DATABASE}*"):
            file.unlink()
        for step in steps:
            sys.stdout.flush()
            command = [sys.executable, __file__, step]
            if subprocess.run(command, check=False).returncode:  # noqa: S603 - this file itself
                return 1
        print(f"\nAll it had was {folder / DATABASE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
