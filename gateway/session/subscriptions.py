"""What one client has asked to be told as it changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.market.bars import Bar
from gateway.market.ticks import Tape
from gateway.session.history_query import Query
from gateway.timeline import Span


@dataclass(slots=True)
class Quotes:
    """One top-of-book subscription; `sent` is what was sent last, by tick type.

    `kind` is the type of data: 1 live, 2 frozen, 3 delayed, 4 delayed and frozen. `generic` are the
    extra ticks that were asked for.
    """

    request_id: int
    column: int
    kind: int = 1
    generic: frozenset[int] = frozenset()
    sent: dict[int, object] = field(default_factory=dict)
    sent_at: int = -1
    open: bool = False


@dataclass(slots=True)
class TickStream:
    """One tick-by-tick or real-time bar subscription, told up to `told` (microseconds).

    `kind` is Last, AllLast, BidAsk, MidPoint, or TRADES, MIDPOINT, BID, ASK for bars; `outside`
    says that pre- and after-market trading belong to it.
    """

    request_id: int
    column: int
    kind: str
    told: int
    ignore_size: bool = False
    outside: bool = True
    before: object = None
    tape: Tape | None = None


Row = tuple[int, int]  # cents, shares


@dataclass(slots=True)
class DepthRows:
    """One market depth subscription and the rows that the client has, best first.

    `named` rows carry their market maker; `span` is the stretch of trading they belong to.
    """

    request_id: int
    column: int
    rows: int
    smart: bool
    named: bool
    bids: list[Row] = field(default_factory=list)
    asks: list[Row] = field(default_factory=list)
    span: Span | None = None


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
    """The subscriptions of one connection.

    `account_sent` are the account's values that were told last, by who was told, tag and currency;
    a position's tag is its symbol.
    """

    data_type: int = 1
    auto_bind: bool = False
    quotes: dict[int, Quotes] = field(default_factory=dict)
    account: bool = False
    account_sent: dict[tuple[str, str, str], str] = field(default_factory=dict)
    positions: bool = False
    positions_multi: dict[int, str] = field(default_factory=dict)
    account_multi: dict[int, bool] = field(default_factory=dict)
    summaries: dict[int, tuple[str, ...]] = field(default_factory=dict)
    profit: dict[int, tuple[int, ...]] = field(default_factory=dict)
    profit_single: dict[int, ProfitSingle] = field(default_factory=dict)
    histories: dict[int, LiveBars] = field(default_factory=dict)
    histories_under_way: set[int] = field(default_factory=set)
    ticks: dict[int, TickStream] = field(default_factory=dict)
    live_bars: dict[int, TickStream] = field(default_factory=dict)
    depth: dict[int, DepthRows] = field(default_factory=dict)
