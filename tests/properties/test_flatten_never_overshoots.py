"""Whatever is held by whom, a flatten's orders only reduce, and the gate lets nothing else by."""

from datetime import date, timedelta
from decimal import Decimal
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from models.domain.orders import ChildOrder, Quote, Side
from models.domain.sessions import session_on
from models.risk.closing import closings, pieces
from models.risk.context import SendContext
from models.risk.limits import RiskLimits
from models.risk.reduce_gate import check_reducing
from models.risk.verdict import all_passed

DAY = session_on(date(2022, 12, 29))
NOW = DAY.open + timedelta(hours=1)
SHARES = st.integers(-5_000, 5_000)
SYMBOLS = st.sampled_from(["KO", "PEP", "XOM"])
BOOKS = st.dictionaries(SYMBOLS, SHARES)
WIDE = RiskLimits(max_order_quantity=100_000, max_order_notional=1e9)


@given(BOOKS, BOOKS, st.booleans(), st.sampled_from(["", "KO"]))
def test_closings_reduce_and_touch_nothing_of_others(held, ours, everything, symbol):
    for one in closings(held, ours, symbol=symbol, everything=everything):
        shares = held[one.symbol]
        after = shares + one.side.sign * one.quantity
        assert one.quantity > 0
        assert abs(after) < abs(shares) and after * shares >= 0
        assert symbol in ("", one.symbol)
        if everything:
            assert after == 0
        else:
            assert one.quantity <= abs(ours[one.symbol])
    if everything and not symbol:
        closed = {c.symbol for c in closings(held, ours, everything=True)}
        assert closed == {s for s, n in held.items() if n}


@given(
    SHARES,
    st.sampled_from(list(Side)),
    st.integers(1, 6_000),
    st.integers(0, 6_000),
    st.integers(0, 6_000),
)
def test_the_gate_lets_only_reductions_by(position, side, quantity, selling, buying):
    quote = Quote("KO", Decimal("49.99"), Decimal("50.01"), 500, 500, NOW)
    child = ChildOrder("p", 1, 1, "KO", side, quantity, Decimal(50), "IOC")
    context = SendContext(
        halt_reason="halted",
        session=DAY,
        parent_remaining=quantity,
        positions={"KO": position},
        equity=float("nan"),
        day_start_equity=float("nan"),
        peak_equity=float("nan"),
        buying={"KO": buying},
        selling={"KO": selling},
    )
    same_side = buying if side is Side.BUY else selling
    worst = position + side.sign * (quantity + same_side)
    reduces = position * side.sign < 0 and worst * position >= 0
    assert all_passed(check_reducing(child, quote, context, WIDE, NOW)) is reduces


@given(st.integers(1, 1_000_000), st.floats(0.01, 5_000), st.floats(1_000, 1e6))
def test_pieces_stay_within_the_limits(quantity, price, notional):
    limits = RiskLimits(max_order_notional=notional, max_order_quantity=10_000)
    count = pieces(quantity, price, limits)
    assert 3 <= count <= 1000
    if count < 1000:
        largest = ceil(quantity / count)
        assert largest <= limits.max_order_quantity + 1
        assert (largest - 1) * price <= notional
