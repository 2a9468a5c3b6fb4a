"""Accept what a reconciliation proposed: append-only adjustments, on a person's word."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from models.domain.errors import InvalidInput
from models.execution.differences import (
    CashCorrection,
    CashKind,
    OrderAttribution,
    PositionCorrection,
)
from tasks.books.reconciliation import Reconciliation, reconcile, working_orders
from warehouse.ledger.adjustments import Acceptance
from warehouse.ledger.differences import Found, require_correction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.execution.differences import Correction
    from models.portfolio.lots import Split
    from tasks.broker.protocol import Evidence
    from warehouse.ledger import OrderLedger


def accept_differences(
    ledger: OrderLedger,
    evidence: Evidence,
    ids: Sequence[str],
    *,
    reason: str,
    by: str,
    cash_kind: CashKind | None = None,
    split: Split | None = None,
) -> Reconciliation:
    """Apply the corrections of the named differences, all or none, and compare again.

    The account is compared first: a difference whose figures have changed since it was listed has
    another id now. `cash_kind` says what accepted cash is, where the proposal guessed wrong;
    `split` what made the shares of an accepted position. Raises InvalidInput for an id that is not
    open, or one that has nothing to accept.
    """
    if not reason.strip():
        raise InvalidInput("accepting a difference needs a reason: add --reason TEXT")
    before = reconcile(ledger, evidence)
    wanted = [_open(before, name) for name in dict.fromkeys(name.upper() for name in ids)]
    corrections = [(found, require_correction(found)) for found in wanted]
    with ledger.transaction():
        for found, correction in corrections:
            accepted = Acceptance(found.number, reason, by, evidence.at)
            _apply(ledger, evidence, _of_kind(correction, cash_kind), accepted, split)
            ledger.differences.accept(found.number, by, reason, evidence.at)
    after = reconcile(ledger, evidence)
    recorded = tuple(found for found in before.found if found.difference.kind.is_recorded)
    return replace(after, found=(*recorded, *after.found))


def _open(seen: Reconciliation, name: str) -> Found:
    for found in seen.found:
        if found.id == name:
            return found
    listed = ", ".join(f"{found.id} ({found.difference.kind})" for found in seen.found) or "none"
    raise InvalidInput(f"there is no open difference {name} at this moment; open are: {listed}")


def _of_kind(correction: Correction, kind: CashKind | None) -> Correction:
    if kind is None or not isinstance(correction, CashCorrection):
        return correction
    return replace(correction, kind=kind)


def _apply(
    ledger: OrderLedger,
    evidence: Evidence,
    correction: Correction,
    accepted: Acceptance,
    split: Split | None,
) -> None:
    account = evidence.account
    match correction:
        case PositionCorrection(symbol, shares):
            ledger.adjustments.add_shares(account, symbol, shares, accepted, split)
        case CashCorrection(amount, kind):
            ledger.adjustments.add_cash(account, amount, kind, accepted)
        case OrderAttribution(perm_id):
            for order in working_orders(evidence):
                if order.perm_id == perm_id:
                    ledger.external_orders.note(account, order, evidence.at)
        case _:
            assert_never(correction)
