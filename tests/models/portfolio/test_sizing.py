from decimal import Decimal

import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.portfolio.sizing import target_shares, trades

PRICES = {"A": Decimal("150"), "B": Decimal("99.99"), "C": Decimal("10")}
NO_MINIMUM = Decimal(0)


def test_shares_are_rounded_toward_zero_and_a_round_weight_is_not_a_share_short() -> None:
    weights = pd.Series({"A": 0.15, "B": -0.1, "C": 0.0})
    assert target_shares(weights, Decimal(100_000), PRICES) == {"A": 100, "B": -100, "C": 0}


def test_a_symbol_without_weight_needs_no_price() -> None:
    assert target_shares(pd.Series({"X": 0.0}), Decimal(1000), PRICES) == {"X": 0}


@pytest.mark.parametrize(
    "price", [None, Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")]
)
def test_a_symbol_to_hold_or_trade_needs_a_price(price: Decimal | None) -> None:
    prices = {} if price is None else {"A": price}
    with pytest.raises(InvalidInput, match="no positive price for A"):
        target_shares(pd.Series({"A": 0.1}), Decimal(1000), prices)
    with pytest.raises(InvalidInput, match="no positive price for A"):
        trades({"A": 5}, {}, prices, NO_MINIMUM, 0.0)


@pytest.mark.parametrize("equity", [Decimal(0), Decimal(-5), Decimal("NaN"), Decimal("Infinity")])
def test_an_account_without_equity_is_refused(equity: Decimal) -> None:
    with pytest.raises(InvalidInput, match="equity"):
        target_shares(pd.Series({"A": 0.1}), equity, PRICES)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1e300])
def test_weights_that_are_no_fraction_are_refused(weight: float) -> None:
    with pytest.raises(InvalidInput, match="weight of A"):
        target_shares(pd.Series({"A": weight}), Decimal(1000), PRICES)


def test_sells_come_first_and_the_largest_in_dollars_first() -> None:
    current = {"A": 10, "B": 30, "C": 0}
    deltas = trades(
        current, {"A": 0, "B": 10, "C": 50, "D": 1}, {**PRICES, "D": Decimal(900)}, NO_MINIMUM, 0.0
    )
    assert list(deltas.items()) == [("B", -20), ("A", -10), ("D", 1), ("C", 50)]


def test_small_and_near_differences_are_left_alone_but_closing_is_not() -> None:
    current = {"A": 100, "B": 1, "C": 96}
    target = {"A": 101, "B": 0, "C": 100}
    assert trades(current, target, PRICES, Decimal(200), 0.0) == {"B": -1}
    assert trades(current, target, PRICES, NO_MINIMUM, 0.05) == {"B": -1}
    assert trades(current, target, PRICES, NO_MINIMUM, 0.03) == {"B": -1, "C": 4}


def test_a_sell_inside_the_band_is_made_when_a_buy_needs_its_cash() -> None:
    current = {"A": 104, "B": 52, "C": 0}
    target = {"A": 100, "B": 50, "C": 79}  # 790 USD to buy; 600 and 199.98 are within the band
    assert trades(current, target, PRICES, NO_MINIMUM, 0.05) == {"A": -4, "B": -2, "C": 79}
    smaller = {"A": 100, "B": 50, "C": 50}  # 500 USD: selling A alone pays for it
    assert trades(current, smaller, PRICES, NO_MINIMUM, 0.05) == {"A": -4, "C": 50}


def test_thresholds_that_mean_nothing_are_refused() -> None:
    for minimum, band in (
        (Decimal(-1), 0.0),
        (Decimal("NaN"), 0.0),
        (NO_MINIMUM, -0.1),
        (NO_MINIMUM, float("nan")),
    ):
        with pytest.raises(InvalidInput, match="finite values from 0 up"):
            trades({"A": 1}, {"A": 2}, PRICES, minimum, band)
