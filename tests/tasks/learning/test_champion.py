"""Models are loaded without running code, and only if every byte is the one promoted."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.domain.errors import HaltTrading, InvalidInput
from tasks.learning.champion import EXPECTED_FILES, load_champion, manifest_version, promote
from tasks.settings import Settings, load_settings
from tasks.tracking import CandidateRecord, ModelVersion, Tracker, open_tracker
from warehouse.ledger import OrderLedger

if TYPE_CHECKING:
    import lightgbm

NOW = datetime(2023, 1, 3, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    return _fit(seed=1)


def _fit(seed: int) -> lightgbm.Booster:
    import lightgbm  # takes seconds

    inputs = np.random.default_rng(seed).normal(size=(500, 3))
    data = lightgbm.Dataset(inputs, inputs[:, 0], feature_name=["a", "b", "c"])
    return lightgbm.train({"verbosity": -1, "num_threads": 1}, data, num_boost_round=5)


def _record(*, passed: bool = True, reasons: tuple[str, ...] = ()) -> CandidateRecord:
    return CandidateRecord(
        fingerprint="f" * 64,
        recipe={"params": {"seed": 7}},
        params={"seed": 7, "rows": 500},
        metrics={"mean_ic": 0.03},
        importance={"a": 12.0, "b": 1.0},
        passed=passed,
        reasons=reasons,
        trained_at=NOW,
        git_commit="abc",
    )


@pytest.fixture
def champion(tracker: Tracker, ledger: OrderLedger, booster: lightgbm.Booster) -> ModelVersion:
    version = tracker.log_candidate(booster, _record())
    promote(tracker, ledger, version, booster, metrics={"mean_ic": 0.03}, at=NOW)
    return version


def test_promoted_model_is_loaded_as_it_was_trained(
    tracker: Tracker, ledger: OrderLedger, champion: ModelVersion, booster: lightgbm.Booster
) -> None:
    loaded = load_champion(tracker, ledger)
    assert loaded.version == champion == tracker.champion() == tracker.latest()
    assert loaded.features == ("a", "b", "c")
    rows = np.random.default_rng(3).normal(size=(50, 3))
    np.testing.assert_array_equal(loaded.booster.predict(rows), booster.predict(rows))
    manifest = ledger.models.manifest(champion.name, manifest_version(champion))
    assert manifest is not None and set(manifest.files) == EXPECTED_FILES


def test_everything_about_a_run_is_logged(
    tracker: Tracker, champion: ModelVersion, settings: Settings
) -> None:
    import mlflow

    client = mlflow.MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    run = client.get_run(champion.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "7", "rows": "500"}
    assert run.data.metrics == {"mean_ic": 0.03}
    assert run.data.tags["git_commit"] == "abc"
    assert {item.path for item in client.list_artifacts(champion.run_id)} == {
        "feature_importance.json",
        "recipe.json",
    }
    assert champion.recipe == {"params": {"seed": 7}}
    assert settings.mlflow_artifacts in tracker.model_folder(champion).parents


def test_no_champion_says_what_to_do_and_why_the_last_one_missed(
    tracker: Tracker, ledger: OrderLedger, booster: lightgbm.Booster
) -> None:
    with pytest.raises(InvalidInput, match="no champion model yet; run robo retrain"):
        load_champion(tracker, ledger)
    tracker.log_candidate(booster, _record(passed=False, reasons=("mean IC 0.001 is below 0.01",)))
    with pytest.raises(InvalidInput, match=r"missed the gate: mean IC 0.001 is below 0.01"):
        load_champion(tracker, ledger)


def test_alias_moves_only_by_promotion(
    tracker: Tracker, ledger: OrderLedger, champion: ModelVersion
) -> None:
    other = _fit(seed=2)
    second = tracker.log_candidate(other, _record())
    assert second.version == "2" and tracker.latest() == second
    assert load_champion(tracker, ledger).version == champion
    promote(tracker, ledger, second, other, metrics={}, at=NOW)
    assert load_champion(tracker, ledger).version == second


def _swap_model(folder: Path) -> None:
    _fit(seed=9).save_model(str(folder / "model.lgb"))


def _append(folder: Path) -> None:
    with (folder / "model.lgb").open("ab") as file:
        file.write(b"\n")


def _pickle_payload(folder: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {folder / 'executed'}",)

    (folder / "model.pkl").write_bytes(pickle.dumps(Payload()))


def _relabel(folder: Path) -> None:
    _pickle_payload(folder)
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    data: model.pkl\n"
    )


def _code_folder(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "evil.py").write_text("raise SystemExit('executed')\n")
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: evil\n")


def _symlink(folder: Path) -> None:
    other = folder.parent / "elsewhere.lgb"
    shutil.move(folder / "model.lgb", other)
    (folder / "model.lgb").symlink_to(other)


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


TAMPERING = [
    (_swap_model, "changed: model.lgb"),
    (_append, "changed: model.lgb"),
    (_pickle_payload, "added: model.pkl"),
    (_relabel, r"changed: MLmodel; added: model.pkl"),
    (_code_folder, "code, which is no plain file"),
    (lambda folder: (folder / "extra.txt").write_text("hello"), "added: extra.txt"),
    (lambda folder: (folder / "MLmodel").write_text("{}"), "changed: MLmodel"),
    (lambda folder: (folder / "requirements.txt").unlink(), "missing: requirements.txt"),
    (lambda folder: (folder / "model.lgb").unlink(), "missing: model.lgb"),
    (lambda folder: (folder / "model.lgb").write_bytes(b""), "changed: model.lgb"),
    (_symlink, "model.lgb, which is no plain file"),
    (_remove_folder, "cannot be read"),
]


@pytest.mark.parametrize(("tamper", "message"), TAMPERING)
def test_tampered_artifact_is_refused_unexecuted(
    tracker: Tracker,
    ledger: OrderLedger,
    champion: ModelVersion,
    tamper: Callable[[Path], None],
    message: str,
) -> None:
    folder = tracker.model_folder(champion)
    tamper(folder)
    with pytest.raises(HaltTrading, match=message):
        load_champion(tracker, ledger)
    assert not (folder / "executed").exists()


def test_champion_without_manifest_is_refused(
    tracker: Tracker, ledger: OrderLedger, booster: lightgbm.Booster
) -> None:
    tracker.promote(tracker.log_candidate(booster, _record()))
    with pytest.raises(HaltTrading, match="no manifest"):
        load_champion(tracker, ledger)


def test_manifest_of_another_store_does_not_vouch(
    tracker: Tracker,
    ledger: OrderLedger,
    champion: ModelVersion,
    booster: lightgbm.Booster,
    empty_registry: Path,
    tmp_path: Path,
) -> None:
    """A registry made anew counts from version 1 again; that is not the version of before."""
    (tmp_path / "new").mkdir()
    shutil.copy(empty_registry, tmp_path / "new" / "mlflow.db")
    anew = Tracker(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}", tmp_path / "new" / "artifacts")
    version = anew.log_candidate(booster, _record())
    anew.promote(version)
    assert version.version == champion.version
    with pytest.raises(HaltTrading, match="no manifest"):
        load_champion(anew, ledger)
    promote(anew, ledger, version, booster, metrics={}, at=NOW)
    assert load_champion(anew, ledger).version == version


def test_registry_pointing_elsewhere_is_refused(
    tracker: Tracker, ledger: OrderLedger, champion: ModelVersion, settings: Settings
) -> None:
    import sqlite3

    with sqlite3.connect(settings.mlflow_dir / "mlflow.db") as database:
        database.execute("UPDATE logged_models SET artifact_location = 'file:///etc'")
    with pytest.raises(HaltTrading, match="outside"):
        load_champion(tracker, ledger)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda folder: (folder / "extra.txt").write_text("hello"), "not promoted"),
        (_swap_model, "is not the booster that was trained"),
    ],
)
def test_nothing_unexpected_is_promoted(
    tracker: Tracker,
    ledger: OrderLedger,
    booster: lightgbm.Booster,
    tamper: Callable[[Path], None],
    message: str,
) -> None:
    version = tracker.log_candidate(booster, _record())
    tamper(tracker.model_folder(version))
    with pytest.raises(HaltTrading, match=message):
        promote(tracker, ledger, version, booster, metrics={}, at=NOW)
    assert tracker.champion() is None
    assert ledger.models.manifest(version.name, manifest_version(version)) is None


def test_modes_have_champions_of_their_own(
    tracker: Tracker, ledger: OrderLedger, champion: ModelVersion, settings: Settings
) -> None:
    paper = open_tracker(load_settings(mode="paper", home=settings.home))
    live = open_tracker(load_settings(mode="live", home=settings.home))
    assert len({tracker.model_name, paper.model_name, live.model_name}) == 3
    assert paper.champion() is None and live.champion() is None


def test_store_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidInput, match="cannot be made"):
        Tracker(f"sqlite:///{tmp_path / 'db'}", tmp_path / "file" / "artifacts").champion()
    (tmp_path / "mlflow.db").write_bytes(b"this is no database at all" * 100)
    broken = Tracker(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    with pytest.raises(InvalidInput, match=r"mlflow.db is damaged.*robo retrain"):
        broken.champion()
