"""Files and folders that outlive a power loss: bytes first, then the name that leads to them."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and what it lies in; each new name is on the disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync_file(file: Path) -> None:
    """Bring a written file to the disk, its bytes and then its name."""
    sync(file)
    sync(file.parent)


def sync(path: Path) -> None:
    """Bring a file's bytes, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
