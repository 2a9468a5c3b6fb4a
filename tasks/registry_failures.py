"""What a failure of the MLflow store asks of the caller, in words that end somewhere."""

from __future__ import annotations

import re

from models.domain.errors import InvalidInput, RetryLater, RoboError

# SQLAlchemy's and Alembic's own advice: links, statements and their parameters.
_NOISE = re.compile(r"\(Background on this error at: \S+\)|\[(?:SQL|parameters): .*?\](?= |$)")
_EXCEPTION = re.compile(r"^\((?:\w+\.)+\w+\) ")
_REVISION = re.compile(r"found version (\w+), but expected (\w+)")
_UNKNOWN = re.compile(r"Can't locate revision identified by '(\w+)'")
_DAMAGED = ("not a database", "malformed", "file is encrypted", "disk image")
_INCOMPLETE = ("no such table", "no such column")


def store_failure(error: Exception, place: str) -> RoboError:
    """Return the domain error that an exception of the MLflow store at `place` stands for."""
    text = _EXCEPTION.sub("", _NOISE.sub("", " ".join(str(error).split()))).strip()
    if "database is locked" in text:
        return RetryLater(
            f"the MLflow store {place} is locked; close what writes to it and run this again"
        )
    if (found := _REVISION.search(text)) and not _is_known(found[1]):
        return _newer(place, found[1])
    if found:
        return InvalidInput(
            f"the MLflow store {place} was written by an older version (schema {found[1]}, this "
            f"MLflow needs {found[2]}); copy the file, then run .venv/bin/mlflow db upgrade {place}"
        )
    if unknown := _UNKNOWN.search(text):
        return _newer(place, unknown[1])
    if any(sign in text for sign in (*_DAMAGED, *_INCOMPLETE)):
        return InvalidInput(
            f"the MLflow store {place} is damaged ({text[:200]}); restore mlruns/ from a backup, "
            "or move mlruns/ away and run robo retrain"
        )
    return InvalidInput(
        f"the MLflow store {place} failed: {text[:300]}; restore mlruns/ from a backup, or move "
        "mlruns/ away and run robo retrain"
    )


def _newer(place: str, revision: str) -> InvalidInput:
    return InvalidInput(
        f"the MLflow store {place} was written by a newer version of MLflow (its schema "
        f"{revision} is unknown here); run the version of robo that wrote it, or move mlruns/ away "
        "and run robo retrain"
    )


def _is_known(revision: str) -> bool:
    """Say whether the installed MLflow has a migration of that name: then the store is older."""
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("mlflow")
    folders = spec.submodule_search_locations if spec else None
    versions = Path(next(iter(folders))) / "store/db_migrations/versions" if folders else Path()
    return any(versions.glob(f"{revision}_*.py"))
