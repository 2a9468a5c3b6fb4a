"""Adjusted prices: a split or a dividend makes no return, and raw bars stay as they are."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.domain.corporate_actions import (
    ActionKind,
    Adjustment,
    CorporateAction,
    shares_after,
)
from models.features.adjustment import adjust_bars

EX = date(2020, 8, 31)
SPLIT = CorporateAction("A", EX, ActionKind.SPLIT, 4.0)
PAID = CorporateAction("A", date(2020, 8, 29), ActionKind.DIVIDEND, 8.0)


def _bars(closes: list[float], source: str = "file") -> pd.DataFrame:
    days = [date(2020, 8, 28) + timedelta(days=place) for place in range(len(closes))]
    frame = pd.DataFrame({"symbol": "A", "session": days, "close": closes})
    return frame.assign(
        open=frame["close"], high=frame["close"], low=frame["close"], volume=1000, source=source
    )


RAW = _bars([400.0, 392.0, 396.0, 100.0, 101.0])  # 28, 29 (ex 8 USD), 30, 31 (4:1), 1


def closes(adjusted: pd.DataFrame) -> list[float]:
    return adjusted["close"].tolist()


def test_a_split_makes_no_return_from_its_ex_date_on():
    before = adjust_bars(RAW, [SPLIT], {}, EX - timedelta(days=1), Adjustment.SPLITS)
    assert closes(before) == RAW["close"].tolist()
    after = adjust_bars(RAW, [SPLIT], {}, EX, Adjustment.SPLITS)
    assert closes(after) == [100.0, 98.0, 99.0, 100.0, 101.0]
    assert after["volume"].tolist() == [4000, 4000, 4000, 1000, 1000]
    assert RAW["close"].iloc[0] == 400.0


def test_a_dividend_counts_in_the_total_return_only():
    assert closes(adjust_bars(RAW, [PAID, SPLIT], {}, EX, Adjustment.SPLITS))[0] == 100.0
    total = closes(adjust_bars(RAW, [PAID, SPLIT], {}, EX, Adjustment.TOTAL_RETURN))
    assert total == pytest.approx([98.0, 98.0, 99.0, 100.0, 101.0])


def test_prices_that_hold_a_split_already_are_not_divided_twice():
    given = RAW.assign(close=[100.0, 98.0, 99.0, 100.0, 101.0], source="ibkr")
    bases = {("A", "ibkr"): EX}
    assert closes(adjust_bars(given, [SPLIT], bases, EX, Adjustment.SPLITS)) == closes(given)
    total = closes(adjust_bars(given, [PAID, SPLIT], bases, EX, Adjustment.TOTAL_RETURN))
    assert total == pytest.approx([98.0, 98.0, 99.0, 100.0, 101.0]), "8 USD of 400, not of 100"


def test_a_later_split_that_a_source_has_put_into_its_prices_is_taken_out_again():
    given = RAW.assign(close=[100.0, 98.0, 99.0, 100.0, 101.0], source="ibkr")[:3]
    bases, day = {("A", "ibkr"): EX}, EX - timedelta(days=1)
    then = adjust_bars(given, [PAID, SPLIT], bases, day, Adjustment.SPLITS)
    assert closes(then) == [400.0, 392.0, 396.0], "the shares of the day have not been split"
    assert then["volume"].tolist() == [250, 250, 250]
    total = closes(adjust_bars(given, [PAID, SPLIT], bases, day, Adjustment.TOTAL_RETURN))
    assert total == pytest.approx([392.0, 392.0, 396.0])
    before = adjust_bars(given, [PAID], bases, PAID.ex_date - timedelta(1), Adjustment.TOTAL_RETURN)
    assert closes(before) == closes(given), "no dividend before its ex-date"


def test_a_dividend_above_the_price_is_no_factor():
    absurd = CorporateAction("A", EX, ActionKind.DIVIDEND, 500.0)
    assert closes(adjust_bars(RAW, [absurd], {}, EX, Adjustment.TOTAL_RETURN)) == closes(RAW)


def test_other_symbols_and_raw_are_left_alone():
    other = adjust_bars(RAW.assign(symbol="B"), [SPLIT], {}, EX, Adjustment.SPLITS)
    assert closes(other) == closes(RAW)
    assert closes(adjust_bars(RAW, [SPLIT], {}, EX, Adjustment.RAW)) == closes(RAW)
    assert np.array_equal(adjust_bars(RAW[:0], [SPLIT], {}, EX, Adjustment.SPLITS), RAW[:0])


def test_shares_follow_the_exact_ratio():
    half = CorporateAction("A", EX, ActionKind.SPLIT, 1.5)
    reverse = CorporateAction("A", EX, ActionKind.SPLIT, 1 / 3)
    assert shares_after(101, [half]) == 151.5
    assert shares_after(-300, [reverse]) == -100
    assert shares_after(7, [PAID]) == 7
