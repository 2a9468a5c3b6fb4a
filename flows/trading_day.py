"""The whole simulated trading day, one run with a run below it for each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.console import headline
from flows.execute import execute
from flows.hooks import alert
from flows.ingest import ingest
from flows.open_gateway import gateway
from flows.outcomes import finish, run_name
from flows.parameters import DayParameters, ReconcileParameters
from flows.rebalance import rebalance
from flows.reconcile import reconcile
from flows.retrain import retrain
from flows.run_end import Outcome
from flows.summary import publish_day, summary
from models.domain.sessions import exchange_date

STEPS = 7


@flow(name="trading-day", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def trading_day(parameters: DayParameters = DayParameters()) -> State[Any]:
    """Gateway, ingest, retrain, rebalance, execute, reconcile, summary: one simulated day."""
    return finish(lambda: _trading_day(parameters), announce=False)


def _trading_day(parameters: DayParameters) -> Outcome:
    from tasks.services.gateway_process import find_gateway, stop_gateway
    from tasks.settings import load_settings

    settings = load_settings()
    was_running = find_gateway(settings) is not None
    try:
        hello, now = _step(1, "gateway", gateway).facts
        _step(2, "ingest", ingest)
        _step(3, "retrain", lambda **kw: retrain(parameters.retrain, **kw))
        _step(4, "rebalance", rebalance)
        _step(5, "execute", execute)
        closing = ReconcileParameters(moment="close")
        _step(6, "reconcile", lambda **kw: reconcile(closing, **kw))
        session = exchange_date(now)
        outcome = _step(7, "summary", lambda **kw: summary(hello.account, session, **kw))
        publish_day(outcome.facts)
        return outcome
    finally:
        if not was_running:
            stop_gateway(settings)


def _step(number: int, name: str, run: Callable[..., Any]) -> Outcome:
    """Run one subflow and return its outcome; what it raised is raised again."""
    headline(f"[{number}/{STEPS}] {name}")
    state: State[Outcome] = run(return_state=True)
    return state.result()
