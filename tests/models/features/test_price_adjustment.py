"""Adjusted prices: a split or a dividend makes no return, and raw bars stay as they are."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.corporate_actions import (
    ActionKind,
    Adjustment,
    CorporateAction,
    PriceBasis,
    shares_after,
)
from models.features.adjustment import adjust_bars, as_traded

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
    bases = {("A", "ibkr"): PriceBasis(EX)}
    assert closes(adjust_bars(given, [SPLIT], bases, EX, Adjustment.SPLITS)) == closes(given)
    total = closes(adjust_bars(given, [PAID, SPLIT], bases, EX, Adjustment.TOTAL_RETURN))
    assert total == pytest.approx([98.0, 98.0, 99.0, 100.0, 101.0]), "8 USD of 400, not of 100"


def test_a_later_split_that_a_source_has_put_into_its_prices_is_taken_out_again():
    given = RAW.assign(close=[100.0, 98.0, 99.0, 100.0, 101.0], source="ibkr")[:3]
    bases, day = {("A", "ibkr"): PriceBasis(EX)}, EX - timedelta(days=1)
    then = adjust_bars(given, [PAID, SPLIT], bases, day, Adjustment.SPLITS)
    assert closes(then) == [400.0, 392.0, 396.0], "the shares of the day have not been split"
    assert then["volume"].tolist() == [250, 250, 250]
    total = closes(adjust_bars(given, [PAID, SPLIT], bases, day, Adjustment.TOTAL_RETURN))
    assert total == pytest.approx([392.0, 392.0, 396.0])
    before = adjust_bars(given, [PAID], bases, PAID.ex_date - timedelta(1), Adjustment.TOTAL_RETURN)
    assert closes(before) == closes(given), "no dividend before its ex-date"


def test_dividends_that_a_source_has_put_into_its_prices_are_taken_out_and_counted_once():
    raw_total = closes(adjust_bars(RAW, [PAID, SPLIT], {}, EX, Adjustment.TOTAL_RETURN))
    vendor = RAW.assign(close=raw_total, source="vendor")
    bases = {("A", "vendor"): PriceBasis(EX, EX)}
    told = [PAID, SPLIT]
    again = adjust_bars(vendor, told, bases, EX, Adjustment.TOTAL_RETURN)
    assert closes(again) == pytest.approx(raw_total)
    assert closes(adjust_bars(vendor, told, bases, EX, Adjustment.SPLITS)) == pytest.approx(
        [100.0, 98.0, 99.0, 100.0, 101.0]
    )
    assert closes(as_traded(vendor, told, bases)) == pytest.approx(RAW["close"].tolist())
    day = PAID.ex_date - timedelta(1)
    before = adjust_bars(vendor, told, bases, day, Adjustment.TOTAL_RETURN)
    assert closes(before)[:3] == pytest.approx([400.0, 392.0, 396.0]), "nothing was paid yet"


@settings(max_examples=20, deadline=None)
@given(
    closes_of=st.lists(st.floats(5, 500), min_size=8, max_size=8),
    ratio=st.sampled_from([0.1, 0.5, 1.5, 2.0, 20.0]),
    split_on=st.integers(1, 7),
    paid_on=st.lists(st.integers(1, 7), max_size=4, unique=True),
    share=st.floats(0.001, 0.3),
)
def test_what_a_vendor_put_in_comes_out_again(closes_of, ratio, split_on, paid_on, share):
    raw = _bars(closes_of)
    days = raw["session"].tolist()
    actions = [CorporateAction("A", days[split_on], ActionKind.SPLIT, ratio)]
    actions += [
        CorporateAction("A", days[at], ActionKind.DIVIDEND, share * closes_of[at - 1])
        for at in paid_on
    ]
    for kind, paid in ((Adjustment.SPLITS, None), (Adjustment.TOTAL_RETURN, days[-1])):
        vendor = adjust_bars(raw, actions, {}, days[-1], kind).assign(source="vendor")
        bases = {("A", "vendor"): PriceBasis(days[-1], paid)}
        assert closes(as_traded(vendor, actions, bases)) == pytest.approx(closes_of)
        for day in (days[0], days[4], days[-1]):
            for view in (Adjustment.SPLITS, Adjustment.TOTAL_RETURN):
                of_vendor = adjust_bars(vendor, actions, bases, day, view)
                assert closes(of_vendor)[: days.index(day) + 1] == pytest.approx(
                    closes(adjust_bars(raw, actions, {}, day, view))[: days.index(day) + 1]
                )


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
