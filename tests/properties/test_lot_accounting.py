"""First in first out and average cost: one position, one profit once flat, whatever happened."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.orders import Fill, Side
from models.portfolio.lots import CostMethod, PositionBook, Split, Transfer, replay

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)

trades = st.lists(
    st.tuples(
        st.sampled_from(list(Side)),
        st.integers(1, 60),
        st.decimals("0.01", "500", places=3),
        st.none() | st.decimals("-0.5", "5", places=3),
    ),
    max_size=12,
)
splits = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 7), st.integers(1, 7)), max_size=3)
openings = st.none() | st.tuples(st.integers(-80, 80), st.decimals("1", "300", places=2))


def fills_of(drawn: list[tuple[Side, int, Decimal, Decimal | None]]) -> list[Fill]:
    return [
        Fill(f"e{n:03d}.01", "", "KO", side, shares, price, AT + timedelta(minutes=n), 1, fee)
        for n, (side, shares, price, fee) in enumerate(drawn)
    ]


def splits_of(drawn: list[tuple[int, int, int]]) -> list[Split]:
    return [Split("KO", AT + timedelta(minutes=n, seconds=-1), new, old) for n, new, old in drawn]


def opening_of(drawn: tuple[int, Decimal] | None) -> list[Transfer]:
    if drawn is None:
        return []
    return [Transfer("KO", AT - timedelta(days=1), Fraction(drawn[0]), drawn[1])]


def both(*args: object, **kwargs: object) -> tuple[PositionBook, PositionBook]:
    books = [replay(method, *args, **kwargs) for method in CostMethod]  # type: ignore[arg-type]
    empty = PositionBook("KO", CostMethod.FIFO)
    return books[0].get("KO", empty), books[1].get("KO", empty)


@settings(max_examples=200, deadline=None)
@given(drawn=trades, cuts=splits, held=openings)
def test_both_methods_hold_the_same_shares_and_the_same_worth(
    drawn: list[tuple[Side, int, Decimal, Decimal | None]],
    cuts: list[tuple[int, int, int]],
    held: tuple[int, Decimal] | None,
) -> None:
    opening, fills, changes = opening_of(held), fills_of(drawn), splits_of(cuts)
    fifo, average = both(fills, opening=opening, adjustments=changes)
    assert fifo.shares == average.shares
    # Realised and unrealised together are what came in less what went out: no method matters.
    flows = sum((-f.side.sign * f.quantity * Fraction(f.price) for f in fills), Fraction(0))
    flows -= sum((lot.shares * Fraction(lot.price or 0) for lot in opening), Fraction(0))
    mark = Decimal("123.45")
    for book in (fifo, average):
        realised, open_pnl = book.realised, book.unrealised(mark)
        assert realised is not None and open_pnl is not None
        total = flows + book.shares * Fraction(mark)
        assert abs(Fraction(realised) + Fraction(open_pnl) - total) <= Fraction(1, 10**8)


@settings(max_examples=200, deadline=None)
@given(drawn=trades, cuts=splits, held=openings, price=st.decimals("0.01", "500", places=3))
def test_a_flat_position_has_earned_the_same_by_either_method(
    drawn: list[tuple[Side, int, Decimal, Decimal | None]],
    cuts: list[tuple[int, int, int]],
    held: tuple[int, Decimal] | None,
    price: Decimal,
) -> None:
    opening, changes = opening_of(held), splits_of(cuts)
    left, _ = both(fills_of(drawn), opening=opening, adjustments=changes)
    closing = Transfer("KO", AT + timedelta(days=1), -left.shares, price)
    fifo, average = both(fills_of(drawn), opening=opening, adjustments=[*changes, closing])
    assert (fifo.shares, fifo.lots, average.lots) == (0, [], [])
    assert fifo.earned == average.earned  # exactly, not to a rounding
    assert fifo.unrealised(None) == 0
    assert fifo.commission == sum((fee for *_, fee in drawn if fee is not None), Decimal(0))
    assert fifo.unknown_commissions == sum(fee is None for *_, fee in drawn)


@settings(max_examples=150, deadline=None)
@given(drawn=trades, data=st.data())
def test_corrections_and_busts_replay_as_if_they_had_been_told_first(
    drawn: list[tuple[Side, int, Decimal, Decimal | None]], data: st.DataObject
) -> None:
    told, true = fills_of(drawn), []
    for fill in list(told):
        shares = data.draw(st.sampled_from([fill.quantity, 0, 7]), label="corrected shares")
        right = replace(
            fill,
            exec_id=f"{fill.exec_base}.02",
            quantity=shares,
            at=fill.at + timedelta(hours=3),  # a correction comes late, its trade was early
        )
        told.append(right)
        true.append(replace(right, exec_id=fill.exec_id, at=fill.at))
    told = data.draw(st.permutations(told))
    for method in CostMethod:
        assert replay(method, told) == replay(method, true)
