"""The plugin of examples/plugin, really installed: found, created, and keeping every contract."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.processes import run
from tests.programs import ROOT, environment

PLUGIN = ROOT / "examples" / "plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the plugin is installed in."""
    pytest.importorskip("hatchling", reason="the build backend: pip install hatchling")
    target = tmp_path_factory.mktemp("plugin") / "site"
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options]
    subprocess.run([*command, "--target", str(target), str(PLUGIN)], check=True)
    return target


def test_it_is_found_and_created_by_name(site: Path) -> None:
    output, _ = run(
        """
        import asyncio
        sys.path.insert(0, sys.argv[1])
        from praison_persist import PraisonAIDB, create_conversation_store, get_default_registry

        for kind in ("conversation", "knowledge", "state"):
            registry = get_default_registry(kind)
            assert "shelf" in registry.list_registered(), registry.list_registered()
            assert "praison_shelf" not in sys.modules or kind != "conversation"
            with registry.create("SHELF", url="shelf://x") as store:
                assert type(store).__module__ == f"praison_shelf.{kind}", store
            registry.register_store("ledge", registry.resolve("shelf"), aliases=("board",))
            with registry.create("board", url="shelf://x") as other:
                assert type(other) is type(store)
        with PraisonAIDB("shelf://x", state_url="shelf://x", knowledge_url="shelf://x") as db:
            db.on_user_message("s", "hi")
        with create_conversation_store("shelf", "shelf://x") as store:
            assert [message.content for message in store.get_messages("s")] == ["hi"]

        async def main():
            store = create_conversation_store("shelf", "shelf://x", "async")
            print([message.content for message in await store.get_messages("s")])

        asyncio.run(main())
        """,
        str(site),
    )
    assert output == "['hi']\n"


def test_it_is_found_under_the_original_names(site: Path) -> None:
    output, _ = run(
        """
        sys.path.insert(0, sys.argv[1])
        from praison_persist import compat
        compat.install()
        from praisonai.persistence import create_state_store
        from praisonai.persistence.registry import STATE_STORES, StoreRegistry

        own = StoreRegistry("state", "praisonai.state_stores")
        assert {"shelf", "redis"} <= set(own.list_registered())
        create_state_store("shelf").set("a", 1)
        print(own.create("shelf").get("a"), STATE_STORES.has("shelf"))
        """,
        str(site),
    )
    assert output == "1 True\n"


def test_it_keeps_every_contract(site: Path, tmp_path: Path) -> None:
    """The suites need something of this repository that an author of a plugin has not."""
    variables = environment(tmp_path)
    variables["PYTHONPATH"] += f":{site}"
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, "--rootdir", str(PLUGIN), str(PLUGIN / "test_shelf.py")],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-1000:]
    assert " passed" in ended.stdout
