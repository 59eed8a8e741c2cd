"""Tables, goals and plots are made of the results alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.contenders import CONTENDERS
from benchmarks.goals import GOALS, outcomes
from benchmarks.results import Failure, Measurement, Results
from tests.programs import ROOT

RESULTS = ROOT / "docs" / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
MACHINE = {
    "processor": "A processor",
    "cores": 2,
    "memory_gb": 8,
    "system": "Linux 6",
    "file_system": "ext2/ext3",
    "fdatasync_us": 200.0,
    "load": 0.1,
    "python": "3.11.7",
    "sqlite": "3.40.1",
}
TALLY = {
    "acknowledged": 9,
    "lost": 0,
    "duplicated": 0,
    "out_of_order": 0,
    "unacknowledged": 0,
    "errors": {},
}


def measured(contender: str, value: float, **more: object) -> Measurement:
    about: dict[str, object] = {"p50_us": 10.0, "p99_us": 20.0, "tally": TALLY, **more}
    return Measurement("append", "sqlite", contender, "appends/s", value, **about)  # type: ignore[arg-type]  # plain values


@pytest.fixture
def results() -> Results:
    made = Results("2026-01-02T03:04:05+00:00", "short", MACHINE, {"praison-persist": "0.1"})
    made.measurements = [
        measured("sqlite3", 4000.0),
        measured("ours", 3800.0, baseline="sqlite3", ratio=0.95, low=0.9, high=1.0),
        measured("ours", 3800.0, baseline="praisonai", ratio=3.0, low=2.9, high=3.1),
        measured(
            "praisonai",
            1266.0,
            baseline="sqlite3",
            ratio=0.3,
            tally={**TALLY, "lost": 2, "errors": {"OperationalError: database is locked": 7}},
        ),
    ]
    made.failures = [Failure("append", "sqlite", "adk", "not measured: no environment")]
    return made


def test_results_come_back_as_they_were(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.save(path)
    assert Results.load(path) == results


def test_results_of_another_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"format": 0}')
    with pytest.raises(ValueError, match="measure again"):
        Results.load(path)


def test_the_fastest_stands_first_with_its_ratios(results: Results) -> None:
    lines = report.text(results).splitlines()
    rows = [line for line in lines if line.startswith(("| raw", "| praison"))]
    assert rows[0].startswith("| raw sqlite3, INSERT | 4,000 | 10 | 20 | 1 |")
    assert rows[1] == (
        "| praison_persist | 3,800 | 10 | 20 | 0.95 (0.9 to 1) | praisonai 3 | all |"
    )
    assert "2 lost, 7 refused (`OperationalError: database is locked`)" in rows[2]


def test_what_was_not_measured_is_told(results: Results) -> None:
    told = "Google ADK DatabaseSessionService | `not measured: no environment` |"
    assert told in report.text(results)


def test_goals_are_compared(results: Results) -> None:
    found = {each.goal.says: each for each in outcomes(results) if each.value is not None}
    one = found["append on sqlite: sync to raw sqlite3, INSERT"]
    other = found["append on sqlite: sync to praisonai"]
    assert (one.value, one.reached) == (0.95, True)
    assert (other.value, other.reached) == (3.0, False)
    assert len(found) == 2


def test_each_goal_has_one_bound() -> None:
    assert all((goal.least is None) != (goal.most is None) for goal in GOALS)
    assert len({(goal.number, goal.says) for goal in GOALS}) == len(GOALS)


def test_the_summary_has_the_ratios(results: Results) -> None:
    assert "| append, one writer | sqlite | 3,800 | 0.95 | 3 |" in report.summary(results)


def test_only_what_is_between_the_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n")
    assert report.write_into(page, "new")
    assert page.read_text() == f"before\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nafter\n"
    page.write_text("without marks\n")
    assert not report.write_into(page, "new")
    assert page.read_text() == "without marks\n"


def test_plots_are_the_same_each_time(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra bench")
    from benchmarks.plots import draw  # noqa: PLC0415 - needs what is asked for above

    (path,) = draw(results, tmp_path)
    first = path.read_text()
    assert "praison_persist" in first
    assert draw(results, tmp_path) == [path]
    assert path.read_text() == first


def test_the_page_is_that_of_the_results() -> None:
    if not RESULTS.exists():
        assert report.BEGIN in PAGE.read_text(encoding="utf-8")
        return
    results = Results.load(RESULTS)
    told = {PAGE: report.text(results, PAGE.parent), ROOT / "README.md": report.summary(results)}
    for page, written in told.items():
        text = page.read_text(encoding="utf-8")
        assert report.BEGIN not in text or written in text, "run: python -m benchmarks plot"


def test_contenders_have_titles_of_their_own() -> None:
    titles = [entry.title for entry in CONTENDERS.values() if entry.engines[0] != "redis"]
    own = [title for title in titles if title != "praison_persist"]
    assert len(set(own)) == len(own)
