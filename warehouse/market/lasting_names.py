"""Folders whose names outlive a power loss: a file's bytes are safe before its name is."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and what it lies in; each new name is on the disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_file(file: Path) -> None:
    """Bring a written file to the disk, its bytes and then its name."""
    place = os.open(file, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
