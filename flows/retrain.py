"""Retrain: walk-forward validation of the ranker, logged to MLflow, champion only past the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_table
from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.parameters import RetrainParameters
from flows.run_end import Outcome

if TYPE_CHECKING:
    from tasks.learning.training import RetrainReport


@flow(name="retrain", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def retrain(parameters: RetrainParameters = RetrainParameters()) -> State[Any]:
    """Train a candidate on every stored bar and promote it when it beats the gate."""
    return finish(lambda: _retrain(parameters))


def _retrain(parameters: RetrainParameters) -> Outcome:
    from models.alpha.ranker import RankerParams
    from tasks.broker.clock import market_now
    from tasks.learning.training import TrainingPlan
    from tasks.learning.training import retrain as train
    from tasks.settings import load_settings
    from tasks.stores import open_ledger, open_warehouse
    from tasks.tracking import open_tracker

    settings = load_settings()
    plan = TrainingPlan(
        horizon=parameters.horizon,
        folds=parameters.folds,
        embargo=parameters.horizon,
        params=RankerParams(seed=parameters.seed),
    )
    with open_ledger(settings) as ledger:
        report = train(
            open_warehouse(settings),
            ledger,
            open_tracker(settings),
            settings,
            market_now(settings.clock, settings.host, settings.control_port),
            progress=say,
            plan=plan,
        )
    _publish(report)
    return Outcome(report.summary, report)


def _publish(report: RetrainReport) -> None:
    if report.evaluation is None:
        return
    rows = [
        {"metric": name, "value": f"{value:.4f}"}
        for name, value in report.evaluation.metrics().items()
    ]
    publish_table(rows, key="model-evaluation", description=report.summary)
