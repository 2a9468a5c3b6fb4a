"""Retrain the ranker: data set, walk-forward validation, gate, final fit, registry, promotion."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from models.alpha.promotion import PromotionGate, judge
from models.alpha.ranker import RankerParams, train
from models.alpha.walk_forward import Fold, walk_forward_splits
from models.domain.errors import HaltTrading, InvalidInput
from tasks.learning.champion import load_champion, promote
from tasks.learning.features import Dataset, load_dataset
from tasks.places import project_root
from tasks.settings import quiet_dependencies
from tasks.tracking import CandidateRecord, ModelVersion, Tracker

if TYPE_CHECKING:
    from lightgbm import Booster

    from models.alpha.evaluation import Evaluation
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.market import MarketWarehouse

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How a candidate is made and judged; windows are in sessions.

    `horizon` is what the label looks ahead, `embargo` the sessions left out beyond it between a
    fold's training and test rows, `min_train` the first fold's training sessions.
    """

    horizon: int = 5
    folds: int = 6
    embargo: int = 5
    min_train: int = 1260
    params: RankerParams = field(default_factory=RankerParams)
    gate: PromotionGate = field(default_factory=PromotionGate)


class Outcome(StrEnum):
    """What became of a retrain."""

    PROMOTED = "promoted"
    MISSED = "missed the gate"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class RetrainReport:
    """What one retrain did and why; `version` is the candidate's, or the champion's if unchanged.

    `evaluation` is None when nothing was trained.
    """

    outcome: Outcome
    version: ModelVersion
    reasons: tuple[str, ...]
    dataset_hash: str
    rows: int
    evaluation: Evaluation | None

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.outcome is Outcome.UNCHANGED:
            return f"{self.version.label} stays champion: {self.reasons[0]}"
        return f"{self.version.label} {self.outcome}: {'; '.join(self.reasons)}"


def retrain(
    warehouse: MarketWarehouse,
    ledger: OrderLedger,
    tracker: Tracker,
    settings: Settings,
    now: datetime,
    *,
    progress: Progress,
    plan: TrainingPlan | None = None,
) -> RetrainReport:
    """Train on all stored bars and make the candidate champion if it passes the gate.

    Every candidate is logged and registered, whether it passes or not. When data set and plan are
    those of the present, loadable champion nothing is trained. `now` is market time (UTC). Raises
    InvalidInput when there is too little data, HaltTrading when the stored files are not the ones
    written.
    """
    quiet_dependencies()
    plan = plan or TrainingPlan()
    progress("computing features")
    data = load_dataset(warehouse, settings.universe)
    recipe = _recipe(data, plan)
    fingerprint = _fingerprint(data, recipe)
    progress("opening the model registry")
    present, trouble = _verified_champion(tracker, ledger)
    if present is not None and present.fingerprint == fingerprint:
        reason = "data and parameters are unchanged since it was trained"
        return _report(Outcome.UNCHANGED, present, (reason,), data, None)
    evaluation, incumbent = _validate(data, plan, present, progress)
    verdict = judge(evaluation, incumbent, plan.gate)
    progress(f"final fit on {len(data.features)} rows")
    booster = _final_fit(data, plan)
    reasons = (*verdict.reasons, *([trouble] if trouble else []))
    progress("logging the candidate")
    metrics = evaluation.metrics() | _named("incumbent", incumbent)
    record = CandidateRecord(
        fingerprint=fingerprint,
        recipe=recipe,
        params=_params(data, plan),
        metrics=metrics,
        importance=_importance(booster),
        passed=verdict.passed,
        reasons=reasons,
        trained_at=now,
        git_commit=_git_commit(),
    )
    version = tracker.log_candidate(booster, record)
    if verdict.passed:
        promote(tracker, ledger, version, booster, metrics=metrics, at=now)
    outcome = Outcome.PROMOTED if verdict.passed else Outcome.MISSED
    return _report(outcome, version, reasons, data, evaluation)


def _verified_champion(tracker: Tracker, ledger: OrderLedger) -> tuple[ModelVersion | None, str]:
    """Return the champion if it can be loaded, and otherwise why not (empty when there is none)."""
    if tracker.champion() is None:
        return None, ""
    try:
        return load_champion(tracker, ledger).version, ""
    except (HaltTrading, InvalidInput) as error:
        return None, f"replaces a champion that cannot be used ({error})"


def _validate(
    data: Dataset, plan: TrainingPlan, present: ModelVersion | None, progress: Progress
) -> tuple[Evaluation, Evaluation | None]:
    """Evaluate the candidate's recipe, and the champion's walked forward on the same folds."""
    from models.alpha.validation import validate

    def told(fold: Fold) -> None:
        span = f"{fold.test_start} to {fold.test_end}"
        progress(f"walk-forward fold {fold.number} of {plan.folds}: tested on {span}")

    folds = walk_forward_splits(
        data.sessions, plan.folds, plan.horizon, plan.embargo, plan.min_train
    )
    candidate = validate(data.features, data.closes, folds, plan.horizon, plan.params, on_fold=told)
    incumbent_params = _comparable_params(present, data, plan)
    if incumbent_params is None:
        return candidate, None
    if incumbent_params == plan.params:
        return candidate, candidate  # the same recipe on the same rows gives the same record
    progress("walking the champion's parameters forward on the same folds")
    return candidate, validate(data.features, data.closes, folds, plan.horizon, incumbent_params)


def _comparable_params(
    present: ModelVersion | None, data: Dataset, plan: TrainingPlan
) -> RankerParams | None:
    """Return the champion's parameters if its recipe can be walked forward with today's code."""
    if present is None:
        return None
    recipe = present.recipe
    same = recipe.get("features") == list(data.features.columns)
    if not same or recipe.get("horizon") != plan.horizon:
        return None
    return RankerParams.from_dict(recipe.get("params", {}))


def _final_fit(data: Dataset, plan: TrainingPlan) -> Booster:
    """Fit the candidate's recipe to every row whose label is known."""
    from models.alpha.labels import rank_labels

    return train(data.features, rank_labels(data.closes, plan.horizon), plan.params)


def _recipe(data: Dataset, plan: TrainingPlan) -> dict[str, Any]:
    return {
        "features": list(data.features.columns),
        "horizon": plan.horizon,
        "folds": plan.folds,
        "embargo": plan.embargo,
        "min_train": plan.min_train,
        "params": plan.params.as_dict(),
        "gate": asdict(plan.gate),
    }


def _fingerprint(data: Dataset, recipe: Mapping[str, Any]) -> str:
    text = data.content_hash + json.dumps(recipe, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _params(data: Dataset, plan: TrainingPlan) -> dict[str, str | int | float]:
    sessions = data.sessions
    return {
        **plan.params.as_dict(),
        "horizon": plan.horizon,
        "folds": plan.folds,
        "embargo": plan.embargo,
        "min_train": plan.min_train,
        "dataset_hash": data.content_hash,
        "rows": len(data.features),
        "symbols": ",".join(str(symbol) for symbol in data.closes.columns),
        "first_session": sessions[0].isoformat(),
        "last_session": sessions[-1].isoformat(),
        "feature_names": ",".join(str(name) for name in data.features.columns),
    }


def _importance(booster: Booster) -> dict[str, float]:
    gains = booster.feature_importance(importance_type="gain")
    pairs = zip(booster.feature_name(), gains, strict=True)
    return dict(sorted(((name, float(gain)) for name, gain in pairs), key=lambda pair: -pair[1]))


def _named(prefix: str, evaluation: Evaluation | None) -> dict[str, float]:
    if evaluation is None:
        return {}
    return {f"{prefix}_{name}": value for name, value in evaluation.metrics().items()}


def _git_commit() -> str:
    """Return the checkout's commit, or nothing outside a checkout or without git."""
    try:
        found = subprocess.run(
            ["git", "-C", str(project_root()), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _report(
    outcome: Outcome,
    version: ModelVersion,
    reasons: tuple[str, ...],
    data: Dataset,
    evaluation: Evaluation | None,
) -> RetrainReport:
    return RetrainReport(
        outcome, version, reasons, data.content_hash, len(data.features), evaluation
    )
