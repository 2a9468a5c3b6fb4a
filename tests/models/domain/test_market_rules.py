"""Market rules by example: bands, edges, and rules that are none."""

from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput
from models.domain.market_rules import REG_NMS, MarketRule, PriceBand
from models.domain.orders import Side


def rule(*bands):
    return MarketRule(tuple(PriceBand(Decimal(low), Decimal(step)) for low, step in bands))


@pytest.mark.parametrize(
    ("side", "price", "rounded"),
    [
        (Side.BUY, "10.019", "10.01"),
        (Side.SELL, "10.011", "10.02"),
        (Side.BUY, "0.12349", "0.1234"),
        (Side.SELL, "0.12341", "0.1235"),
        (Side.SELL, "0.99995", "1.00"),
        (Side.SELL, "10.01", "10.01"),
        (Side.BUY, "0.00005", "0"),
    ],
)
def test_without_a_rule_of_its_own_a_stock_has_regulation_nms(side, price, rounded):
    assert REG_NMS.rounded(Decimal(price), side) == Decimal(rounded)


@pytest.mark.parametrize(
    ("side", "price", "rounded"),
    [
        (Side.BUY, "2.99", "2.95"),
        (Side.SELL, "2.96", "3.0"),
        (Side.SELL, "3.01", "3.1"),
        (Side.BUY, "3.09", "3.0"),
    ],
)
def test_a_rule_with_bands_has_the_increment_of_the_band(side, price, rounded):
    assert rule(("0", "0.05"), ("3", "0.1")).rounded(Decimal(price), side) == Decimal(rounded)


def test_an_edge_that_is_no_tick_of_its_own_band_is_passed_over():
    odd = rule(("0", "0.05"), ("1.03", "0.25"))
    assert odd.rounded(Decimal("1.10"), Side.BUY) == Decimal("1.00")
    assert odd.rounded(Decimal("1.01"), Side.SELL) == Decimal("1.25")


@pytest.mark.parametrize(
    "bands",
    [
        (),
        (("1", "0.01"),),
        (("0", "0.01"), ("0", "0.05")),
        (("0", "0"),),
        (("0", "-1"),),
        (("0", "NaN"),),
    ],
)
def test_a_rule_that_is_none_is_refused(bands):
    with pytest.raises(InvalidInput, match="a market rule has"):
        rule(*bands)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_what_is_no_price_is_not_rounded(price):
    with pytest.raises(InvalidInput, match="cannot be rounded"):
        REG_NMS.rounded(Decimal(price), Side.BUY)
    assert not REG_NMS.accepts(Decimal(price))
