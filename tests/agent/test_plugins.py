"""A backend that another package brings: really built, really installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .processes import run

MODULE = """
from praison_persist import SQLConversationStore

CALLS = []


def create_store(url=None, **options):
    CALLS.append((url, options))
    return SQLConversationStore(url.removeprefix("tiny://"), **options)


def shadow(**options):
    raise AssertionError("an installed plugin must not replace a built-in")
"""
ENTRY_POINTS = """
[praisonai.conversation_stores]
Tiny = tiny_store:create_store
sqlite = tiny_store:shadow
broken = tiny_store.nosuch:create
[praisonai.state_stores]
tinystate = tiny_store:CALLS
"""


def build_wheel(folder: Path) -> Path:
    """Write a wheel, as the binary distribution format describes it (PyPA specifications)."""
    info = "tiny_store-1.0.dist-info"
    files = {
        "tiny_store.py": MODULE,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-store\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": ENTRY_POINTS,
    }
    record = [*files, f"{info}/RECORD"]
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in record)
    wheel = folder / "tiny_store-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the plugin is installed in."""
    folder = tmp_path_factory.mktemp("plugin")
    target = folder / "site"
    options = ["--no-index", "--no-deps", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target)]
    subprocess.run([*command, str(build_wheel(folder))], check=True)
    return target


def test_an_installed_plugin_keeps_a_conversation(site: Path, tmp_path: Path) -> None:
    output, _ = run(
        """
        site, file = sys.argv[1:]
        sys.path.insert(0, site)
        from praison_persist import PraisonAIDB, create_conversation_store, get_default_registry

        stores = get_default_registry("conversation")
        assert "tiny_store" not in sys.modules, "loaded before it is asked for"
        with PraisonAIDB(f"tiny://{file}", pool_size=2) as db:
            db.on_user_message("s", "hi")
            assert [message.content for message in db.get_messages("s")] == ["hi"]
        import tiny_store
        assert tiny_store.CALLS == [(f"tiny://{file}", {"pool_size": 2})], tiny_store.CALLS
        assert {"tiny", "broken", "sqlite"} <= set(stores.list_registered())
        create_conversation_store("TINY", f"tiny://{file}").close()
        create_conversation_store("sqlite", file).close()
        assert get_default_registry("state").has("tinystate")
        print("done")
        """,
        str(site),
        str(tmp_path / "plugin.db"),
    )
    assert output == "done\n"


def test_a_broken_plugin_breaks_nothing_else(site: Path, tmp_path: Path) -> None:
    output, _ = run(
        """
        site, file = sys.argv[1:]
        sys.path.insert(0, site)
        from praison_persist import MissingDependencyError, UnknownBackendError
        from praison_persist import get_default_registry

        stores = get_default_registry("conversation")
        for _ in range(2):
            try:
                stores.create("broken")
            except MissingDependencyError as error:
                print(error)
            try:
                stores.create("nosuch")
            except UnknownBackendError as error:
                assert "tiny" in str(error)
        assert stores.has("broken") and not stores.is_available("broken")
        stores.create("tiny", url=f"tiny://{file}").close()
        """,
        str(site),
        str(tmp_path / "plugin.db"),
    )
    first, second = output.splitlines()
    assert first == second
    assert first.startswith("Plugin 'broken' is registered but its dependencies are not installed:")
