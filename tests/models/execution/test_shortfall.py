from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import Side
from models.execution.tca import average_price, shortfall


def cost(side, quantity, decision, arrival, end, fills):
    return shortfall(
        side,
        quantity,
        decision_price=Decimal(decision),
        arrival_price=Decimal(arrival),
        end_price=Decimal(end),
        fills=fills,
    )


def test_a_worked_example(fill):
    """Decide at 60, arrive at 60.10, buy 60 at 60.20 and 20 at 60.40, miss 20 that end at 61."""
    fills = [
        fill("p.1.1", 60, "e.1.01", price=Decimal("60.20"), commission=Decimal("1.00")),
        fill("p.2.1", 20, "e.2.01", price=Decimal("60.40"), commission=Decimal("0.35")),
    ]
    result = cost(Side.BUY, 100, "60", "60.10", "61", fills)
    assert (result.delay, result.execution, result.opportunity, result.fees) == (
        Decimal("8.00"),
        Decimal("12.00"),
        Decimal(20),
        Decimal("1.35"),
    )
    assert result.total == Decimal("41.35")
    assert result.total_bps == Decimal("41.35") / 6000 * 10_000
    assert result.filled == 80


def test_without_a_fill_all_is_opportunity():
    result = cost(Side.SELL, 10, "60", "59", "58", [])
    assert (result.delay, result.execution, result.opportunity) == (0, 0, 20)
    assert result.total == 20


def test_corrections_replace_and_busts_are_out(fill):
    fee = Decimal(1)
    fills = [
        fill("p.1.1", 10, "e.1.01", price=Decimal(99), commission=fee),
        fill("p.1.1", 10, "e.1.02", price=Decimal(61), commission=fee),
        fill("p.1.1", 10, "e.2.01", price=Decimal(70), commission=fee),
        fill("p.1.1", 0, "e.2.02", price=Decimal(70), commission=fee),
    ]
    result = cost(Side.BUY, 10, "60", "60", "60", fills)
    assert (result.filled, result.execution, result.fees) == (10, 10, 1)
    assert average_price(fills) == 61
    assert average_price([]) is None


@pytest.mark.parametrize("bad", ["0", "-1", "NaN", "Infinity"])
def test_a_price_that_is_none_is_refused(bad):
    with pytest.raises(InvalidInput, match="finite positive"):
        cost(Side.BUY, 10, "60", bad, "60", [])
    with pytest.raises(InvalidInput, match="0 shares"):
        cost(Side.BUY, 0, "60", "60", "60", [])
