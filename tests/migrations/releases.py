"""The chain of revisions as a later release will have it: ours and that of `later/`."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config

from praison_persist.sql import migrate

LATER = "0003"


def _config(url: str, output: StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    ours = migrate.script_location()
    places = (ours / "versions", Path(__file__).parent / "later")
    config.set_main_option("script_location", str(ours))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(str, places)))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    command.downgrade(_config(url), revision)


def script(url: str) -> str:
    """Return the SQL of the later release alone."""
    output = StringIO()
    command.upgrade(_config(url, output), f"{migrate.HEAD}:{LATER}", sql=True)
    return output.getvalue()
