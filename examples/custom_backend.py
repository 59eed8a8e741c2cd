"""Backends of your own by name: registered at run time, with aliases, for each kind of store.

plugin/ is the same as a package, which is found by its entry points and registers nothing.
"""

from __future__ import annotations

from typing import Any

from surroundings import surroundings

from praison_persist import (
    ConversationMessage,
    ConversationSession,
    SQLiteConversationStore,
    UnknownBackendError,
    create_conversation_store,
    create_state_store,
)
from praison_persist.config import CONVERSATION_STORES, KNOWLEDGE_STORES, STATE_STORES


class NotebookStore(SQLiteConversationStore):
    """A store that is told a name, not a path: notebook://bees is the file notebook-bees.db."""

    def __init__(self, url: str | None = None, **options: Any) -> None:
        name = (url or "notebook://main").removeprefix("notebook://")
        super().__init__(f"notebook-{name}.db", **options)


def make_state(url: str | None = None, **options: Any) -> Any:
    """Return a state store in a file of this name; any function may be a factory."""
    name = (url or "notebook://main").removeprefix("notebook://")
    return STATE_STORES.create("memory", path=f"notebook-{name}.json", **options)


def register_all_backends() -> None:
    """Make the names known; a module may call this when it is imported."""
    CONVERSATION_STORES.register("notebook", NotebookStore, aliases=("nb",))
    STATE_STORES.register("notebook", make_state)
    KNOWLEDGE_STORES.register_store("notebook", KNOWLEDGE_STORES.resolve("sql"))


register_all_backends()


def main() -> None:
    """Create the stores by their names, and by an alias."""
    with surroundings():
        with create_conversation_store("nb", "notebook://bees") as store:
            store.ensure_session(ConversationSession("s"))
            store.add_message("s", ConversationMessage(id="m", role="user", content="Hum"))
            print(f"{type(store).__name__}: {[m.content for m in store.get_messages('s')]}")
        with create_state_store("notebook", "notebook://bees") as state:
            state.set("hives", 2)
            print(f"{type(state).__name__}: {state.get('hives')}")
        print(f"nb stands for {CONVERSATION_STORES.list_aliases()['nb']}")
        try:
            CONVERSATION_STORES.create("notbook")
        except UnknownBackendError as error:  # a ValueError, too
            print(str(error).partition("Registered")[0])


if __name__ == "__main__":
    main()
