"""A pytest plugin of `.ci/run`: what one class proves in full, others prove as far as they differ.

A class marked `again` keeps a contract of the same operations as another class: over another driver
of the same engine, in the other colour, in another place. Here it keeps those parts that depend on
that: values, which a driver converts; batches, which its limits cut; races; closing; and any
sequence of calls, which makes all the calls there are. `make test` leaves nothing out.
"""

from __future__ import annotations

import pytest

# Modules of praison_persist.testing with their classes.
DEPEND_ON_THE_DRIVER = {
    *("conversation.ConversationStoreContract", "values.ValueContract", "messages.BatchContract"),
    *("races.RaceContract", "races.CloseContract", "runs.RunStoreContract"),
    *("state.StateStoreContract", "state_values.StateValueContract"),
    *("state_races.StateRaceContract", "state_races.StateCloseContract"),
    # Each call of a vendor's client there is; filters are written once, for both colours.
    *("knowledge_collections.CollectionContract", "knowledge_documents.DocumentContract"),
    *("knowledge_search.SearchContract", "knowledge_races.KnowledgeRaceContract"),
    "knowledge_races.KnowledgeCloseContract",
}
# Of them: what a page is of, the engine decides; it takes a thousand documents to see.
DEPEND_ON_THE_ENGINE = {"test_pages_have_each_document_once"}
SUITES = "praison_persist.testing."


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, of the classes marked `again`, what does not depend on what they differ in."""
    left_out = [item for item in items if _is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _is_left_out(item)]


def _is_left_out(item: pytest.Item) -> bool:
    if item.get_closest_marker("again") is None or not isinstance(item, pytest.Function):
        return False
    test = item.function
    suite = f"{test.__module__}.{test.__qualname__.partition('.')[0]}"
    if not suite.startswith(SUITES):
        return False
    if suite.removeprefix(SUITES) not in DEPEND_ON_THE_DRIVER:
        return True
    return test.__name__ in DEPEND_ON_THE_ENGINE
