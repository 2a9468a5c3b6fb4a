"""A folder of Data Docs for each run: the link on an older run's page still shows that run."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

KEPT_RUNS = 20
STAMP = "%Y%m%dT%H%M%S%fZ"


def run_folder(base: Path) -> Path:
    """Return the folder of a run that begins now."""
    return base / f"{datetime.now(UTC):{STAMP}}"


def tidy(folder: Path) -> None:
    """Drop what no page needs (the engine's tutorial pictures, 3 MB), and runs before the newest.

    Pages that cannot be removed stay: Data Docs never hold up an ingest.
    """
    for picture in folder.glob("static/images/*.gif"):
        picture.unlink(missing_ok=True)
    runs = sorted(path for path in folder.parent.iterdir() if path.is_dir() and _is_run(path.name))
    for old in runs[:-KEPT_RUNS]:
        shutil.rmtree(old, ignore_errors=True)


def _is_run(name: str) -> bool:
    try:
        datetime.strptime(name, STAMP)  # noqa: DTZ007 - only the form is asked
    except ValueError:
        return False
    return True
