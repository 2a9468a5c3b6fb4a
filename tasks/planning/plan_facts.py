"""What a plan must know besides its signals: each symbol's facts, and how the account stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.features.true_range import average_true_range
from models.regime.realised import RegimeRule, classify
from tasks.books.account_worth import comparable_worths
from tasks.books.day_trading import day_trades, unseen_by_ledger
from warehouse.ledger.symbol_facts import SymbolFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from models.risk.day_trades import DayTrades
    from models.risk.limits import RiskLimits
    from tasks.broker.protocol import Evidence
    from warehouse.ledger import OrderLedger
    from warehouse.market import MarketWarehouse

ADV_SESSIONS = 20
HISTORY = timedelta(days=400)  # of bars: some 270 sessions, a year of normal volatility


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """The account at plan time, for the checks of a plan; equities USD, None before its first day.

    `disabled` says by symbol or strategy why it may not trade, `shortable` how many shares of a
    symbol may be borrowed. `recent` are parents decided lately, `day_trades` those of a small
    account.
    """

    day_start_equity: float | None = None
    peak_equity: float | None = None
    day_trades: DayTrades | None = None
    disabled: Mapping[str, str] = field(default_factory=dict[str, str])
    shortable: Mapping[str, int] = field(default_factory=dict[str, int])


def account_standing(
    ledger: OrderLedger,
    evidence: Evidence,
    session: date,
    limits: RiskLimits,
    shortable: Mapping[str, int] | None = None,
) -> AccountStanding:
    """Return how the account stands before `session`, from the ledger and the broker's evidence."""
    account, equity = evidence.account, float(evidence.net_liquidation)
    worths = comparable_worths(ledger, account)
    before = (worth.usd for worth in worths if worth.label == f"{session} before")
    return AccountStanding(
        day_start_equity=next(before, None),
        peak_equity=max((worth.usd for worth in worths), default=None),
        day_trades=day_trades(
            ledger,
            account,
            evidence.positions,
            equity,
            session,
            limits=limits,
            unseen=unseen_by_ledger(ledger, evidence, session, limits),
        ),
        disabled={one.name: one.reason for one in ledger.disablements.current()},
        shortable=shortable or {},
    )


def symbol_facts(
    warehouse: MarketWarehouse,
    symbols: Sequence[str],
    as_of: date,
    unit_sessions: int,
    on: date | None = None,
) -> tuple[SymbolFacts, ...]:
    """Return the facts of every symbol that has bars, from bars up to `as_of` and no later.

    Prices and volumes are in shares of the date `on` (None: `as_of`).
    """
    first = as_of - HISTORY
    bars = warehouse.bars.adjusted(list(symbols), first, as_of, on=on or as_of)
    return tuple(
        _facts(str(symbol), own.sort_values("session"), unit_sessions)
        for symbol, own in bars.groupby("symbol")
    )


def _facts(symbol: str, bars: pd.DataFrame, unit_sessions: int) -> SymbolFacts:
    closes = [float(close) for close in bars["close"]]
    columns = [[float(price) for price in bars[name]] for name in ("high", "low")]
    try:
        atr = average_true_range(columns[0], columns[1], closes, unit_sessions)
    except InvalidInput:
        atr = None
    enough = len(closes) >= RegimeRule().sessions_needed
    return SymbolFacts(
        symbol=symbol,
        close=Decimal(repr(round(closes[-1], 6))),
        adv=float(bars["volume"].tail(ADV_SESSIONS).mean()),
        atr=atr,
        regime=classify(closes) if enough else None,
    )
