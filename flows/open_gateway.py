"""Gateway: see to it that the simulated IB Gateway runs and stands in a trading day."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.run_end import Outcome


@flow(name="gateway", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def gateway() -> State[Any]:
    """Start the gateway process unless one runs; move its market clock past a day that is over."""
    return finish(_gateway)


def _gateway() -> Outcome:
    from models.domain.sessions import EXCHANGE_TZ
    from tasks.services.gateway_process import ensure_gateway, open_trading_day
    from tasks.settings import load_settings

    settings = load_settings()
    hello = ensure_gateway(settings)
    say(hello.market)
    now = open_trading_day(settings, hello.now)
    how = "started" if hello.started_here else "already running"
    local = now.astimezone(EXCHANGE_TZ)
    text = (
        f"{how}: account {hello.account} on {settings.host}:{settings.port}, pid {hello.pid}, "
        f"seed {hello.seed}, {hello.speed:g} market seconds a second, market time "
        f"{local:%a %Y-%m-%d %H:%M} New York"
    )
    return Outcome(text, (hello, now))
