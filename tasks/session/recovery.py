"""Start and recovery, which are the same: read what the broker has, adopt it, prove the rest.

A child that was committed and left no trace is sent again only after two clean reconciliations, a
quiet period apart. Until then it counts as exposure.
"""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.errors import AutomaticHalt, HaltTrading
from models.domain.halts import HaltCode
from models.domain.orders import ChildState, ParentState
from models.domain.sessions import exchange_date
from models.execution.differences import DifferenceKind, position_differences
from models.execution.engine import restore
from models.execution.events import ChildRejected, ProvenNeverSent, Reconciled
from models.execution.state import SlicingPolicy
from tasks.books.adoption import adopt, child_evidence
from tasks.books.day_trading import unseen_by_ledger
from tasks.books.reconciliation import is_cash_settled, reconcile_session
from tasks.session.second_orders import doubled, end_second_orders

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from datetime import date, datetime

    from models.domain.orders import ParentOrder
    from models.execution.state import ParentExecution
    from tasks.broker.protocol import Evidence, OrderGateway
    from tasks.session.orders import OrderDesk
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger

logger = logging.getLogger("robo.recovery")


def slicing_policy(ledger: OrderLedger, settings: Settings, order: ParentOrder) -> SlicingPolicy:
    """Return how an order is sliced: at most ROBO_SLICES children of at least ROBO_MIN_CHILD_USD.

    A smaller child would pay the broker's minimum commission for next to nothing. A schedule that
    was noted when the order was first worked stays, whatever the settings say since.
    """
    slices = ledger.worked.slices(order.parent_id)
    if slices is None:
        notional = float(order.quantity * order.decision_price)
        affordable = int(notional // settings.min_child_usd) if settings.min_child_usd else 10**6
        slices = max(1, min(settings.slices, affordable))
    return SlicingPolicy(slices=slices, offset_bps=Decimal(str(settings.limit_offset_bps)))


def note_schedules(
    ledger: OrderLedger, executions: Mapping[str, ParentExecution], now: datetime
) -> None:
    """Keep the number of slices of each parent when it is first worked, for every restart."""
    for parent_id, execution in executions.items():
        if ledger.worked.slices(parent_id) is None:
            ledger.worked.note_slices(parent_id, execution.policy.slices, now)


def restore_session(
    ledger: OrderLedger, session: date, settings: Settings
) -> dict[str, ParentExecution]:
    """Rebuild, from the ledger alone, every parent of a session that may still produce a child."""
    return {
        record.order.parent_id: restore(
            record.order,
            slicing_policy(ledger, settings, record.order),
            ledger.children.of_parent(record.order.parent_id),
            ledger.executions.revisions_of(record.order.parent_id),
            record.state,
        )
        for record in ledger.parents.of_session(session)
        if not record.state.is_terminal
    }


def ended_shares(ledger: OrderLedger, session: date, at_work: Container[str]) -> tuple[int, int]:
    """Return the filled and the ordered shares of the parents that ended, `at_work` left out.

    A parent that a check denied at the plan never was part of the session's work.
    """
    ended = [
        record.order
        for record in ledger.parents.of_session(session)
        if record.state is not ParentState.REJECTED and record.order.parent_id not in at_work
    ]
    filled = sum(fill.quantity for o in ended for fill in ledger.executions.fills_of(o.parent_id))
    return filled, sum(order.quantity for order in ended)


def require_own_client(ledger: OrderLedger, evidence: Evidence, client_id: int) -> None:
    """Raise HaltTrading when another client id sent what the broker does not show.

    An order id is refused a second time under its own client id only: a resend under another could
    double an order that is still under way.
    """
    shown = {order.order_ref for order in evidence.orders}
    shown |= {fill.order_ref for fill in evidence.fills}
    strangers: dict[int, list[str]] = {}
    for child in ledger.children.open_children(evidence.account):
        record = ledger.children.get(child.order_ref)
        is_open = child.perm_id is None and child.order_ref not in shown
        if is_open and record is not None and record.client_id != client_id:
            strangers.setdefault(record.client_id, []).append(child.order_ref)
    if strangers:
        listed = "; ".join(f"{', '.join(refs)} by client {one}" for one, refs in strangers.items())
        raise HaltTrading(
            f"what became of orders sent under another client id is unknown ({listed}), and client "
            f"{client_id} could send them a second time: set ROBO_CLIENT_ID back, run "
            "`robo execute` until they have ended, and change it then"
        )


def tell_held(desk: OrderDesk) -> None:
    """Keep and tell, before anything else, which parents come back held for a person."""
    for parent_id, execution in desk.executions.items():
        if execution.state is ParentState.PAUSED:
            why = execution.quarantine or execution.reason or "paused before this session"
            desk.ledger.parents.set_state(parent_id, ParentState.PAUSED, why)
            desk.alert(f"{parent_id} {execution.state}", why)


async def recover(desk: OrderDesk, quiet_period: float) -> Evidence:
    """Bring ledger and engine to what the broker shows; return the last evidence read.

    `quiet_period` is in wall-clock seconds: what was under way has then arrived, or never will.
    An execution may come between two of the broker's answers, so positions must differ twice.
    With the link to Interactive Brokers lost, or back only during a look, nothing is proven, and
    the desk stays blind: sends wait for the next recovery. What else differs from the ledger is
    kept and told once, and blocks new orders in its symbol.
    """
    desk.look_again = False
    evidence = await _reconcile_once(desk, desk.gateway)
    if doubled(desk):
        evidence = await end_second_orders(
            desk, evidence, lambda: _reconcile_once(desk, desk.gateway)
        )
    unproven = _unknown_children(desk)
    if unproven and not desk.is_blind:
        logger.warning("no trace at the broker yet of %s", ", ".join(sorted(unproven)))
        await asyncio.sleep(quiet_period)
        evidence = await _reconcile_once(desk, desk.gateway)
        for order_ref in sorted(unproven & _unknown_children(desk)):
            if not desk.is_blind:
                _settle_absence(desk, order_ref, evidence.at)
    gaps = _gaps(desk, evidence)
    ours = desk.ledger.executions.positions(evidence.account)
    if position_differences(ours, evidence.positions) and not desk.is_blind:
        await asyncio.sleep(quiet_period)
        evidence = await _reconcile_once(desk, desk.gateway)
    desk.book.refresh()
    if desk.is_blind:
        logger.warning("the gateway lost Interactive Brokers: what it shows proves no absence")
    else:
        children = [c for e in desk.everything.values() for c in e.children.values()]
        desk.cancels.ask_again(children, evidence.orders)
        differ = compare(desk, evidence)
        standing = gaps.items() & _gaps(desk, evidence).items()
        desk.book.gaps = {symbol: gap for symbol, gap in standing if symbol in differ}
        desk.book.gaps_at = evidence.at
    return evidence


def _gaps(desk: OrderDesk, evidence: Evidence) -> dict[str, int]:
    """Return, by symbol, the shares (signed) that the broker has beyond the ledger.

    Not where an exit that should rest is not shown: it may be what has traded.
    """
    ours, theirs = desk.ledger.executions.positions(evidence.account), evidence.positions
    gaps = {s: theirs.get(s, 0) - ours.get(s, 0) for s in ours.keys() | theirs.keys()}
    shown = {order.order_ref for order in evidence.open_orders}
    exits = [child for e in desk.resting.values() for child in e.children.values()]
    unsure = {child.symbol for child in exits if child.leaves and child.order_ref not in shown}
    return {symbol: gap for symbol, gap in gaps.items() if gap and symbol not in unsure}


def compare(desk: OrderDesk, evidence: Evidence) -> set[str]:
    """Keep, and tell once, what differs from the ledger; AutomaticHalt on a stray of our name.

    Return the symbols of which nothing but the number of shares differs.
    """
    book, in_hand = desk.book, {*desk.executions, *unshown_exits(desk)}
    is_comparable = is_cash_settled(evidence) or not book.is_compared
    if is_comparable and not position_differences(book.positions, evidence.positions):
        book.compare_cash(evidence.cash)  # the first time, a commission that is unknown is small
    found = reconcile_session(desk.ledger, evidence, book.positions, book.cash, in_hand)
    for each in found:
        if each.is_new and each.difference.kind is not DifferenceKind.CASH:
            text = f"{each.difference.text}; {each.difference.proposal}"
            desk.alert(f"difference {each.id}", text)
    strays = [e for e in found if e.difference.kind is DifferenceKind.UNKNOWN_ORDER]
    if strays:
        listed = "; ".join(f"{each.id} {each.difference.text}" for each in strays)
        raise AutomaticHalt(
            HaltCode.RECONCILIATION,
            f"orders work under names of this system that it did not commit: {listed}; find who "
            "sent them and cancel them in TWS, then `robo resume --reason ...`",
        )
    blocking = [each.difference for each in found if each.difference.kind.blocks]
    others = {one.symbol for one in blocking if one.kind is not DifferenceKind.POSITION}
    return {one.symbol for one in blocking} - others


def unshown_exits(desk: OrderDesk) -> set[str]:
    """Return the exits of which an order was sent and has not been shown by the broker yet.

    That is no difference: the session looks for it as for any other child.
    """
    return {
        parent_id
        for parent_id, execution in desk.resting.items()
        if any(child.state is ChildState.SENT for child in execution.children.values())
    }


async def _reconcile_once(desk: OrderDesk, gateway: OrderGateway) -> Evidence:
    """Read all that the broker shows; what it tells of its link is taken first."""
    desk.must_reconcile = False
    evidence = adopt(desk.ledger, await gateway.collect_evidence())
    desk.guard.unseen_day_trades = unseen_by_ledger(
        desk.ledger, evidence, desk.session.date, desk.limits
    )
    for order in evidence.orders:
        desk.cancels.seen(order)
    desk.pump(evidence.at)
    if desk.is_blind:
        return evidence
    children = {ref: child for e in desk.everything.values() for ref, child in e.children.items()}
    orders = tuple(
        child_evidence(order, children.get(order.order_ref))
        for order in evidence.orders
        if order.order_ref
    )
    desk.feed_all(Reconciled(evidence.at, orders, evidence.fills), evidence.at)
    return evidence


def _settle_absence(desk: OrderDesk, order_ref: str, at: datetime) -> None:
    """Take a proven absence for a refusal, if one was told before, else for a child never sent.

    The broker shows the present New York day only: of an earlier one absence proves nothing. An
    exit may be of an earlier day than its attempt.
    """
    parent_id = order_ref.rsplit(".", 2)[0]
    committed_at = desk.ledger.children.require(order_ref).committed_at
    if exchange_date(committed_at) != exchange_date(at):
        logger.error("%s is of an earlier day; look for it in the account's statement", order_ref)
        return
    refusal = desk.rejection_of(order_ref)
    event = ChildRejected(order_ref, refusal) if refusal else ProvenNeverSent(order_ref)
    desk.feed(parent_id, event, at)


def has_untraced(desk: OrderDesk) -> bool:
    """Say whether a child of a scheduled parent may work that the broker has not shown yet."""
    children = (c for e in desk.executions.values() for c in e.children.values())
    return any(child.leaves and child.perm_id is None for child in children)


def _unknown_children(desk: OrderDesk) -> set[str]:
    return {
        ref
        for execution in desk.everything.values()
        for ref, child in execution.children.items()
        if child.state is ChildState.UNKNOWN
    }
