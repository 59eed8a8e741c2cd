"""State of sessions, users and the app, and of agents; see `praison_persist.scopes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from praison_persist import lifecycle, scopes
from praison_persist._adapter.core import AdapterCore

__all__ = ["StateMethods"]


class StateMethods(AdapterCore):
    """get_state, update_state, delete_state and get_agent_state, in both colours."""

    _app_name = "default"

    def get_state(self, session_id: str, user_id: str | None = None) -> dict[str, Any]:
        """Return the state of a session, of its user (`user:name`) and of the app (`app:name`).

        Args:
            session_id: whose state; it need not exist as a conversation.
            user_id: whose `user:` state; None: of the user that the session belongs to.
        """
        return self._read(
            lambda stores: scopes.get_state(stores, self._app_name, session_id, user_id)
        )

    async def aget_state(self, session_id: str, user_id: str | None = None) -> dict[str, Any]:
        """See `get_state`."""
        return await self._aread(
            lambda stores: scopes.get_state(stores, self._app_name, session_id, user_id)
        )

    def update_state(
        self, session_id: str, changes: Mapping[str, Any], user_id: str | None = None
    ) -> None:
        """Set some names of the state: `name`, `user:name`, `app:name`.

        Names that are not in `changes` are not touched: who sets others at the same time loses
        nothing. To count, or to change a value by what it was, use `state_store`.

        Raises:
            InvalidDataError: a value is not JSON, or `user:` where no user is known.
        """
        self._read(
            lambda stores: scopes.update_state(stores, self._app_name, session_id, user_id, changes)
        )

    async def aupdate_state(
        self, session_id: str, changes: Mapping[str, Any], user_id: str | None = None
    ) -> None:
        """See `update_state`."""
        await self._aread(
            lambda stores: scopes.update_state(stores, self._app_name, session_id, user_id, changes)
        )

    def delete_state(self, session_id: str, *names: str, user_id: str | None = None) -> int:
        """Delete some names of the state; return how many there were."""
        return self._read(
            lambda stores: scopes.delete_state(
                stores, self._app_name, session_id, user_id, list(names)
            )
        )

    async def adelete_state(self, session_id: str, *names: str, user_id: str | None = None) -> int:
        """See `delete_state`."""
        return await self._aread(
            lambda stores: scopes.delete_state(
                stores, self._app_name, session_id, user_id, list(names)
            )
        )

    def get_agent_state(self, session_id: str) -> dict[str, Any] | None:
        """Return what is known of the agent of a session: its name, status and metadata.

        None if none began since a state store was given: without one, `get_session` tells as much.
        """
        return self._read(lambda stores: lifecycle.agent_state(stores, session_id))

    async def aget_agent_state(self, session_id: str) -> dict[str, Any] | None:
        """See `get_agent_state`."""
        return await self._aread(lambda stores: lifecycle.agent_state(stores, session_id))
