"""Book what a recorded split did to positions, so that it is no mismatch on the morning after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.corporate_actions import ActionKind, shares_after
from models.domain.sessions import at_exchange_time, exchange_date
from models.execution.differences import DifferenceKind
from models.portfolio.lots import Split
from tasks.books.corrections import accept_differences
from tasks.books.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from models.domain.corporate_actions import CorporateAction
    from tasks.broker.protocol import Evidence
    from warehouse.ledger import OrderLedger

BOOKED_BY = "corporate action"
SHARES = frozenset({DifferenceKind.POSITION, DifferenceKind.SPLIT})
LOOK_BACK = 10  # days after its ex-date in which a split may explain a mismatch


def book_splits(
    ledger: OrderLedger, evidence: Evidence, actions: Iterable[CorporateAction]
) -> tuple[str, ...]:
    """Accept each position mismatch that one recorded split explains to the share; say which.

    A split counts once, from its ex-date for LOOK_BACK days. Shares held since before it are
    multiplied by its ratio (a fraction is paid out in cash) and keep their cost, later fills are
    not. A mismatch that is not exactly that stays for a person, and so does a split of before the
    account's opening balance.
    """
    today = exchange_date(evidence.at)
    recent = [
        action
        for action in actions
        if action.kind is ActionKind.SPLIT and 0 <= (today - action.ex_date).days <= LOOK_BACK
    ]
    if not recent or not _differ(ledger, evidence, recent):
        return ()
    seen = reconcile(ledger, evidence)
    booked: list[str] = []
    for found in seen.found:
        symbol = found.difference.symbol
        for action in recent:
            if found.difference.kind not in SHARES or action.symbol != symbol:
                continue
            text = f"split of {symbol}, {action.ratio} for 1, ex {action.ex_date}"
            split = _explaining_split(ledger, evidence, action)
            if split is not None and not _is_booked(ledger, evidence, text):
                accept_differences(
                    ledger, evidence, [found.id], reason=text, by=BOOKED_BY, split=split
                )
                booked.append(f"{text}: {found.difference.ledger} to {found.difference.broker}")
    return tuple(booked)


def _differ(ledger: OrderLedger, evidence: Evidence, actions: Iterable[CorporateAction]) -> bool:
    ours, theirs = ledger.executions.positions(evidence.account), evidence.positions
    return any(ours.get(a.symbol, 0) != theirs.get(a.symbol, 0) for a in actions)


def _explaining_split(
    ledger: OrderLedger, evidence: Evidence, action: CorporateAction
) -> Split | None:
    """Return what the action made of the shares held at its ex-date, if that is the difference.

    The ratio is that of whole shares, so that the cost of a fraction that was paid out stays with
    the rest.
    """
    account, symbol = evidence.account, action.symbol
    opened = at_exchange_time(action.ex_date, 0)
    held = _held_before(ledger, account, symbol, opened)
    after = int(shares_after(held, [action]))
    since = ledger.executions.positions(account).get(symbol, 0) - held
    if not held or not after or after + since != evidence.positions.get(symbol, 0):
        return None
    return Split(symbol, opened, abs(after), abs(held))


def _held_before(ledger: OrderLedger, account: str, symbol: str, moment: datetime) -> int:
    """Return the signed shares at `moment` (UTC); none before the account's opening balance."""
    opening = ledger.accounts.opening(account)
    if opening is None or opening.at >= moment:
        return 0
    fills = ledger.executions.fills_of_account(account)
    traded = sum(
        fill.side.sign * fill.quantity
        for fill in fills
        if fill.symbol == symbol and fill.at < moment
    )
    corrected = sum(
        one.shares
        for one in ledger.adjustments.of_positions(account)
        if one.symbol == symbol and (one.split or one.acceptance).at < moment
    )
    return opening.positions.get(symbol, 0) + traded + corrected


def _is_booked(ledger: OrderLedger, evidence: Evidence, text: str) -> bool:
    booked = ledger.adjustments.of_positions(evidence.account)
    return any(each.acceptance.reason == text for each in booked)
