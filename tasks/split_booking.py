"""Book what a recorded split did to positions, so that it is no mismatch on the morning after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.corporate_actions import ActionKind, shares_after
from models.domain.sessions import at_exchange_time, exchange_date
from models.execution.differences import DifferenceKind
from tasks.corrections import accept_differences
from tasks.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    multiplied by its ratio (a fraction is paid out in cash), later fills are not. A mismatch that
    is not exactly that stays for a person.
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
            if _explains(ledger, evidence, action) and not _is_booked(ledger, evidence, text):
                accept_differences(ledger, evidence, [found.id], reason=text, by=BOOKED_BY)
                booked.append(f"{text}: {found.difference.ledger} to {found.difference.broker}")
    return tuple(booked)


def _differ(ledger: OrderLedger, evidence: Evidence, actions: Iterable[CorporateAction]) -> bool:
    ours, theirs = ledger.executions.positions(evidence.account), evidence.positions
    return any(ours.get(a.symbol, 0) != theirs.get(a.symbol, 0) for a in actions)


def _explains(ledger: OrderLedger, evidence: Evidence, action: CorporateAction) -> bool:
    account, symbol = evidence.account, action.symbol
    opened = at_exchange_time(action.ex_date, 0)
    since = sum(
        fill.side.sign * fill.quantity
        for fill in ledger.executions.fills_of_account(account)
        if fill.symbol == symbol and fill.at >= opened
    )
    held = ledger.executions.positions(account).get(symbol, 0) - since
    return held != 0 and int(shares_after(held, [action])) + since == evidence.positions.get(
        symbol, 0
    )


def _is_booked(ledger: OrderLedger, evidence: Evidence, text: str) -> bool:
    booked = ledger.adjustments.of_positions(evidence.account)
    return any(each.acceptance.reason == text for each in booked)
