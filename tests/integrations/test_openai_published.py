"""The tests of sessions that the OpenAI Agents SDK publishes with its sources pass on ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.packages import INTEGRATIONS, needs
from tests.programs import environment, python

needs("agents", extra="openai-agents", required_by=INTEGRATIONS)

SUITES = (
    "memory/test_session.py",
    "memory/test_session_limit.py",
    "memory/test_openai_responses_compaction_session.py",
    "extensions/memory/test_encrypt_session.py",
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK's sources of the installed version, from the index that pip is set up for."""
    folder = tmp_path_factory.mktemp("sources")
    wanted = f"openai-agents=={version('openai-agents')}"
    words = [
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        "openai-agents",
        "-d",
        str(folder),
        wanted,
    ]
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", *words], check=False, capture_output=True, text=True
    )
    assert fetched.returncode == 0, f"pip cannot download the sources of {wanted}"
    (archive,) = folder.glob("openai_agents-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


@pytest.mark.timeout(300)
def test_the_sdks_own_tests_pass(sources: Path, tmp_path: Path) -> None:
    variables = environment(tmp_path)
    # Beside it, for the package of their tests has the name of ours.
    variables["PYTHONPATH"] += f"{os.pathsep}{Path(__file__).parent}"
    words = ["-q", "--no-header", "-p", "openai_published", "-p", "no:cacheprovider"]
    suites = [sources / "tests" / suite for suite in SUITES]
    ended = python("-m", "pytest", *words, *suites, cwd=sources, variables=variables)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    counted = re.search(r"(\d+) passed", ended.stdout)
    assert counted is not None
    assert int(counted[1]) > 80
