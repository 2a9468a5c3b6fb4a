"""The account's day trades, counted from the ledger's executions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from models.domain.sessions import session_dates
from models.portfolio.lots import Split
from models.risk.day_trades import ShareChange, count_day_trades, unseen_day_trades

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from models.portfolio.lots import Adjustment
    from models.risk.day_trades import DayTrades
    from models.risk.limits import RiskLimits
    from tasks.broker.protocol import Evidence
    from warehouse.ledger import OrderLedger

WINDOW = 5  # sessions, today's among them
LOOK_BACK = timedelta(days=14)  # holds five sessions, whatever the holidays


def day_trades(
    ledger: OrderLedger,
    account: str,
    held: Mapping[str, int],
    equity: float,
    today: date,
    *,
    limits: RiskLimits,
    unseen: int = 0,
) -> DayTrades | None:
    """Return the day trades of a small account; None when the rule does not bind one of `equity`.

    `held` are the signed shares now, `today` the New York date of the session, `unseen` the day
    trades that the broker counts beyond the ledger's.
    """
    if equity >= limits.day_trade_equity:
        return None
    return replace(_counted(ledger, account, held, today), unseen=unseen)


def unseen_by_ledger(
    ledger: OrderLedger, evidence: Evidence, today: date, limits: RiskLimits
) -> int:
    """Return the day trades that the broker counts beyond the ledger's, by a read just adopted."""
    remaining = evidence.day_trades_remaining
    if remaining is None:
        return 0
    made = _counted(ledger, evidence.account, evidence.positions, today).made
    return unseen_day_trades(made, remaining, limits)


def _counted(ledger: OrderLedger, account: str, held: Mapping[str, int], today: date) -> DayTrades:
    """Count, the executions before the opening balance included: their shares are in `held`."""
    sessions = session_dates(today - LOOK_BACK, today)[-WINDOW:]
    fills = ledger.executions.all_fills_of_account(account)
    return count_day_trades(fills, held, sessions, map(_change, ledger.position_changes(account)))


def _change(booked: Adjustment) -> ShareChange:
    if isinstance(booked, Split):
        return ShareChange(booked.symbol, booked.at, factor=Fraction(booked.new, booked.old))
    return ShareChange(booked.symbol, booked.at, shares=booked.shares)
