"""LangGraph's own conformance suite for checkpointers, with all capabilities that it knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from tests.integrations.langgraph.conftest import Location
from tests.packages import INTEGRATIONS, needs

needs("langgraph.checkpoint.conformance", extra="integrations", required_by=INTEGRATIONS)

from langgraph.checkpoint.conformance import checkpointer_test, validate  # noqa: E402 - after the check
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES  # noqa: E402 - as above

from praison_persist.integrations.langgraph import PersistSaver  # noqa: E402 - as above


def test_the_published_suite_passes(everywhere: Location) -> None:
    @checkpointer_test(name="PersistSaver")  # type: ignore[untyped-decorator]  # typed in LangGraph
    async def saver() -> AsyncGenerator[PersistSaver, None]:
        async with PersistSaver(**everywhere) as opened:
            yield opened

    report = asyncio.run(validate(saver))
    results = {name: (each.detected, each.failures) for name, each in report.results.items()}
    assert results == {each.value: (True, []) for each in ALL_CAPABILITIES}
    assert all(each.passed and each.tests_passed for each in report.results.values())
