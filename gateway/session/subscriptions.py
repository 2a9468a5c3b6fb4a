"""What one client has asked to be told as it changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.market.bars import Bar
from gateway.market.book import Top
from gateway.session.history_query import Query


@dataclass(slots=True)
class Quotes:
    """One top-of-book subscription and what was sent last."""

    request_id: int
    column: int
    snapshot: bool = False
    data_type: int = 1
    top: Top | None = None
    last: tuple[int, int] | None = None
    volume: int = -1
    high: int = 0
    low: int = 0
    opened: int = 0
    sent_at: int = -1


@dataclass(slots=True)
class ProfitSingle:
    """One subscription to the profit of one position."""

    request_id: int
    column: int
    sent: tuple[int, ...] = ()


@dataclass(slots=True)
class LiveBars:
    """One history request that is kept up to date; `last` is the last bar sent."""

    query: Query
    last: Bar


@dataclass(slots=True)
class Subscriptions:
    """The subscriptions of one connection."""

    data_type: int = 1
    quotes: dict[int, Quotes] = field(default_factory=dict)
    account: bool = False
    positions: bool = False
    positions_multi: dict[int, str] = field(default_factory=dict)
    account_multi: dict[int, bool] = field(default_factory=dict)
    summaries: dict[int, tuple[str, ...]] = field(default_factory=dict)
    profit: dict[int, tuple[int, ...]] = field(default_factory=dict)
    profit_single: dict[int, ProfitSingle] = field(default_factory=dict)
    histories: dict[int, LiveBars] = field(default_factory=dict)
