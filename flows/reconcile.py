"""Reconcile: broker against ledger, to the share and the cent; a difference fails the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State

from flows.console import say
from flows.hooks import alert
from flows.outcomes import Outcome, finish, run_name
from flows.parameters import ReconcileParameters
from models.domain.errors import HaltTrading, RetryLater, SkipToday
from models.domain.sessions import exchange_date, session_on

if TYPE_CHECKING:
    from tasks.reconciliation import Reconciliation


@flow(name="reconcile", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def reconcile(parameters: ReconcileParameters = ReconcileParameters()) -> State[Any]:
    """Compare positions, cash, orders and executions; fail and list whatever differs."""
    return finish(lambda: _reconcile(parameters))


def _reconcile(parameters: ReconcileParameters) -> Outcome:
    from tasks.account_snapshot import read_account
    from tasks.broker.clock import market_now
    from tasks.execution_report import day_report, record_costs
    from tasks.gateway_process import close_trading_day
    from tasks.reconciliation import reconcile as compare
    from tasks.session_lease import SessionLease
    from tasks.settings import load_settings
    from tasks.stores import open_ledger, open_warehouse

    settings = load_settings()
    now = market_now(settings.clock, settings.host, settings.control_port)
    today = session_on(exchange_date(now))
    if today is None and parameters.moment != "now":
        raise SkipToday(f"market closed: {exchange_date(now)} is no session")
    with open_ledger(settings) as ledger:
        # A session at work would look like a difference; a check that did not run is no success.
        lease = SessionLease.take(ledger, settings, busy=RetryLater)
        try:
            if parameters.moment == "close" and settings.clock == "gateway":
                say("letting the simulated market run to the close")
                close_trading_day(settings, now)
                lease.confirm()
            evidence = read_account(settings)
            found = compare(ledger, evidence)
            if today is not None and evidence.at >= today.close:
                ledger.accounts.record_snapshot(
                    evidence.account,
                    evidence.at,
                    evidence.cash,
                    evidence.net_liquidation,
                    f"{today.date} after",
                )
                costs = day_report(ledger, evidence.account, today.date)
                record_costs(open_warehouse(settings), costs, evidence.at)
        finally:
            lease.release()
    _publish(found)
    if not found.agrees:
        raise HaltTrading(
            f"{found.summary}. No order was sent or changed; look at the account in TWS, correct "
            "what is wrong, and reconcile again before trading"
        )
    return Outcome(found.summary, found)


def _publish(found: Reconciliation) -> None:
    rows = [
        {
            "kind": difference.kind,
            "what": difference.what,
            "ledger": f"{difference.ledger} {difference.unit}".strip(),
            "broker": f"{difference.broker} {difference.unit}".strip(),
        }
        for difference in found.differences
    ] or [{"kind": "none", "what": "", "ledger": "", "broker": ""}]
    create_table_artifact(rows, key="reconciliation", description=found.summary)
