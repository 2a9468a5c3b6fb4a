"""Implementation shortfall: the parts sum to the whole exactly, and a flipped side flips them."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from models.domain.orders import Fill, Side
from models.execution.tca import Shortfall, average_price, shortfall

AT = datetime(2023, 1, 3, 15, tzinfo=UTC)
prices = st.decimals("0.0001", "100000", places=4)
fees = st.decimals("-5", "50", places=6)
trades = st.lists(st.tuples(st.integers(1, 10**6), prices, fees), max_size=15)


def executions(side: Side, rows: list[tuple[int, Decimal, Decimal]]) -> list[Fill]:
    return [
        Fill(f"x.{n:03d}.01", "p.1.1", "KO", side, shares, price, AT, 7, fee)
        for n, (shares, price, fee) in enumerate(rows)
    ]


def split(
    side: Side, rest: int, marks: tuple[Decimal, ...], rows: list[tuple[int, Decimal, Decimal]]
) -> Shortfall:
    quantity = max(1, rest + sum(row[0] for row in rows))
    decision, arrival, end = marks
    return shortfall(
        side,
        quantity,
        decision_price=decision,
        arrival_price=arrival,
        end_price=end,
        fills=executions(side, rows),
    )


@given(st.sampled_from(Side), st.integers(0, 10**6), st.tuples(prices, prices, prices), trades)
def test_components_sum_to_paper_minus_real_exactly(
    side: Side,
    rest: int,
    marks: tuple[Decimal, ...],
    rows: list[tuple[int, Decimal, Decimal]],
) -> None:
    cost = split(side, rest, marks, rows)
    decision, _, end = marks
    unfilled = cost.quantity - sum(shares for shares, _, _ in rows)
    paper = sum((shares * (price - decision) for shares, price, _ in rows), Decimal(0))
    paper += unfilled * (end - decision)
    assert cost.total == side.sign * paper + sum((fee for _, _, fee in rows), Decimal(0))
    assert cost.before_fees == side.sign * paper
    assert cost.delay + cost.execution + cost.opportunity == cost.before_fees


@given(st.integers(0, 10**6), st.tuples(prices, prices, prices), trades)
def test_a_flipped_side_flips_every_component_but_the_fees(
    rest: int, marks: tuple[Decimal, ...], rows: list[tuple[int, Decimal, Decimal]]
) -> None:
    buy, sell = split(Side.BUY, rest, marks, rows), split(Side.SELL, rest, marks, rows)
    assert (buy.delay, buy.execution, buy.opportunity) == (
        -sell.delay,
        -sell.execution,
        -sell.opportunity,
    )
    assert buy.fees == sell.fees
    assert buy.before_fees_bps == -sell.before_fees_bps


@given(st.tuples(prices, prices, prices), trades.filter(bool), st.data())
def test_one_unknown_commission_leaves_the_total_unknown(
    marks: tuple[Decimal, ...], rows: list[tuple[int, Decimal, Decimal]], data: st.DataObject
) -> None:
    fills = executions(Side.BUY, rows)
    unknown = data.draw(st.integers(0, len(fills) - 1))
    fills[unknown] = replace(fills[unknown], commission=None)
    decision, arrival, end = marks
    cost = shortfall(
        Side.BUY,
        sum(fill.quantity for fill in fills),
        decision_price=decision,
        arrival_price=arrival,
        end_price=end,
        fills=fills,
    )
    assert cost.fees is None
    assert cost.total is None
    assert cost.total_bps is None
    assert not cost.is_complete


@given(trades.filter(bool))
def test_average_price_lies_between_the_extremes(rows: list[tuple[int, Decimal, Decimal]]) -> None:
    average = average_price(executions(Side.BUY, rows))
    assert average is not None
    slack = Decimal("1e-20")
    assert min(row[1] for row in rows) - slack <= average <= max(row[1] for row in rows) + slack
