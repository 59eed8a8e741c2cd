"""The conformance suites of stores, for authors of backends (`praison-persist[testing]`)."""

from __future__ import annotations

import pytest

# Before the suites are imported: their assertions are to show the values that they compare.
pytest.register_assert_rewrite(
    *(
        f"praison_persist.testing.{suite}"
        for suite in (
            "contract",
            "conversation",
            "dumps",
            "knowledge",
            "knowledge_collections",
            "knowledge_contract",
            "knowledge_documents",
            "knowledge_races",
            "knowledge_search",
            "machine",
            "messages",
            "pages",
            "races",
            "runs",
            "search",
            "session_contract",
            "session_details",
            "session_finding",
            "session_races",
            "session_trees",
            "session_turns",
            "sessions",
            "state",
            "state_contract",
            "state_expiry",
            "state_keys",
            "state_machine",
            "state_races",
            "state_values",
            "values",
        )
    )
)

from praison_persist._adapt import blocking  # noqa: E402 - after the rewriting of asserts is set up
from praison_persist.testing.conversation import ConversationStoreContract  # noqa: E402 - after the rewriting of asserts is set up
from praison_persist.testing.knowledge import KnowledgeStoreContract  # noqa: E402 - after the rewriting of asserts is set up
from praison_persist.testing.machine import (  # noqa: E402 - after the rewriting of asserts is set up
    ConversationMachine,
    agrees_with_reference,
)
from praison_persist.testing.reference import ReferenceConversationStore  # noqa: E402 - after the rewriting of asserts is set up
from praison_persist.testing.runs import RunStoreContract  # noqa: E402 - after the rewriting of asserts is set up
from praison_persist.testing.state import (  # noqa: E402 - after the rewriting of asserts is set up
    Clock,
    StateStoreContract,
)

__all__ = [
    "Clock",
    "ConversationMachine",
    "ConversationStoreContract",
    "KnowledgeStoreContract",
    "ReferenceConversationStore",
    "RunStoreContract",
    "StateStoreContract",
    "agrees_with_reference",
    "blocking",
]
