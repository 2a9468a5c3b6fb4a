"""Reconcile: broker against ledger, to the share and the cent; a difference fails the run.

A person may accept the correction that was proposed for a difference, with a reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_table
from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.parameters import ReconcileParameters
from flows.run_end import Outcome
from models.domain.errors import AskPerson, LeaseHeld, SkipToday
from models.domain.sessions import exchange_date, session_on

if TYPE_CHECKING:
    from datetime import date

    from models.execution.differences import Difference
    from tasks.books.reconciliation import Reconciliation
    from tasks.broker.protocol import Evidence
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger


@flow(name="reconcile", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def reconcile(parameters: ReconcileParameters = ReconcileParameters()) -> State[Any]:
    """Compare positions, cash, orders and executions; fail and list whatever differs."""
    return finish(lambda: _reconcile(parameters))


def _reconcile(parameters: ReconcileParameters) -> Outcome:
    from tasks.books.account_snapshot import read_account
    from tasks.books.split_booking import book_splits
    from tasks.broker.clock import market_now
    from tasks.leases.session_lease import SessionLease
    from tasks.services.gateway_process import close_trading_day
    from tasks.settings import load_settings
    from tasks.stores import open_ledger, open_warehouse

    settings = load_settings()
    now = market_now(settings.clock, settings.host, settings.control_port)
    today = session_on(exchange_date(now))
    if today is None and parameters.moment != "now":
        raise SkipToday(f"market closed: {exchange_date(now)} is no session")
    with open_ledger(settings) as ledger:
        # A session at work would look like a difference; a check that did not run is no success.
        try:
            lease = SessionLease.take(ledger, settings, busy=LeaseHeld)
        except LeaseHeld as held:
            if parameters.moment != "now" or parameters.accept:
                raise
            return _look(settings, ledger, str(held))
        try:
            if parameters.moment == "close" and settings.clock == "gateway":
                say("letting the simulated market run to the close")
                close_trading_day(settings, now)
                lease.confirm()
            evidence = read_account(settings)
            for text in book_splits(ledger, evidence, open_warehouse(settings).actions.of()):
                say(text)
            found = _compare(ledger, evidence, parameters)
            if today is not None and evidence.at >= today.close:
                _record_close(settings, ledger, evidence, today.date)
        finally:
            lease.release()
    _publish(found)
    if not found.agrees:
        raise AskPerson(_text(found), _rows(found))
    return Outcome(found.summary, found)


def _record_close(
    settings: Settings, ledger: OrderLedger, evidence: Evidence, session: date
) -> None:
    """Keep the account's worth after a session, and what its orders cost."""
    from tasks.books.execution_report import day_report, record_costs
    from tasks.stores import open_warehouse

    ledger.accounts.record_snapshot(
        evidence.account,
        evidence.at,
        evidence.cash,
        evidence.net_liquidation,
        f"{session} after",
    )
    costs = day_report(ledger, evidence.account, session)
    record_costs(open_warehouse(settings), costs, evidence.at)


def _look(settings: Settings, ledger: OrderLedger, held: str) -> Outcome:
    """Look beside the session at work; what differs at every look asks for a person."""
    from tasks.books.account_snapshot import read_account
    from tasks.books.reconciliation_look import look_beside

    say(f"only looking: {held.partition(';')[0]}")
    seen = look_beside(ledger, lambda: read_account(settings))
    if not seen.agrees:
        lines = [seen.summary]
        lines += [f"  {one.text}\n      {one.proposal}" for one in seen.found]
        lines.append("to settle any: run robo reconcile again once the session has ended")
        raise AskPerson("\n".join(lines), [_row("", one) for one in seen.found])
    return Outcome(seen.summary, seen)


def _compare(
    ledger: OrderLedger, evidence: Evidence, parameters: ReconcileParameters
) -> Reconciliation:
    import getpass

    from tasks.books.corrections import accept_differences
    from tasks.books.reconciliation import reconcile as compare

    if not parameters.accept:
        return compare(ledger, evidence)
    return accept_differences(
        ledger,
        evidence,
        parameters.accept,
        reason=parameters.reason,
        by=getpass.getuser(),
        cash_kind=parameters.cash_kind,
    )


def _text(found: Reconciliation) -> str:
    """Return what differs, what would mend each, and what is blocked meanwhile."""
    count = len(found.found)
    what = "difference" if count == 1 else "differences"
    lines = [f"{count} {what} between broker and ledger; nothing was sent"]
    for each in found.found:
        lines += [f"  {each.id}  {each.difference.text}", f"      {each.difference.proposal}"]
    blocked = sorted({e.difference.symbol for e in found.found if e.difference.kind.blocks})
    if blocked:
        lines.append(f"new orders wait in {', '.join(blocked)}; other symbols trade on")
    if any(each.difference.correction for each in found.found):
        lines.append('to take a correction: robo reconcile --accept ID --reason "why"')
    else:
        lines.append("then run robo reconcile again")
    return "\n".join(lines)


def _rows(found: Reconciliation) -> list[dict[str, str]]:
    return [_row(each.id, each.difference) for each in found.found]


def _row(name: str, difference: Difference) -> dict[str, str]:
    return {
        "id": name,
        "kind": difference.kind.value,
        "what": difference.subject,
        "ledger": f"{difference.ledger} {difference.unit}".strip(),
        "broker": f"{difference.broker} {difference.unit}".strip(),
        "proposed": difference.proposal,
    }


def _publish(found: Reconciliation) -> None:
    none = {"id": "", "kind": "none", "what": "", "ledger": "", "broker": "", "proposed": ""}
    rows = _rows(found) or [none]
    publish_table(rows, key="reconciliation", description=found.summary)
