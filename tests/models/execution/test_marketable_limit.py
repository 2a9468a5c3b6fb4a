from decimal import Decimal

import pytest

from models.domain.orders import Quote, Side
from models.execution.pricing import marketable_limit


def limit(side, bid, ask, bps="5", parent=None, at=None):
    quote = Quote("KO", Decimal(bid), Decimal(ask), 1, 1, at)
    cap = None if parent is None else Decimal(parent)
    return marketable_limit(side, quote, Decimal(bps), cap)


def test_the_offset_goes_past_the_far_touch():
    assert limit(Side.BUY, "59.99", "60.00") == Decimal("60.03")
    assert limit(Side.SELL, "60.00", "60.01") == Decimal("59.97")
    assert limit(Side.BUY, "59.99", "60.00", bps="0") == Decimal("60.00")


def test_the_parents_limit_binds_and_forbids():
    assert limit(Side.BUY, "59.99", "60.00", parent="60.015") == Decimal("60.01")
    assert limit(Side.SELL, "60.00", "60.01", parent="59.985") == Decimal("59.99")
    assert limit(Side.BUY, "59.99", "60.00", parent="59.99") is None
    assert limit(Side.SELL, "60.00", "60.01", parent="60.005") is None


@pytest.mark.parametrize(
    ("bid", "ask"),
    [("60.01", "60.00"), ("0", "60"), ("-1", "60"), ("NaN", "60"), ("60", "Infinity")],
)
@pytest.mark.parametrize("side", Side)
def test_no_price_from_an_insane_quote(side, bid, ask):
    assert limit(side, bid, ask) is None


def test_a_locked_quote_still_has_a_price():
    assert limit(Side.BUY, "60.00", "60.00") == Decimal("60.03")
