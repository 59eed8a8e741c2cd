"""Session files: two processes write to one session at once, and neither loses a message."""

from __future__ import annotations

import subprocess
import sys

from surroundings import surroundings

from praison_persist import DefaultSessionStore

SESSION, FOLDER, EACH = "support", "json_sessions", 20


def write(name: str) -> None:
    """Append messages, and say who is at work, in between."""
    store = DefaultSessionStore(FOLDER)
    for number in range(EACH):
        store.add_user_message(SESSION, f"{name} {number}")
        store.set_agent_info(SESSION, agent_name=name)


def main() -> int:
    """Start two processes, and read what they left."""
    if len(sys.argv) > 1:
        write(sys.argv[1])
        return 0
    with surroundings():
        store = DefaultSessionStore(FOLDER)
        store.delete_session(SESSION)
        writers = [
            subprocess.Popen([sys.executable, __file__, name])  # noqa: S603 - this file itself
            for name in ("red", "blue")
        ]
        if any(writer.wait() for writer in writers):
            return 1
        said = [str(message["content"]) for message in store.get_chat_history(SESSION)]
        for name in ("red", "blue"):
            own = [text for text in said if text.startswith(name)]
            in_order = own == [f"{name} {number}" for number in range(EACH)]
            print(f"{name}: {len(own)} messages, in order: {in_order}")
        print(f"Agent: {store.get_session(SESSION).agent_name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
