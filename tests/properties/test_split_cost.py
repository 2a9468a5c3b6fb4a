"""A split changes the count of shares and nothing of the money, by either way of counting cost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.orders import Fill, Side
from models.portfolio.entries import average_entry
from models.portfolio.lots import CostMethod, Split, Transfer, replay

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)
EX_DATE = AT + timedelta(minutes=6, seconds=-1)

trades = st.lists(
    st.tuples(
        st.sampled_from(list(Side)), st.integers(1, 60), st.decimals("0.01", "500", places=2)
    ),
    max_size=12,
)


def fills_of(drawn: list[tuple[Side, int, Decimal]]) -> list[Fill]:
    return [
        Fill(f"e{n:03d}.01", "", "KO", side, 8 * shares, price, AT + timedelta(minutes=n), 1)
        for n, (side, shares, price) in enumerate(drawn)
    ]


@settings(max_examples=150, deadline=None)
@given(drawn=trades, held=st.integers(-80, 80), ratio=st.sampled_from([2, 4, 8, -2, -4, -8]))
def test_a_split_is_the_same_history_told_in_the_shares_of_now(
    drawn: list[tuple[Side, int, Decimal]], held: int, ratio: int
) -> None:
    """Whole shares on both sides: what a fraction is paid for is cash, and another matter."""
    new, old = (ratio, 1) if ratio > 0 else (1, -ratio)
    split, factor = Split("KO", EX_DATE, new, old), Fraction(new, old)
    fills = fills_of(drawn)
    told = [
        replace(
            fill,
            quantity=int(fill.quantity * factor),
            price=fill.price * old / new,
        )
        if fill.at < EX_DATE
        else fill
        for fill in fills
    ]
    opening = Transfer("KO", AT - timedelta(days=1), Fraction(8 * held), Decimal(24))
    retold = replace(opening, shares=opening.shares * factor, price=Decimal(24) * old / new)
    for method in CostMethod:
        was = replay(method, fills, opening=[opening], adjustments=[split])["KO"]
        now = replay(method, told, opening=[retold])["KO"]
        assert (was.shares, was.realised, was.average_cost) == (
            now.shares,
            now.realised,
            now.average_cost,
        )
        assert was.unrealised(Decimal(31)) == now.unrealised(Decimal(31))
    unknown = replace(opening, price=None)
    entry = average_entry(fills, unknown, Decimal(24), [split])
    expected = replay(CostMethod.AVERAGE, told, opening=[replace(retold, price=Decimal(24))])
    assert entry == expected["KO"].average_cost
