"""What an account was worth, made comparable: money that was paid in or out is no gain or loss."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from models.execution.differences import CENT, CashKind, DifferenceKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from warehouse.ledger import OrderLedger
    from warehouse.ledger.differences import DifferenceRecord

FLOWS = frozenset({CashKind.DEPOSIT, CashKind.WITHDRAWAL})  # neither gain nor loss


@dataclass(frozen=True, slots=True)
class Worth:
    """What an account was worth at a snapshot, in USD, had later flows been in it already."""

    label: str
    usd: float


def comparable_worths(ledger: OrderLedger, account: str) -> tuple[Worth, ...]:
    """Return the worth at every snapshot of an account, oldest first, less what came or went since.

    Deposits and withdrawals that a person has accepted move every worth recorded before they were
    seen; so does money that came and that nobody has named, for it hides a loss.
    """
    flows = _cash_flows(ledger, account)
    return tuple(
        Worth(
            seen.label,
            float(seen.net_liquidation + sum(usd for at, usd in flows if at > seen.at)),
        )
        for seen in ledger.accounts.snapshots(account)
    )


def _cash_flows(ledger: OrderLedger, account: str) -> list[tuple[datetime, Decimal]]:
    """Return when each flow was first seen (UTC), and signed USD.

    A difference gets a new number with every trade that comes between, so the first look that found
    the same amount, and that nobody accepted, counts.
    """
    records = [r for r in ledger.differences.history(account) if r.kind is DifferenceKind.CASH]
    accepted = [done for done in ledger.adjustments.of_cash(account) if done.kind in FLOWS]
    came = [_amount(r) for r in records if r.resolution is None and _amount(r) > 0]
    return [
        *((_first_seen(records, d.amount, d.acceptance.at), d.amount) for d in accepted),
        *((_first_seen(records, amount, records[-1].found_at), amount) for amount in came),
    ]


def _first_seen(records: Iterable[DifferenceRecord], amount: Decimal, until: datetime) -> datetime:
    same = (
        record.found_at
        for record in records
        if abs(_amount(record) - amount) < CENT
        and record.found_at <= until
        and (record.resolution != "accepted" or record.resolved_at == until)
    )
    return min(same, default=until)


def _amount(record: DifferenceRecord) -> Decimal:
    return Decimal(record.broker) - Decimal(record.ledger)
