"""MLflow keeps absolute artifact paths; a home that was moved must still be able to retrain."""

from pathlib import Path

import pytest

from tasks.tracking import Tracker


def _tracker(home: Path) -> Tracker:
    return Tracker(f"sqlite:///{home / 'mlruns' / 'mlflow.db'}", home / "mlruns" / "artifacts")


@pytest.fixture
def first_home(tmp_path: Path) -> Path:
    home = tmp_path / "first"
    (home / "mlruns").mkdir(parents=True)
    return home


def test_a_moved_home_gets_an_experiment_of_its_own(first_home: Path, tmp_path: Path) -> None:
    before = _tracker(first_home)
    original = before._experiment_id()
    assert before._experiment_id() == original
    moved_home = first_home.rename(tmp_path / "second")
    after = _tracker(moved_home)
    moved = after._experiment_id()
    assert moved != original and after._experiment_id() == moved
    location = after._client.get_experiment(moved).artifact_location
    assert location == (moved_home / "mlruns" / "artifacts").resolve().as_uri()
