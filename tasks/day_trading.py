"""The account's day trades, counted from the ledger's executions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from models.domain.sessions import session_dates
from models.risk.day_trades import count_day_trades

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from models.risk.day_trades import DayTrades
    from models.risk.limits import RiskLimits
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
) -> DayTrades | None:
    """Return the day trades of a small account; None when the rule does not bind one of `equity`.

    `held` are the signed shares now, `today` the New York date of the session.
    """
    if equity >= limits.day_trade_equity:
        return None
    sessions = session_dates(today - LOOK_BACK, today)[-WINDOW:]
    return count_day_trades(ledger.executions.fills_of_account(account), held, sessions)
