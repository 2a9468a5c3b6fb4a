"""A failure of the MLflow store says what it is and what mends it, without the library's links."""

import sqlite3

import pytest

from models.domain.errors import InvalidInput, RetryLater
from tasks.registry_failures import store_failure
from tasks.tracking import Tracker


def revised(tmp_path, empty_registry, revision):
    """A store whose schema is of another revision."""
    path = tmp_path / "mlflow.db"
    path.write_bytes(empty_registry.read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
    return Tracker(f"sqlite:///{path}", tmp_path / "artifacts")


def test_a_store_of_a_newer_mlflow_is_called_that(tmp_path, empty_registry):
    tracker = revised(tmp_path, empty_registry, "feedc0ffee00")
    with pytest.raises(InvalidInput, match="written by a newer version of MLflow") as raised:
        tracker.champion()
    assert "feedc0ffee00" in str(raised.value)


def test_a_store_of_an_older_mlflow_says_how_to_upgrade_it(tmp_path, empty_registry):
    tracker = revised(tmp_path, empty_registry, "0584bdc529eb")
    with pytest.raises(InvalidInput, match="written by an older version.*mlflow db upgrade"):
        tracker.champion()


def test_a_damaged_store_says_how_to_mend_it(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"this is no database" * 300)
    with pytest.raises(InvalidInput, match="is damaged.*restore mlruns/") as raised:
        Tracker(f"sqlite:///{path}", tmp_path / "artifacts").champion()
    text = str(raised.value)
    assert "sqlalche.me" not in text
    assert "SQL:" not in text
    assert "robo doctor" not in text


def test_a_locked_store_is_for_later():
    error = sqlite3.OperationalError("database is locked")
    assert isinstance(store_failure(error, "sqlite:///x"), RetryLater)
