"""Tenants in one process: a store each, or one store and a user each. Nobody reads another's.

A store each is the stronger wall: what is asked of one cannot answer with the rows of another.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from surroundings import surroundings

from praison_persist import Agent, NotFoundError, PraisonAIDB, db

SECRETS = {"acme": "My name is Anvil.", "beta": "My name is Beetle."}
QUESTION = "What is my name?"


class Tenants:
    """A database a tenant, opened when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stores, self._stack = folder, dict[str, PraisonAIDB](), ExitStack()

    def __getitem__(self, tenant: str) -> PraisonAIDB:
        if tenant not in self._stores:
            if not tenant.isalnum():  # it becomes a file's name
                raise NotFoundError(f"There is no tenant {tenant!r}")
            store = db(database_url=f"sqlite:///{self._folder / tenant}.db")
            self._stores[tenant] = self._stack.enter_context(store)
        return self._stores[tenant]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def a_store_each(folder: Path) -> None:
    """Use the same session id in both: it is another session."""
    folder.mkdir(exist_ok=True)
    with Tenants(folder) as tenants:
        for tenant, secret in SECRETS.items():
            tenants[tenant].delete_session("main")
            assistant(tenants[tenant], "main", tenant).chat(secret)
        for tenant in SECRETS:
            answer = assistant(tenants[tenant], "main", tenant).chat(QUESTION)
            print(f"{tenant}: {answer}")


def a_user_each(store: PraisonAIDB) -> None:
    """Share the tables; the program looks whose a session is before it is resumed."""
    for tenant, secret in SECRETS.items():
        store.delete_session(f"{tenant}:main")
        resume(store, f"{tenant}:main", tenant).chat(secret)
        store.update_state(f"{tenant}:main", {"user:plan": f"of {tenant}"})
    for tenant in SECRETS:
        sessions = [session.session_id for session in store.list_sessions(user_id=tenant)]
        found = store.conversation.search_messages("name", user_id=tenant)
        owners = {hit.session_id.partition(":")[0] for hit in found}
        print(f"{tenant}: sessions {sessions}, search finds those of {sorted(owners)},", end=" ")
        print(f"state {store.get_state(f'{tenant}:main')}")
    try:
        resume(store, "acme:main", "beta")
    except NotFoundError as error:
        print(f"Refused: {error}")


def resume(store: PraisonAIDB, session_id: str, user_id: str) -> Agent:
    """Return an agent for a user's own session.

    Raises:
        NotFoundError: the session is somebody else's; that it exists is not told.
    """
    session = store.get_session(session_id)
    if session is not None and session.user_id != user_id:
        raise NotFoundError(f"There is no session {session_id!r}")
    return assistant(store, session_id, user_id)


def assistant(store: PraisonAIDB, session_id: str, user_id: str) -> Agent:
    """Return an agent."""
    return Agent(name="Assistant", db=store, session_id=session_id, user_id=user_id)


def main() -> None:
    """Do both."""
    with surroundings() as data:
        print("A store each")
        a_store_each(data / "tenants")
        print("\nA user each")
        with db(database_url="sqlite:///tenants.db") as store:
            a_user_each(store)


if __name__ == "__main__":
    main()
