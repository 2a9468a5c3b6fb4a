from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from models.domain.corporate_actions import (
    ActionKind,
    Adjustment,
    CorporateAction,
    PriceBasis,
)
from models.domain.errors import InvalidInput
from warehouse.market import MarketWarehouse
from warehouse.market.bars import MergeResult

NOW = datetime(2024, 1, 5, 22, 0, tzinfo=UTC)
DAYS = [date(2024, 1, day) for day in (2, 3, 4, 5)]
COLUMNS = ["symbol", "session", "open", "high", "low", "close", "volume"]


@pytest.fixture
def warehouse(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "state" / "warehouse.duckdb", deadline=5)


def bars(*symbols: str, days: list[date] = DAYS) -> pd.DataFrame:
    rows = [
        (symbol, day, 10.1 + n, 11.3 + n, 9.7 + n, 10.0 + n + 1 / 3, 1000 + n)
        for day in days
        for n, symbol in enumerate(symbols)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_an_empty_warehouse_answers(warehouse: MarketWarehouse) -> None:
    frame = warehouse.bars.daily()
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 0
    assert warehouse.bars.last_sessions() == {}
    assert len(warehouse.bars.coverage()) == 0
    assert warehouse.path.is_file()
    warehouse.check()


def test_bars_come_back_exactly_and_sorted(warehouse: MarketWarehouse) -> None:
    given = bars("AAPL", "MSFT")
    result = warehouse.bars.merge_daily(given.sample(frac=1, random_state=3), "gateway", NOW)
    assert result == MergeResult(added=8, changed=0, unchanged=0)
    found = warehouse.bars.daily()
    pd.testing.assert_frame_equal(found, given)
    assert type(found["session"].iloc[0]) is date
    assert [str(found[name].dtype) for name in COLUMNS[2:]] == ["float64"] * 4 + ["int64"]


def test_merging_again_adds_nothing(warehouse: MarketWarehouse) -> None:
    warehouse.bars.merge_daily(bars("AAPL"), "gateway", NOW)
    before = warehouse.bars.content_hash()
    later = warehouse.bars.merge_daily(bars("AAPL"), "elsewhere", NOW + timedelta(days=1))
    assert later == MergeResult(added=0, changed=0, unchanged=4)
    assert warehouse.bars.content_hash() == before
    assert len(warehouse.bars.history()) == 0


def test_a_revision_overwrites_and_keeps_the_old_row(warehouse: MarketWarehouse) -> None:
    warehouse.bars.merge_daily(bars("AAPL"), "gateway", NOW)
    revised = bars("AAPL", days=[*DAYS, date(2024, 1, 8)])
    revised.loc[revised["session"] == DAYS[1], ["close", "volume"]] = [10.9, 77]
    later = NOW + timedelta(days=3)
    result = warehouse.bars.merge_daily(revised, "vendor", later)
    assert result == MergeResult(added=1, changed=1, unchanged=3)
    assert warehouse.bars.daily(first=DAYS[1], last=DAYS[1])["close"].tolist() == [10.9]
    (old,) = warehouse.bars.history().to_dict("records")
    assert (old["session"], old["close"], old["volume"]) == (DAYS[1], 10.0 + 1 / 3, 1000)
    assert (old["source"], old["known_at"], old["replaced_at"]) == ("gateway", NOW, later)


def test_reads_are_narrowed_by_symbol_and_session(warehouse: MarketWarehouse) -> None:
    warehouse.bars.merge_daily(bars("AAPL", "KO", "MSFT"), "gateway", NOW)
    daily = warehouse.bars.daily
    assert daily(["KO", "XOM"])["symbol"].unique().tolist() == ["KO"]
    assert daily(first=DAYS[2])["session"].unique().tolist() == DAYS[2:]
    assert daily(["AAPL"], DAYS[0], DAYS[1])["session"].tolist() == DAYS[:2]
    assert len(daily([])) == 0


def test_coverage_and_last_sessions(warehouse: MarketWarehouse) -> None:
    frame = pd.concat([bars("AAPL"), bars("KO", days=DAYS[:2])])
    warehouse.bars.merge_daily(frame, "gateway", NOW)
    assert warehouse.bars.last_sessions() == {"AAPL": DAYS[3], "KO": DAYS[1]}
    assert warehouse.bars.coverage().to_dict("records") == [
        {"symbol": "AAPL", "first": DAYS[0], "last": DAYS[3], "count": 4},
        {"symbol": "KO", "first": DAYS[0], "last": DAYS[1], "count": 2},
    ]


def test_the_content_hash_knows_content_not_order(tmp_path: Path) -> None:
    one, two, other = (MarketWarehouse(tmp_path / f"{n}.duckdb") for n in range(3))
    one.bars.merge_daily(bars("AAPL", "KO"), "gateway", NOW)
    for symbol in ("KO", "AAPL"):
        part = bars("AAPL", "KO")
        part = part[part["symbol"] == symbol]
        two.bars.merge_daily(part.iloc[::-1], "vendor", NOW + timedelta(days=1))
    changed = bars("AAPL", "KO")
    changed.loc[0, "volume"] += 1
    other.bars.merge_daily(changed, "gateway", NOW)
    assert one.bars.content_hash() == two.bars.content_hash() != other.bars.content_hash()


def test_an_empty_batch_is_nothing(warehouse: MarketWarehouse) -> None:
    assert warehouse.bars.merge_daily(bars(), "gateway", NOW) == MergeResult(0, 0, 0)


def test_bad_batches_are_refused_whole(warehouse: MarketWarehouse) -> None:
    good = bars("AAPL")
    warehouse.bars.merge_daily(good, "gateway", NOW)
    before = warehouse.bars.content_hash()
    cases = [
        (good.drop(columns="low"), "lack low"),
        (good.assign(close=[1.0, 2.0, None, 4.0]), "empty values in close"),
        (pd.concat([good, good.head(1)]), "AAPL on 2024-01-02 is given twice"),
        (good.assign(close="ten"), "wrong kind"),
        (good.assign(volume=1.5), "wrong kind"),
    ]
    for frame, says in cases:
        with pytest.raises(InvalidInput, match=says):
            warehouse.bars.merge_daily(frame, "gateway", NOW)
    with pytest.raises(InvalidInput, match="timezone"):
        warehouse.bars.merge_daily(good, "gateway", NOW.replace(tzinfo=None))
    assert warehouse.bars.content_hash() == before


def test_what_a_bar_is_adjusted_by_does_not_depend_on_the_sessions_read(
    warehouse: MarketWarehouse,
) -> None:
    frame = bars("KO")
    frame["close"] = [10.0, 10.0, 20.0, 20.0]
    warehouse.bars.merge_daily(frame, "file", NOW)
    paid = CorporateAction("KO", DAYS[3], ActionKind.DIVIDEND, 5.0)
    warehouse.actions.merge([paid], "file", NOW)
    whole = warehouse.bars.adjusted(on=DAYS[3], adjustment=Adjustment.TOTAL_RETURN)
    assert whole["close"].tolist() == [7.5, 7.5, 15.0, 20.0], "5 USD of 20"
    part = warehouse.bars.adjusted(on=DAYS[3], last=DAYS[1], adjustment=Adjustment.TOTAL_RETURN)
    pd.testing.assert_frame_equal(part, whole.head(2))


def test_what_a_vendor_put_in_is_taken_out_alike_in_every_window(
    warehouse: MarketWarehouse,
) -> None:
    raw = [100.0, 100.0, 200.0, 200.0]
    frame = bars("KO")
    for name in ("open", "high", "low", "close"):
        frame[name] = [price * 0.95 for price in raw[:3]] + raw[3:]
    warehouse.bars.merge_daily(frame.head(2), "vendor", NOW)
    warehouse.bars.merge_daily(frame.tail(2).assign(close=raw[2:]), "file", NOW)
    warehouse.actions.merge([CorporateAction("KO", DAYS[3], ActionKind.DIVIDEND, 10.0)], "x", NOW)
    warehouse.actions.set_bases({"KO": PriceBasis(DAYS[3], DAYS[3])}, "vendor", NOW)
    for place, last in enumerate(DAYS[:4]):
        seen = warehouse.bars.adjusted(["KO"], last=last, on=last)["close"].tolist()
        assert seen == pytest.approx(raw[: place + 1]), "10 USD of 200, whoever brought the 200"
