"""Day trades in five sessions, counted from executions (FINRA Rule 4210(f)(8)(B)).

A day trade is a purchase and a sale (or a short sale and its cover) of the same symbol on one day.
Executions in one direction that close what the same day opened are one, however many there are.
Shares held overnight are not a day's opening: selling them first, and buying them back, is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from models.domain.orders import Fill, Side
from models.domain.sessions import exchange_date
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict, compare, not_finite


@dataclass(frozen=True, slots=True)
class OpenedToday:
    """Signed shares of a symbol opened today and not closed; was its last execution a closing?"""

    shares: int = 0
    is_closing: bool = False

    def would_count(self, side: Side) -> bool:
        """Say whether an order of `side` would begin one more day trade."""
        return self.shares * side.sign < 0 and not self.is_closing


@dataclass(frozen=True, slots=True)
class DayTrades:
    """Day trades `made` in the last five sessions, today's among them, and today's openings.

    `unseen` are those that the broker counts beyond them: of other programs, or of days before
    this system first saw the account.
    """

    made: int = 0
    today: Mapping[str, OpenedToday] = field(default_factory=dict[str, OpenedToday])
    unseen: int = 0

    def would_count(self, symbol: str, side: Side) -> bool:
        """Say whether an order would begin one more day trade."""
        return self.today.get(symbol, OpenedToday()).would_count(side)


def count_day_trades(
    fills: Iterable[Fill], held: Mapping[str, int], sessions: Sequence[date]
) -> DayTrades:
    """Count over `sessions` (New York dates, oldest first; the last one is today).

    `fills` are the account's executions in any order, `held` its signed shares now, all of these
    counted: what was held before a day follows from the two.
    """
    window = [f for f in fills if f.quantity and exchange_date(f.at) >= sessions[0]]
    window.sort(key=lambda fill: (fill.at, fill.exec_id))
    shares = dict(held)
    for fill in window:
        shares[fill.symbol] = shares.get(fill.symbol, 0) - fill.side.sign * fill.quantity
    made, today = 0, {}
    for day in sessions:
        today = dict[str, OpenedToday]()
        for fill in (one for one in window if exchange_date(one.at) == day):
            before = today.get(fill.symbol, OpenedToday())
            made += before.would_count(fill.side)
            today[fill.symbol] = _after(before, shares[fill.symbol], fill)
            shares[fill.symbol] += fill.side.sign * fill.quantity
    return DayTrades(made, today)


def unseen_day_trades(made: int, remaining: int | None, limits: RiskLimits) -> int:
    """Return the day trades that the broker must have counted beyond the `made` ones.

    With them the smaller allowance holds: the limit less what is known, or the broker's
    `remaining` (None: it tells no number, or sets no limit).
    """
    return 0 if remaining is None else max(0, limits.max_day_trades - made - remaining)


def check_day_trades(
    symbol: str,
    side: Side,
    trades: DayTrades | None,
    *,
    equity: float,
    limits: RiskLimits,
    working: Iterable[tuple[str, Side]] = (),
) -> Verdict:
    """Deny the order that would begin a day trade beyond the limit in a small account.

    `working` are symbol and side of other orders that may still fill; `trades` None is no
    executions at all.
    """
    bad = not_finite("day_trades", {"equity": equity})
    if bad is not None:
        return bad
    if equity >= limits.day_trade_equity:
        text = f"equity {equity:,.2f} USD is not below {limits.day_trade_equity:,.2f} USD"
        return Verdict("day_trades", True, text)
    trades = trades or DayTrades()
    if not trades.would_count(symbol, side):
        return Verdict("day_trades", True, "the order closes nothing that today has opened")
    others = {(s, d) for s, d in working if s != symbol and trades.would_count(s, d)}
    count = trades.made + trades.unseen + len(others) + 1
    what = f"with equity below {limits.day_trade_equity:,.0f} USD this would be"
    return compare("day_trades", count, limits.max_day_trades, what, "day trades in 5 sessions")


def _after(before: OpenedToday, held: int, fill: Fill) -> OpenedToday:
    """Return today's opening after a fill; `held` signed shares just before it."""
    signed = fill.side.sign * fill.quantity
    closes = min(abs(before.shares), fill.quantity) if before.shares * signed < 0 else 0
    rest = fill.quantity - closes
    old = before.shares + fill.side.sign * closes
    overnight = held - before.shares
    # What is left of the fill closes overnight shares first, then opens.
    unwinds = min(abs(overnight), rest) if overnight * signed < 0 else 0
    opened = old + fill.side.sign * (rest - unwinds)
    return OpenedToday(opened, is_closing=closes > 0 and rest == 0)
