"""What a session watches of itself: the counts and times that can halt trading."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING

from models.domain.errors import AutomaticHalt
from models.domain.halts import HaltCode
from models.risk.breaker import Observation, judge
from models.risk.quotes import is_usable
from tasks.session.account import UNKNOWN_EQUITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from models.domain.orders import Quote
    from models.domain.sessions import TradingSession
    from models.risk.limits import RiskLimits
    from tasks.session.account import AccountBook
    from tasks.session.orders import OrderDesk
    from warehouse.ledger import OrderLedger

MINUTE = timedelta(minutes=1)
# One wrong tick must not stop the day: a loss has to be there at two looks in a row. No child
# passes its own checks meanwhile.
LOOKS_OF_A_LOSS = 2
LONGEST_UNPRICED = timedelta(minutes=1)  # of market time, before a person is told
_LOSSES = frozenset({HaltCode.DAILY_LOSS, HaltCode.DRAWDOWN})


@dataclass(slots=True)
class SessionGuard:
    """Counts over a whole session, its reconnects included; moments are market time (UTC).

    `lost_at` is the wall-clock moment since which the gateway has not answered.
    """

    limits: RiskLimits
    lost_at: datetime | None = None
    _attempts: deque[datetime] = field(default_factory=deque[datetime])
    _rejects: dict[str, datetime] = field(default_factory=dict[str, datetime])
    _looked_at: datetime | None = None
    _heard_at: datetime | None = None
    _losses: int = 0
    _unpriced_since: datetime | None = None
    _told_unpriced: bool = False
    _unusable: dict[str, datetime] = field(default_factory=dict[str, datetime])
    _told_unusable: set[str] = field(default_factory=set[str])

    def attempted(self, now: datetime) -> None:
        """Count a child that the schedule wants, whether or not it may be sent."""
        self._attempts.append(now)

    def rejected(self, order_ref: str, now: datetime) -> None:
        """Count an order that the broker refused, once."""
        self._rejects.setdefault(order_ref, now)

    def heard(self, quotes: Iterable[datetime], now: datetime) -> None:
        """Take the moments of the latest quotes, as seen at a look at `now`.

        A quote is stamped with the moment of the look before it came, which it is no older than.
        """
        newest = max(quotes, default=None)
        before, self._looked_at = self._looked_at, now
        if before is None or (newest is not None and newest >= before):
            self._heard_at = now

    def connected(self) -> None:
        """Start the quote and heartbeat times anew: a connection was just made."""
        self.lost_at = self._looked_at = self._heard_at = None

    def disconnected(self, wall: datetime) -> None:
        """Note since when (wall clock) the gateway has not answered."""
        self.lost_at = self.lost_at or wall

    def require_sound(
        self,
        now: datetime,
        day: TradingSession,
        book: AccountBook,
        equity: float,
    ) -> None:
        """Raise AutomaticHalt when a limit was passed; `equity` is at present mids, in USD."""
        seen = self._observation(now, day)
        seen = replace(
            seen,
            equity=equity,
            day_start_equity=book.day_start_equity,
            peak_equity=book.peak_equity,
        )
        trip = judge(seen, self.limits)
        is_loss = trip is not None and trip.code in _LOSSES
        self._losses = self._losses + 1 if is_loss else 0
        if trip is not None and (not is_loss or self._losses >= LOOKS_OF_A_LOSS):
            raise AutomaticHalt(trip.code, _text(trip.reason))

    def is_long_unpriced(self, equity: float, now: datetime, day: TradingSession) -> bool:
        """Say, once, that the account's worth has been unknown for too long in an open session."""
        if isfinite(equity) or not day.contains(now):
            self._unpriced_since, self._told_unpriced = None, False
            return False
        self._unpriced_since = self._unpriced_since or now
        is_late = now - self._unpriced_since >= LONGEST_UNPRICED and not self._told_unpriced
        self._told_unpriced |= is_late
        return is_late

    def long_unusable(self, quotes: Mapping[str, Quote | None], now: datetime) -> list[str]:
        """Return, each once, the symbols whose quotes were for too long none to price an order."""
        bad = {symbol for symbol, quote in quotes.items() if quote is None or not is_usable(quote)}
        self._told_unusable &= bad
        self._unusable = {symbol: self._unusable.get(symbol, now) for symbol in bad}
        late = {s for s, since in self._unusable.items() if now - since >= LONGEST_UNPRICED}
        news = sorted(late - self._told_unusable)
        self._told_unusable |= late
        return news

    def require_heartbeat(self, wall: datetime) -> None:
        """Raise AutomaticHalt when the gateway has not answered for longer than the limit."""
        lost = 0.0 if self.lost_at is None else (wall - self.lost_at).total_seconds()
        trip = judge(Observation(heartbeat_loss=lost), self.limits)
        if trip is not None:
            raise AutomaticHalt(trip.code, _text(trip.reason))

    def _observation(self, now: datetime, day: TradingSession) -> Observation:
        while self._attempts and now - self._attempts[0] >= MINUTE:
            self._attempts.popleft()
        window = timedelta(seconds=self.limits.halts.reject_window)
        silence = 0.0
        if self._heard_at is not None and day.contains(now):
            silence = (now - max(self._heard_at, day.open)).total_seconds()
        return Observation(
            attempts=len(self._attempts),
            rejects=sum(now - at < window for at in self._rejects.values()),
            quote_silence=max(0.0, silence),
        )


def breach(guard: SessionGuard, desk: OrderDesk, now: datetime) -> AutomaticHalt | None:
    """Return the halt that a limit of the session itself demands at `now`, if one does."""
    quotes = (desk.quote(execution.parent.symbol) for execution in desk.executions.values())
    guard.heard([quote.at for quote in quotes if quote is not None], now)
    equity = desk.book.equity(desk.quote)
    desk.book.note_worth(equity)
    unpriced = desk.unpriced(now)
    if guard.is_long_unpriced(UNKNOWN_EQUITY if unpriced else equity, now, desk.session):
        names = ", ".join(sorted(unpriced))
        desk.alert(
            "the account's worth is unknown",
            f"no usable quote of {names} for {LONGEST_UNPRICED}, or none within "
            f"{desk.limits.halts.max_quote_silence:g} s; loss limits see the last price or, "
            "without one, nothing, and then no scheduled order passes: look at their market data",
        )
    _tell_unusable(guard, desk, now)
    try:
        guard.require_sound(now, desk.session, desk.book, equity)
    except AutomaticHalt as halt:
        return halt
    return None


def _tell_unusable(guard: SessionGuard, desk: OrderDesk, now: datetime) -> None:
    """Tell which parents nothing is sent for, because their symbol has no quote to price it by."""
    due = {
        e.parent.symbol
        for e in desk.executions.values()
        if not e.state.is_terminal and e.parent.start <= now < e.parent.end
    }
    quotes = {symbol: desk.quote(symbol) for symbol in due if desk.session.contains(now)}
    for symbol in guard.long_unusable(quotes, now):
        quote = quotes[symbol]
        seen = "none" if quote is None else f"bid {quote.bid} and ask {quote.ask} USD"
        desk.alert(
            f"{symbol} has no usable quote",
            f"{seen}, for {LONGEST_UNPRICED}: nothing is sent for its order until bid and ask are "
            "prices, the bid below the ask; look at its market data and at the exchange's halts",
        )


def keep_halt(ledger: OrderLedger, halt: AutomaticHalt, alert: Callable[[str, str], None]) -> None:
    """Store a halt that the system gave itself, once while it is in force, and tell a person."""
    if any(known.code is halt.code and not known.symbol for known in ledger.halts.in_force()):
        return
    ledger.halts.halt(str(halt), "the session", datetime.now(UTC), code=halt.code)
    alert(f"trading halted: {halt.code}", str(halt))


def _text(reason: str) -> str:
    return (
        f"{reason}; trading is halted: find the cause, then `robo resume --reason ...`, and "
        "`robo execute` goes on"
    )
