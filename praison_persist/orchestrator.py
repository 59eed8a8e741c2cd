"""PersistenceOrchestrator: conversations, knowledge and state of agents in one place."""

from __future__ import annotations

from praison_persist._orchestrator.events import AgentEvents
from praison_persist._orchestrator.sessions import Sessions

__all__ = ["PersistenceOrchestrator"]


class PersistenceOrchestrator(AgentEvents, Sessions):
    """Keeps what agents say, know and remember, in stores of either colour.

    Each method has a coroutine of the same name with an "a" before it. Sync methods can be called
    anywhere, inside a running event loop too, which they block; coroutines never block it,
    whatever the colour of the stores. One orchestrator may be shared by threads and event loops.

    The orchestrator closes the stores that it is given.

    Args:
        conversation_store: a conversation store, or any object with some of its methods.
        knowledge_store: a knowledge store.
        state_store: a state store; it then also keeps runs, tool calls and traces of agents, which
            are beside the conversations otherwise.
        config: creates the stores that are not given.
        history_limit: messages that a resume hands to the model, at most; None is all.

    Attributes:
        conversation, knowledge, state: the stores; None: there is none.
        config: what they were made of.

    Raises:
        ConfigurationError: an object is no store; a kind is given and configured; or see
            `create_stores_from_config`.
    """
