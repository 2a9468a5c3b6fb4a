"""What counts as a day trade, and the order that would make one too many."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from models.domain.orders import Fill, Side
from models.risk.day_trades import (
    ShareChange,
    check_day_trades,
    count_day_trades,
    unseen_day_trades,
)
from models.risk.limits import RiskLimits

DAYS = [date(2022, 12, day) for day in (22, 23, 27, 28, 29)]
SMALL = 24_999.99
LIMITS = RiskLimits()


def fills(day: date, *trades: str) -> list[Fill]:
    """`"+100 KO"` is a purchase of 100 shares; a minute passes between two."""
    found = []
    for n, trade in enumerate(trades):
        shares, symbol = trade.split()
        side = Side.BUY if shares[0] == "+" else Side.SELL
        at = datetime(day.year, day.month, day.day, 15, n, tzinfo=UTC)
        name = f"{day}{n}.01"
        found.append(Fill(name, "p.1.1", symbol, side, int(shares[1:]), Decimal(10), at, 1))
    return found


def count(*trades: str, held: int = 0, day: date = DAYS[-1]) -> int:
    made = fills(day, *trades)
    now = held + sum(f.side.sign * f.quantity for f in made)
    return count_day_trades(made, {"KO": now}, DAYS).made


@pytest.mark.parametrize(
    ("held", "trades", "expected"),
    [
        (0, ["+100 KO"], 0),
        (0, ["+100 KO", "-100 KO"], 1),
        (0, ["+100 KO", "-50 KO", "-50 KO"], 1),  # one closing in two executions
        (0, ["+50 KO", "+50 KO", "-100 KO"], 1),
        (0, ["+100 KO", "-50 KO", "+50 KO", "-100 KO"], 2),
        (0, ["-100 KO", "+100 KO"], 1),  # a short sale and its cover
        (100, ["-100 KO", "+100 KO"], 0),  # held overnight, sold, bought back
        (100, ["-100 KO", "+100 KO", "-100 KO"], 1),
        (100, ["+100 KO", "-100 KO"], 1),  # what was opened today is closed today
        (100, ["-150 KO", "+50 KO"], 1),  # sold through zero: 50 short, and covered
        (-100, ["+100 KO"], 0),
    ],
)
def test_what_counts(held, trades, expected):
    assert count(*trades, held=held) == expected


@pytest.mark.parametrize(
    ("change", "last"),
    [({"factor": Fraction(2)}, "-200 KO"), ({"shares": Fraction(100)}, "-200 KO"),
     ({"factor": Fraction(1, 10)}, "-10 KO")],
)  # fmt: skip
def test_shares_that_came_without_a_trade_were_not_held_before(change, last):
    """Sold short and covered, and bought to keep; the split comes in the night after."""
    made = [*fills(DAYS[2], "-100 KO", "+100 KO", "+100 KO"), *fills(DAYS[4], last)]
    night = datetime(2022, 12, 28, 5, tzinfo=UTC)
    told = [ShareChange("KO", night, **change)]
    assert count_day_trades(made, {}, DAYS, told).made == 1
    assert count_day_trades(made[:-1], {"KO": int(last[1:-3])}, DAYS, told).today == {}


def test_only_the_last_five_sessions_count():
    early = fills(DAYS[0] - timedelta(days=1), "+10 KO", "-10 KO")
    assert count_day_trades(early, {}, DAYS).made == 0
    assert count_day_trades(fills(DAYS[0], "+10 KO", "-10 KO"), {}, DAYS).made == 1
    over_night = [*fills(DAYS[0], "+10 KO"), *fills(DAYS[1], "-10 KO")]
    assert count_day_trades(over_night, {}, DAYS).made == 0


def three_made(*today: str):
    made = [f for day in DAYS[:3] for f in fills(day, "+10 KO", "-10 KO")]
    now = fills(DAYS[-1], *today)
    held: dict[str, int] = {}
    for fill in now:
        held[fill.symbol] = held.get(fill.symbol, 0) + fill.side.sign * fill.quantity
    return count_day_trades([*made, *now], held, DAYS)


def judged(trades, symbol, side, equity=SMALL, working=()):
    return check_day_trades(symbol, side, trades, equity=equity, limits=LIMITS, working=working)


def test_the_order_that_would_make_the_fourth_is_denied():
    trades = three_made("+100 PEP")
    denied = judged(trades, "PEP", Side.SELL)
    assert not denied.passed
    assert denied.numbers == {"value": 4.0, "limit": 3.0}
    assert "4 day trades in 5 sessions" in denied.reason
    assert judged(trades, "PEP", Side.BUY).passed
    assert judged(trades, "XOM", Side.SELL).passed
    assert judged(trades, "PEP", Side.SELL, equity=25_000.0).passed
    assert not judged(trades, "PEP", Side.SELL, equity=float("nan")).passed
    assert check_day_trades(
        "PEP", Side.SELL, trades, equity=SMALL, limits=RiskLimits(day_trade_equity=0)
    ).passed


@pytest.mark.parametrize(
    ("made", "remaining", "unseen"), [(1, None, 0), (1, 2, 0), (1, 3, 0), (1, 1, 1), (0, 0, 3)]
)
def test_the_smaller_allowance_holds(made, remaining, unseen):
    assert unseen_day_trades(made, remaining, LIMITS) == unseen
    trades = replace(three_made("+100 PEP"), made=made, unseen=unseen)
    allowance = LIMITS.max_day_trades - made
    least = allowance if remaining is None else min(allowance, remaining)
    assert judged(trades, "PEP", Side.SELL).passed is (least > 0)


def test_orders_that_still_work_count_as_made():
    made = [f for day in DAYS[:2] for f in fills(day, "+10 KO", "-10 KO")]
    now = fills(DAYS[-1], "+10 PEP", "+10 XOM")
    trades = count_day_trades([*made, *now], {"PEP": 10, "XOM": 10}, DAYS)
    assert judged(trades, "PEP", Side.SELL).passed
    assert not judged(trades, "PEP", Side.SELL, working=[("XOM", Side.SELL)]).passed
    assert judged(trades, "PEP", Side.SELL, working=[("PEP", Side.SELL)]).passed


def test_a_closing_that_has_begun_may_go_on():
    trades = three_made("+100 PEP", "-40 PEP")
    assert trades.made == 4
    assert judged(trades, "PEP", Side.SELL).passed
