"""Rebalance: the champion's signals to target weights to parent orders. It sends nothing."""

from __future__ import annotations

import getpass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_table
from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.parameters import RebalanceParameters
from flows.run_end import Outcome
from models.domain.errors import LeaseHeld, SkipToday
from models.domain.sessions import TradingSession, exchange_date, next_session, session_on

if TYPE_CHECKING:
    from models.domain.orders import ParentOrder
    from tasks.learning.champion import LoadedModel
    from tasks.planning.portfolio import RebalancePlan
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.market import MarketWarehouse


@flow(name="rebalance", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def rebalance(parameters: RebalanceParameters = RebalanceParameters()) -> State[Any]:
    """Plan a session and put its parent orders, with every verdict on them, into the ledger."""
    return finish(lambda: _rebalance(parameters))


def session_to_plan(day: date | None, now: datetime) -> TradingSession:
    """Return the session of `day`, or of the present day, or after its close the next one.

    `now` is market time (UTC). Raises SkipToday when the market is closed on that day.
    """
    today = session_on(day or exchange_date(now))
    if today is None:
        raise SkipToday(f"market closed: {day or exchange_date(now)} is no session")
    if day is None and now >= today.close:
        return next_session(today.date)
    return today


def _rebalance(parameters: RebalanceParameters) -> Outcome:
    from tasks.broker.clock import market_now
    from tasks.learning.champion import load_champion
    from tasks.leases.session_lease import SessionLease
    from tasks.planning.portfolio import STRATEGY, record_plan
    from tasks.settings import load_settings
    from tasks.stores import open_ledger, open_warehouse
    from tasks.tracking import open_tracker

    settings = load_settings()
    now = market_now(settings.clock, settings.host, settings.control_port)
    session = session_to_plan(parameters.session, now)
    with open_ledger(settings) as ledger:
        lease = SessionLease.take(ledger, settings, busy=LeaseHeld)
        try:
            ledger.parents.require_not_started(session.date, STRATEGY)
            model = load_champion(open_tracker(settings), ledger)
            say(f"champion {model.version.label}, its files checked against the ledger's hashes")
            warehouse = open_warehouse(settings)
            plan, version = _decide(settings, ledger, warehouse, model, session=session, now=now)
            record_plan(warehouse, plan)  # first: a plan in the ledger is one that will be traded
            lease.confirm()
            with ledger.transaction():
                ledger.facts.note(session.date, plan.facts, now)
                ledger.parents.replace_plan(
                    session.date, STRATEGY, plan.parents, plan.verdicts, version
                )
        finally:
            lease.release()
    _publish(plan)
    return Outcome(_summary(plan), plan)


def _decide(
    settings: Settings,
    ledger: OrderLedger,
    warehouse: MarketWarehouse,
    model: LoadedModel,
    *,
    session: TradingSession,
    now: datetime,
) -> tuple[RebalancePlan, int]:
    """Return the checked plan and the version of the limits that it was checked by."""
    from tasks.books.account_snapshot import read_account
    from tasks.books.reconciliation import look_before_planning
    from tasks.books.split_booking import book_splits
    from tasks.limits import adopt_limits
    from tasks.planning.borrowing import read_shortable
    from tasks.planning.margin import with_margin
    from tasks.planning.plan_facts import account_standing
    from tasks.planning.portfolio import plan_rebalance
    from tasks.planning.reference_closes import read_closes

    evidence = read_account(settings)
    for text in book_splits(ledger, evidence, warehouse.actions.of()):
        say(text)
    for found in look_before_planning(ledger, evidence):
        say(f"{found.id} {found.difference.text}; {found.difference.proposal}")
    active = adopt_limits(settings.limits_path, ledger, getpass.getuser(), datetime.now(UTC))
    limits = active.limits
    borrowable = read_shortable(settings, settings.universe) if limits.allow_short else {}
    plan = plan_rebalance(
        warehouse,
        model,
        positions=evidence.positions,
        equity=evidence.net_liquidation,
        session=session,
        limits=limits,
        settings=settings,
        now=now,
        recent=_decided_lately(ledger, now, session),
        standing=account_standing(ledger, evidence, session.date, limits, borrowable),
        blocked=ledger.differences.blocked(evidence.account),
        told_closes=read_closes(settings, settings.universe),
    )
    return with_margin(plan, limits, settings), active.version.version


def _decided_lately(
    ledger: OrderLedger, now: datetime, session: TradingSession
) -> tuple[ParentOrder, ...]:
    """Return the parents decided within a day that this plan does not replace."""
    from tasks.planning.portfolio import STRATEGY

    return tuple(
        parent
        for parent in ledger.parents.decided_since(now - timedelta(days=1))
        if (parent.session, parent.strategy) != (session.date, STRATEGY)
    )


def _summary(plan: RebalancePlan) -> str:
    invested = sum(plan.weights.values())
    held = sum(shares != 0 for shares in plan.targets.values())
    text = (
        f"planned {plan.session}: {len(plan.accepted)} parent orders towards a book of {held} "
        f"symbols, {invested:.1%} of equity invested, decided on the closes of {plan.as_of}"
    )
    if plan.rejected:
        names = ", ".join(parent.symbol for parent in plan.rejected)
        text += f"; denied by pre-trade checks: {names}"
    return "; ".join([text, *plan.notes])


def _publish(plan: RebalancePlan) -> None:
    rows = [
        {
            "parent": parent.parent_id,
            "side": parent.side.value,
            "shares": parent.quantity,
            "decision price USD": str(parent.decision_price),
            "weight": f"{plan.weights.get(parent.symbol, 0.0):.2%}",
            "checks": "passed" if parent in plan.accepted else "DENIED",
        }
        for parent in plan.parents
    ]
    publish_table(rows, key="rebalance-plan", description=_summary(plan))
