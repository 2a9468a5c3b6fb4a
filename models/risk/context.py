"""What the checks must know of the account and the market, gathered by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from models.domain.orders import ParentOrder
from models.domain.sessions import TradingSession
from models.risk.day_trades import DayTrades
from models.risk.quotes import PriceReference


@dataclass(frozen=True, slots=True)
class PlanContext:
    """The book at plan time.

    `equity` in USD; `positions` signed shares held; `pending` signed shares of other accepted
    parents that are not yet filled (the rest of the same rebalance included, so that a sale can
    pay for a purchase); `prices` USD per share of every symbol held or pending; `adv` 20-day
    average daily volume in shares; `recent` the parents accepted lately, for the duplicate check
    and the rate. `session` is the one that the orders are for. `closes` are the last closes in USD
    by another source than the decision prices,
    `day_start_equity` and `peak_equity` USD, None before the account's first day. `day_trades` are
    counted for small accounts only. `disabled` says by symbol or strategy why it may not trade;
    `shortable` shares that may be borrowed, by symbol.
    `blocked` says, by symbol, which difference with the broker must be settled first.
    """

    equity: float
    positions: Mapping[str, int] = field(default_factory=dict[str, int])
    pending: Mapping[str, int] = field(default_factory=dict[str, int])
    prices: Mapping[str, float] = field(default_factory=dict[str, float])
    adv: Mapping[str, float] = field(default_factory=dict[str, float])
    recent: tuple[ParentOrder, ...] = ()
    session: TradingSession | None = None
    closes: Mapping[str, float] = field(default_factory=dict[str, float])
    day_start_equity: float | None = None
    peak_equity: float | None = None
    day_trades: DayTrades | None = None
    disabled: Mapping[str, str] = field(default_factory=dict[str, str])
    shortable: Mapping[str, int] = field(default_factory=dict[str, int])
    blocked: Mapping[str, str] = field(default_factory=dict[str, str])

    def expected(self, symbol: str) -> int:
        """Return the signed shares of `symbol` once everything pending is filled."""
        return self.positions.get(symbol, 0) + self.pending.get(symbol, 0)


@dataclass(frozen=True, slots=True)
class SendContext:
    """The account and the session at the moment of a send.

    `halt_reason` is the text of the halt in force, or None; `session` the trading session of the
    day, or None on a holiday. `parent_remaining` shares that no other child has done or may still
    do; `positions` signed shares held. Equities in USD: now, at the day's start, at its highest.
    `recent_sends` the moments of the account's sends in the last minute or longer. `buying` and
    `selling` are the shares, by symbol, that children already sent may still fill; `mids` the
    present mids in USD of every symbol held or in them. `reference` is the symbol's last good
    price. `disabled` says why symbol or strategy may not trade; `rejects` and `strategy_rejects`
    are the broker's refusals of the day since a person last enabled it, `times_enabled` how often.
    `shortable` as at plan time; `day_trades` None for an account that is not small. `adv` as at
    plan time, as the plan noted it.
    `blocked_reason` says which difference with the broker must be settled before the child's symbol
    may trade, or is None. `agreed` are then the signed shares of it that broker and ledger both
    hold, None where two looks have not shown that.
    """

    halt_reason: str | None
    session: TradingSession | None
    parent_remaining: int
    positions: Mapping[str, int]
    equity: float
    day_start_equity: float
    peak_equity: float
    recent_sends: tuple[datetime, ...] = ()
    buying: Mapping[str, int] = field(default_factory=dict[str, int])
    selling: Mapping[str, int] = field(default_factory=dict[str, int])
    mids: Mapping[str, float] = field(default_factory=dict[str, float])
    reference: PriceReference | None = None
    disabled: str | None = None
    rejects: int = 0
    strategy_rejects: int = 0
    times_enabled: int = 0
    shortable: Mapping[str, int] = field(default_factory=dict[str, int])
    day_trades: DayTrades | None = None
    adv: Mapping[str, float] = field(default_factory=dict[str, float])
    blocked_reason: str | None = None
    agreed: int | None = None
