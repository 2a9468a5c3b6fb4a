"""Experiments and the model registry; the only room that knows MLflow.

MLflow says what was tried and which version is champion. It is not trusted with what runs: the
hashes of a promoted version's files are in the order ledger (see `tasks.learning.champion`), and
nothing here ever calls mlflow.pyfunc.load_model, which runs code named in an artifact.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from models.domain.errors import HaltTrading, InvalidInput
from tasks.redaction import redact
from tasks.registry_failures import store_failure
from tasks.settings import quiet_dependencies

if TYPE_CHECKING:
    from lightgbm import Booster
    from mlflow import MlflowClient

    from tasks.settings import Settings

EXPERIMENT = "robo-daily-ranker"
MODEL_NAME = "robo-daily-ranker"
CHAMPION = "champion"
MODEL_FILE = "model.lgb"


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """All that is written down about one trained model, whether it passed the gate or not.

    `recipe` is what another training run needs to repeat it, `fingerprint` the SHA-256 of the data
    set and the recipe together. `metrics` are plain numbers; `importance` is total gain by feature.
    """

    fingerprint: str
    recipe: Mapping[str, Any]
    params: Mapping[str, str | int | float]
    metrics: Mapping[str, float]
    importance: Mapping[str, float]
    passed: bool
    reasons: tuple[str, ...]
    trained_at: datetime
    git_commit: str = ""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version, as MLflow tells it."""

    name: str
    version: str
    run_id: str
    model_id: str
    fingerprint: str
    passed: bool
    reasons: tuple[str, ...]
    recipe: Mapping[str, Any]

    @property
    def label(self) -> str:
        """How orders and reports name this version."""
        return f"{self.name}/{self.version}"


class Tracker:
    """One MLflow store: its SQLite database and the artifact folder beside it."""

    def __init__(self, uri: str, artifacts: Path, model_name: str = MODEL_NAME) -> None:
        """Remember where the store is; it is opened (and made) on first use."""
        self.uri = uri
        self.artifacts = artifacts
        self.model_name = model_name

    @cached_property
    def _client(self) -> MlflowClient:
        quiet_dependencies()
        try:
            self.artifacts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(
                f"{self.artifacts} cannot be made ({error.strerror}); make ROBO_HOME writable"
            ) from None
        with _translated(self.uri):
            import mlflow

            for name in ("mlflow", "alembic"):  # after the import, which sets levels itself
                logging.getLogger(name).setLevel(logging.WARNING)
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            client = mlflow.MlflowClient(self.uri, self.uri)
            client.get_experiment_by_name(EXPERIMENT)  # makes or checks the tables
        return client

    def log_candidate(self, booster: Booster, record: CandidateRecord) -> ModelVersion:
        """Log one training run with its native booster and register it, without any alias."""
        client = self._client
        with _translated(self.uri):
            run_id, model_id = self._log_run(booster, record)
            _ensure_registered(client, self.model_name)
            made = client.create_model_version(
                self.model_name,
                f"models:/{model_id}",
                run_id=run_id,
                tags=_tags(record),
                model_id=model_id,
            )
            return _version(made)

    def _log_run(self, booster: Booster, record: CandidateRecord) -> tuple[str, str]:
        import mlflow

        experiment = self._experiment_id()
        name, model_id = f"{record.trained_at:%Y-%m-%d}", ""
        with mlflow.start_run(experiment_id=experiment, run_name=name) as run:
            params, tags = texts_of(record)
            mlflow.log_params(params)
            mlflow.log_metrics(dict(record.metrics))
            mlflow.set_tags(tags)
            mlflow.log_dict(dict(record.importance), "feature_importance.json")
            mlflow.log_dict(dict(record.recipe), "recipe.json")
            model_id = _log_booster(booster)
        return run.info.run_id, model_id

    def promote(self, version: ModelVersion) -> None:
        """Let the alias champion point at `version`; its manifest must be recorded before."""
        client = self._client
        with _translated(self.uri):
            client.set_registered_model_alias(version.name, CHAMPION, version.version)

    def champion(self) -> ModelVersion | None:
        """Return the version that the alias names, or None."""
        client = self._client
        with _translated(self.uri):
            from mlflow.exceptions import MlflowException

            try:
                return _version(client.get_model_version_by_alias(self.model_name, CHAMPION))
            except MlflowException as error:
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

    def latest(self) -> ModelVersion | None:
        """Return the newest registered version, or None."""
        client = self._client
        with _translated(self.uri):
            found = client.search_model_versions(
                f"name = '{self.model_name}'", max_results=1, order_by=["version_number DESC"]
            )
            return _version(found[0]) if found else None

    def model_folder(self, version: ModelVersion) -> Path:
        """Return the folder that holds a version's files.

        Raises HaltTrading when the registry points anywhere but into this store's artifacts.
        """
        client = self._client
        with _translated(self.uri):
            location = client.get_logged_model(version.model_id).artifact_location
        parts = urlsplit(location or "")
        folder = Path(unquote(parts.path))
        inside = self.artifacts.resolve() in folder.resolve().parents
        if parts.scheme not in {"", "file"} or parts.netloc or not inside:
            raise HaltTrading(
                f"{version.label} is said to be at {location}, outside {self.artifacts}; somebody "
                "changed the registry, or mlruns was moved: run robo retrain"
            )
        return folder

    def _experiment_id(self) -> str:
        """Return the experiment whose artifacts are in our folder, made on first use.

        MLflow keeps an experiment's artifact folder as an absolute path: when the home was moved
        or copied, the old experiment stays readable in the UI and a new one takes its place.
        """
        here = self.artifacts.resolve().as_uri()
        moved = f"{EXPERIMENT}-{hashlib.sha256(here.encode()).hexdigest()[:8]}"
        for name in (EXPERIMENT, moved):
            found = self._client.get_experiment_by_name(name)
            if found is None:
                return self._client.create_experiment(name, here)
            if found.artifact_location == here:
                return found.experiment_id
        raise HaltTrading(
            f"the experiment {moved} of {self.uri} has another artifact folder than {here}: "
            "somebody changed the registry; start a new one by moving mlruns away"
        )


def open_tracker(settings: Settings) -> Tracker:
    """Return the tracker of the settings' mode.

    The store is one, so that runs can be compared, but each mode has a registered model of its
    own: what was trained on simulated bars can never become the champion of a live account.
    """
    suffix = "" if settings.mode == "simulated" else f"-{settings.mode}"
    return Tracker(settings.mlflow_uri, settings.mlflow_artifacts, f"{MODEL_NAME}{suffix}")


def _log_booster(booster: Booster) -> str:
    """Store the booster in LightGBM's own text format and return its logged-model id."""
    from importlib.metadata import version

    from mlflow.lightgbm import log_model

    needed = [f"{name}=={version(name)}" for name in ("lightgbm", "numpy", "pandas")]
    # Left to infer the requirements, MLflow takes some 18 s.
    info = log_model(booster, name="model", pip_requirements=needed)
    if info.model_id is None:
        raise InvalidInput("MLflow stored the model without an id; update mlflow to 3.17 or newer")
    return info.model_id


def _ensure_registered(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def texts_of(record: CandidateRecord) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters and the tags of a run, as MLflow shows them: without any secret."""
    params = {name: redact(str(value)) for name, value in record.params.items()}
    return params, _tags(record) | {"git_commit": redact(record.git_commit)}


def _tags(record: CandidateRecord) -> dict[str, str]:
    return {
        "fingerprint": record.fingerprint,
        "gate": "passed" if record.passed else "missed",
        "gate_reasons": redact(json.dumps(record.reasons)),
        "recipe": redact(json.dumps(dict(record.recipe), sort_keys=True)),
    }


def _version(found: Any) -> ModelVersion:
    tags: Mapping[str, str] = found.tags
    source = str(found.source or "")
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        run_id=found.run_id or "",
        model_id=found.model_id or source.removeprefix("models:/"),
        fingerprint=tags.get("fingerprint", ""),
        passed=tags.get("gate") == "passed",
        reasons=tuple(json.loads(tags.get("gate_reasons", "[]"))),
        recipe=json.loads(tags.get("recipe", "{}")),
    )


@contextmanager
def _translated(place: str) -> Iterator[None]:
    """Turn the store's exceptions of the block into the domain's."""
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, CommandError) as error:
        raise store_failure(error, place) from error
