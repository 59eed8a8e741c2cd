"""Files that are on the disk, not in a cache of the system, when a call returns."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["make_folder", "replace", "sync_folder", "temporary"]


def replace(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Make `data` the content of the file: all of it, or what was there before.

    A file that is there keeps its permissions, a new one gets those of `mode` that the umask lets.

    Only one caller at a time may replace a file: the temporary file beside it has a fixed name, so
    that what a crash leaves of it is overwritten and does not pile up.
    """
    new = temporary(path)
    new.unlink(missing_ok=True)  # its permissions may be others
    try:
        with open(new, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            with suppress(FileNotFoundError):
                new.chmod(stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        if new.is_file():
            new.unlink()
        raise
    sync_folder(path.parent)


def temporary(path: Path) -> Path:
    """Return what a crash during `replace` may leave behind."""
    return path.with_name(f"{path.name}.tmp")


def make_folder(folder: Path) -> None:
    """Make the folder, with those above it, unless it is there."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or deleted in the folder last; Windows has no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
