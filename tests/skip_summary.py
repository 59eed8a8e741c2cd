"""A pytest plugin of `make test`: says at the end what was skipped, and what would enable it."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each reason once, with the number of its tests."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report.longrepr) for report in reports)
    if not reasons:
        return
    terminalreporter.section("skipped")
    for reason, tests in reasons.most_common():
        terminalreporter.line(f"{tests:6} {reason}")
    if any(reason.startswith("PRAISON_TEST_") for reason in reasons):
        terminalreporter.line("To run them, set the variable to the URL of a server of yours.")


def _reason(longrepr: object) -> str:
    """Return the first line of a skip's reason."""
    reason = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)
    return reason.removeprefix("Skipped: ").partition("\n")[0]
