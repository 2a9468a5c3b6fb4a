"""Broker against ledger: positions to the share, cash to the cent, orders by name."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.orders import Fill
from tasks.account import position_differences
from tasks.recovery import adopt

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.broker.protocol import Evidence
    from warehouse.ledger import OrderLedger

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that broker and ledger tell differently; `unit` is that of both values."""

    kind: str
    what: str
    ledger: str
    broker: str
    unit: str


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
    differences: tuple[Difference, ...]

    @property
    def agrees(self) -> bool:
        """Say whether broker and ledger tell the same."""
        return not self.differences

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.agrees:
            return (
                f"broker and ledger agree: {self.positions} positions to the share, "
                f"{self.executions} executions of the day, cash {self.cash:,.2f} USD to the cent"
            )
        listed = "; ".join(
            f"{d.kind} {d.what}: ledger {d.ledger} {d.unit}, broker {d.broker} {d.unit}"
            for d in self.differences
        )
        return f"{len(self.differences)} differences between broker and ledger: {listed}"


def reconcile(ledger: OrderLedger, evidence: Evidence) -> Reconciliation:
    """Compare what the broker shows with what the ledger holds; changes no order.

    Executions that the ledger had not seen are listed as differences and then recorded, so that
    the next reconciliation starts from all that is known.
    """
    account = evidence.account
    first_contact = ledger.accounts.opening(account) is None
    missing = () if first_contact else _missing_fills(ledger, evidence)
    adopt(ledger, evidence)
    cash = ledger.executions.cash(account)
    differences = [
        *(_missing_execution(fill) for fill in missing),
        *(
            Difference("position", symbol, f"{ours}", f"{theirs}", "shares")
            for symbol, ours, theirs in position_differences(
                ledger.executions.positions(account), evidence.positions
            )
        ),
        *_cash_difference(cash.amount, cash.unknown_commissions, evidence),
        *_order_differences(ledger, evidence),
        *(Difference("ledger", text, "inconsistent", "-", "") for text in ledger.check()),
    ]
    return Reconciliation(
        account=account,
        at=evidence.at,
        positions=len(evidence.positions),
        executions=len(evidence.fills),
        cash=evidence.cash,
        net_liquidation=evidence.net_liquidation,
        unknown_commissions=cash.unknown_commissions,
        differences=tuple(differences),
    )


def _missing_fills(ledger: OrderLedger, evidence: Evidence) -> tuple[Fill, ...]:
    opening = ledger.accounts.opening(evidence.account)
    known = {
        (f.exec_base, f.revision) for f in ledger.executions.fills_of_account(evidence.account)
    }
    return tuple(
        fill
        for fill in evidence.fills
        if (fill.exec_base, fill.revision) not in known
        and (opening is None or fill.at > opening.at)
        and not _is_superseded(fill, known)
    )


def _is_superseded(fill: Fill, known: set[tuple[str, int]]) -> bool:
    return any(base == fill.exec_base and revision > fill.revision for base, revision in known)


def _missing_execution(fill: Fill) -> Difference:
    what = f"{fill.exec_id} ({fill.order_ref or 'no order of this system'})"
    return Difference(
        "execution", what, "none", f"{fill.side} {fill.quantity} {fill.symbol}", "shares"
    )


def _cash_difference(ours: Decimal, unknown: int, evidence: Evidence) -> list[Difference]:
    if abs(ours - evidence.cash) < CENT:
        return []
    what = f"({unknown} commissions unknown)" if unknown else "balance"
    return [Difference("cash", what, f"{ours:.4f}", f"{evidence.cash:.4f}", "USD")]


def _order_differences(ledger: OrderLedger, evidence: Evidence) -> list[Difference]:
    found: list[Difference] = []
    alive = {order.order_ref for order in evidence.open_orders}
    ours = {child.order_ref: child for child in ledger.children.open_children(evidence.account)}
    for order in evidence.open_orders:
        if order.order_ref not in ours:
            name = order.order_ref or f"permId {order.perm_id}"
            text = f"{order.remaining} {order.symbol} working"
            found.append(Difference("open order", name, "none", text, "shares"))
    for order_ref, child in ours.items():
        if order_ref not in alive:
            text = f"{child.state}, {child.leaves} {child.symbol} may fill"
            found.append(Difference("open order", order_ref, text, "none", "shares"))
    return found
