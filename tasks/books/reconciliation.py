"""Broker against ledger: positions to the share, cash to the cent, orders and executions by name.

What differs is classified, numbered and kept; what concerns a symbol blocks new orders in it until
it is gone or a person has settled it. Nothing here sends, cancels or edits anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.domain.orders import ChildState
from models.execution.differences import (
    DifferenceKind,
    WorkingOrder,
    cash_differences,
    ledger_contradictions,
    missing_fills,
    position_differences,
    unsettled_differences,
    working_order_differences,
)
from tasks.books.adoption import adopt, readdressed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from decimal import Decimal

    from models.domain.orders import Fill
    from models.execution.differences import Difference
    from tasks.broker.protocol import Evidence
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.differences import Found

SESSION_KINDS = (
    DifferenceKind.EXTERNAL_ORDER,
    DifferenceKind.UNKNOWN_ORDER,
    DifferenceKind.UNSETTLED_ORDER,
    DifferenceKind.POSITION,
    DifferenceKind.SPLIT,
)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The outcome: nothing differs, or what does. Cash and worth in USD, `at` UTC."""

    account: str
    at: datetime
    positions: int
    executions: int
    cash: Decimal
    net_liquidation: Decimal
    unknown_commissions: int
    found: tuple[Found, ...]

    @property
    def agrees(self) -> bool:
        """Say whether broker and ledger tell the same."""
        return not self.found

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.agrees:
            return (
                f"broker and ledger agree: {self.positions} positions to the share, "
                f"{self.executions} executions of the day, cash {self.cash:,.2f} USD to the cent"
            )
        listed = "; ".join(f"{found.id} {found.difference.text}" for found in self.found)
        return f"{len(self.found)} differences between broker and ledger: {listed}"


def reconcile(ledger: OrderLedger, evidence: Evidence) -> Reconciliation:
    """Compare all that the broker shows with the ledger; changes no order and no fill.

    Executions that the ledger had not seen and orders placed outside are recorded, and told once.
    """
    account = evidence.account
    first_contact = ledger.accounts.opening(account) is None
    missing = () if first_contact else _unseen_fills(ledger, evidence)
    own = {fill.order_ref for fill in missing if ledger.children.get(fill.order_ref)}
    evidence = adopt(ledger, evidence)
    cash = ledger.executions.cash(account)
    positions = ledger.executions.positions(account)
    moved = evidence.cash - cash.amount
    mismatches = position_differences(positions, evidence.positions, moved)
    differences = [
        *missing_fills(missing, own),
        *mismatches,
        *cash_differences(
            cash.amount,
            evidence.cash,
            unknown_commissions=cash.unknown_commissions,
            positions=positions,
            mismatched=bool(mismatches),
        ),
        *_order_differences(ledger, evidence, ()),
        *ledger_contradictions(ledger.check()),
    ]
    with ledger.transaction():
        _note_external(ledger, evidence, differences)
        found = ledger.differences.observe(account, differences, evidence.at)
    return Reconciliation(
        account=account,
        at=evidence.at,
        positions=len(evidence.positions),
        executions=len(evidence.fills),
        cash=evidence.cash,
        net_liquidation=evidence.net_liquidation,
        unknown_commissions=cash.unknown_commissions,
        found=found,
    )


def reconcile_session(
    ledger: OrderLedger,
    evidence: Evidence,
    positions: Mapping[str, int],
    cash: Decimal,
    in_hand: Collection[str] = (),
) -> tuple[Found, ...]:
    """Compare, cheaply, what a session's start and every reconnect must know before a send.

    `evidence` has been adopted; `positions` (signed shares) and `cash` (USD) are the ledger's,
    `in_hand` the parents whose children the session settles itself. Cash is compared only when
    every commission of the day is known, for it blocks nothing and settles late. Costs some
    milliseconds: the ledger's own consistency and older executions are left to `reconcile`.
    """
    mismatches = position_differences(positions, evidence.positions, evidence.cash - cash)
    differences = [*mismatches, *_order_differences(ledger, evidence, in_hand)]
    kinds = SESSION_KINDS
    if is_cash_settled(evidence):
        kinds = (*kinds, DifferenceKind.CASH)
        differences += cash_differences(
            cash, evidence.cash, positions=positions, mismatched=bool(mismatches)
        )
    with ledger.transaction():
        _note_external(ledger, evidence, differences)
        return ledger.differences.observe(evidence.account, differences, evidence.at, kinds)


def is_cash_settled(evidence: Evidence) -> bool:
    """Say whether every commission of the day's executions is known, so that cash can agree."""
    told = {commission.exec_id for commission in evidence.commissions}
    return all(fill.exec_id in told for fill in evidence.fills)


def differences_of(ledger: OrderLedger, evidence: Evidence, symbol: str) -> tuple[Difference, ...]:
    """Return what differs in one symbol and must be settled: shares, orders, contradictions.

    `evidence` has been adopted. Records nothing: a session may be at work with the other symbols.
    """
    ours = ledger.executions.positions(evidence.account)
    compared = (
        *position_differences(ours, evidence.positions),
        *_order_differences(ledger, evidence, ()),
    )
    named = re.compile(rf"(?<!\w){re.escape(symbol)}(?!\w)")
    return (
        *(one for one in compared if one.symbol == symbol and one.kind.blocks),
        *ledger_contradictions(text for text in ledger.check() if named.search(text)),
    )


def differences_beside(ledger: OrderLedger, evidence: Evidence) -> tuple[Difference, ...]:
    """Return what a read and the ledger tell differently, without recording any of it.

    For a look beside a session at work: cash only when every commission of the day is known.
    """
    account, evidence = evidence.account, readdressed(ledger, evidence)
    ours, cash = ledger.executions.positions(account), ledger.executions.cash(account)
    mismatches = position_differences(ours, evidence.positions, evidence.cash - cash.amount)
    money = (
        cash_differences(cash.amount, evidence.cash, positions=ours, mismatched=bool(mismatches))
        if is_cash_settled(evidence) and not cash.unknown_commissions
        else ()
    )
    return (
        *mismatches,
        *money,
        *_order_differences(ledger, evidence, ()),
        *ledger_contradictions(ledger.check()),
    )


def look_before_planning(ledger: OrderLedger, evidence: Evidence) -> tuple[Found, ...]:
    """Adopt a read and compare it, so that a plan leaves out what differs."""
    evidence = adopt(ledger, evidence)
    executions, account = ledger.executions, evidence.account
    positions, cash = executions.positions(account), executions.cash(account).amount
    return reconcile_session(ledger, evidence, positions, cash)


def working_orders(evidence: Evidence) -> tuple[WorkingOrder, ...]:
    """Return what works at the broker, in the terms of the comparison."""
    return tuple(
        WorkingOrder(
            order.order_ref,
            order.perm_id,
            order.client_id,
            order.order_id,
            order.symbol,
            order.remaining,
        )
        for order in evidence.open_orders
    )


def _order_differences(
    ledger: OrderLedger, evidence: Evidence, in_hand: Collection[str]
) -> tuple[Difference, ...]:
    account, working = evidence.account, working_orders(evidence)
    working = tuple(order for order in working if not _is_worked_off(ledger, order))
    ours = {child.order_ref: child for child in ledger.children.open_children(account)}
    known = {external.order.perm_id for external in ledger.external_orders.of_account(account)}
    named = {order.order_ref for order in evidence.open_orders if order.order_ref}
    own = {ref for ref in named if ref in ours or ledger.children.names_own(ref)}
    unsettled = [child for child in ours.values() if child.parent_id not in in_hand]
    return (
        *working_order_differences(working, ours, own, known),
        *unsettled_differences(unsettled, named),
    )


def _is_worked_off(ledger: OrderLedger, order: WorkingOrder) -> bool:
    """Say whether its executions are all there, though its end has not been told yet."""
    record = ledger.children.get(order.order_ref) if order.order_ref else None
    if record is None or record.order.perm_id != order.perm_id:
        return False
    return record.order.state is ChildState.FILLED


def _note_external(
    ledger: OrderLedger, evidence: Evidence, differences: Collection[Difference]
) -> None:
    names = {d.subject for d in differences if d.kind is DifferenceKind.EXTERNAL_ORDER}
    for order in working_orders(evidence):
        if order.name in names:
            ledger.external_orders.note(evidence.account, order, evidence.at)


def _unseen_fills(ledger: OrderLedger, evidence: Evidence) -> tuple[Fill, ...]:
    opening = ledger.accounts.opening(evidence.account)
    newest: dict[str, int] = {}
    for fill in ledger.executions.fills_of_account(evidence.account):
        newest[fill.exec_base] = max(newest.get(fill.exec_base, 0), fill.revision)
    return tuple(
        fill
        for fill in evidence.fills
        if fill.revision > newest.get(fill.exec_base, 0)
        and (opening is None or fill.at > opening.at)
    )
