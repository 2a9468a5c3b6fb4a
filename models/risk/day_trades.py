"""Day trades in five sessions, counted from executions (FINRA Rule 4210(f)(8)(B)).

A day trade is a purchase and a sale (or a short sale and its cover) of the same symbol on one day.
Executions in one direction that close what the same day opened are one, however many there are.
Shares held overnight are not a day's opening: selling them first, and buying them back, is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from models.domain.orders import Fill, Side
from models.domain.sessions import exchange_date
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict, compare, not_finite


@dataclass(frozen=True, slots=True)
class OpenedToday:
    """Signed shares of a symbol opened today and not closed; was its last execution a closing?"""

    shares: Fraction | int = 0
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


@dataclass(frozen=True, slots=True)
class ShareChange:
    """Shares of a symbol that came without a trade at `at` (UTC): held * factor + shares."""

    symbol: str
    at: datetime
    factor: Fraction = Fraction(1)
    shares: Fraction = Fraction(0)


def count_day_trades(
    fills: Iterable[Fill],
    held: Mapping[str, int],
    sessions: Sequence[date],
    changes: Iterable[ShareChange] = (),
) -> DayTrades:
    """Count over `sessions` (New York dates, oldest first; the last one is today).

    `fills` are the account's executions in any order, `held` its signed shares now, all of these
    and `changes` (splits, transfers) counted: what was held before a day follows from them.
    """
    window = [f for f in fills if f.quantity and exchange_date(f.at) >= sessions[0]]
    moves: list[Fill | ShareChange] = [*window]
    moves += [change for change in changes if exchange_date(change.at) >= sessions[0]]
    moves.sort(key=_moment)
    shares: dict[str, Fraction | int] = dict(held)
    for move in reversed(moves):
        shares[move.symbol] = _before(move, shares.get(move.symbol, 0))
    made, day, today = 0, sessions[0], dict[str, OpenedToday]()
    for move in moves:
        if exchange_date(move.at) != day:
            day, today = exchange_date(move.at), {}
        now = shares[move.symbol]
        if isinstance(move, ShareChange):
            shares[move.symbol] = now * move.factor + move.shares
            continue
        before = today.get(move.symbol, OpenedToday())
        made += before.would_count(move.side)
        today[move.symbol] = _after(before, now, move)
        shares[move.symbol] = now + move.side.sign * move.quantity
    return DayTrades(made, today if day == sessions[-1] else {})


def _moment(move: Fill | ShareChange) -> tuple[datetime, str]:
    return move.at, move.exec_id if isinstance(move, Fill) else ""


def _before(move: Fill | ShareChange, after: Fraction | int) -> Fraction | int:
    if isinstance(move, ShareChange):
        return (after - move.shares) / move.factor
    return after - move.side.sign * move.quantity


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


def _after(before: OpenedToday, held: Fraction | int, fill: Fill) -> OpenedToday:
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
