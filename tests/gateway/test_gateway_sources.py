"""Markets replayed from files: exact where the file speaks, simulated where it does not."""

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gateway.market.bars import daily_bars, intraday_bars
from gateway.market.market import Market
from gateway.market.replay import Replay
from gateway.market.sources import open_source, read_choice
from gateway.market.universe import BY_SYMBOL
from gateway.timeline import to_micros
from models.domain.errors import InvalidInput
from models.domain.sessions import at_exchange_time

DAILY = """symbol,session,open,high,low,close,volume
KO,2021-03-01,50.10,50.90,49.80,50.40,1000000
KO,2021-03-02,50.50,51.20,50.20,51.00,1200000
KO,2021-03-03,51.10,51.30,50.05,50.15,900000
NEWCO,2021-03-01,10,11,9.5,10.5,300000
NEWCO,2021-03-03,10.5,10.75,10.25,10.6,310000
"""
AFTER = to_micros(at_exchange_time(date(2021, 3, 3), 18))


def minute_file(folder):
    rows = []
    for day in (1, 2):
        for minute in range(390):
            price = round(20 + day + 0.01 * (minute % 37), 2)
            stamp = f"2021-03-0{day} {9 + (30 + minute) // 60:02d}:{(30 + minute) % 60:02d}:00"
            rows.append(
                ("ABCD", stamp, price, price + 0.03, price - 0.02, price + 0.01, 500 + minute)
            )
    frame = pd.DataFrame(rows, columns=["symbol", "time", "open", "high", "low", "close", "volume"])
    frame = frame.drop(index=[5, 6])  # two minutes without a trade
    path = folder / "minutes.parquet"
    frame.to_parquet(path)
    return path, frame


@pytest.fixture
def daily_market(tmp_path):
    path = tmp_path / "days.csv"
    path.write_text(DAILY)
    return Market(7, source=Replay(7, path))


def test_daily_bars_are_the_file_s(daily_market):
    ko = BY_SYMBOL["KO"].column
    bars = daily_bars(daily_market, ko, 0, 3, AFTER)
    cells = [(b.open, b.high, b.low, b.close, b.volume) for b in bars]
    assert cells[0] == (50.10, 50.90, 49.80, 50.40, 1_000_000)
    assert cells[2] == (51.10, 51.30, 50.05, 50.15, 900_000)
    new = BY_SYMBOL["NEWCO"].column
    assert daily_market.source.listed == {ko, new}
    missing = daily_bars(daily_market, new, 1, 2, AFTER)[0]
    assert (missing.close, missing.volume) == (10.5, 0)


@pytest.mark.parametrize("ordinal", [0, 1, 2])
def test_minutes_inside_a_daily_bar_reach_its_extremes(daily_market, ordinal):
    ko = BY_SYMBOL["KO"].column
    (day,) = daily_bars(daily_market, ko, ordinal, ordinal + 1, AFTER)
    bars = intraday_bars(daily_market, ko, ordinal, AFTER, 60)
    assert (bars[0].open, bars[-1].close) == (day.open, day.close)
    assert max(bar.high for bar in bars) == day.high
    assert min(bar.low for bar in bars) == day.low
    assert sum(bar.volume for bar in bars) == day.volume
    path = daily_market.path(ko, ordinal)
    assert (path.mid >= day.low).all()
    assert (path.mid <= day.high).all()


def test_minute_bars_are_the_file_s_and_gaps_repeat_the_close(tmp_path):
    path, frame = minute_file(tmp_path)
    market = Market(7, source=Replay(7, path))
    column = BY_SYMBOL["ABCD"].column
    bars = intraday_bars(market, column, 1, AFTER, 60)
    second = frame[frame["time"].str.startswith("2021-03-02")]
    assert [b.close for b in bars] == second["close"].tolist()
    assert [b.open for b in bars] == second["open"].tolist()
    assert [b.high for b in bars] == second["high"].tolist()
    assert [b.volume for b in bars] == second["volume"].tolist()
    first = intraday_bars(market, column, 0, AFTER, 60)
    assert (first[5].close, first[5].volume) == (first[4].close, 0)
    assert market.book_of(column, market.span(1)).top(market.span(1).open + 10**9).bid > 0


def test_sessions_after_the_file_go_on_from_its_last_close(daily_market):
    ko = BY_SYMBOL["KO"].column
    later = daily_market.closes.ordinal(date(2021, 4, 1))
    closes = daily_market.closes.column(ko, 2, later + 1)
    assert closes[0] == 50.15
    assert (np.abs(np.diff(np.log(closes))) < 0.2).all()
    assert len(set(closes.tolist())) > 5
    again = Market(7, source=daily_market.source)
    assert again.days(ko, 0, later).close[-1] == daily_market.days(ko, 0, later).close[-1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("volume\n", "vol\n"), "column volume is missing"),
        (("50.50,51.20", "fifty,51.20"), "row 2, column open"),
        (("51.10,51.30", "51.10,50.90"), "row 3, column high"),
        (("10.5,10.75,10.25", "10.5,10.75,10.55"), "row 5, column low"),
        (("50.10,50.90", "-1,50.90"), "row 1, column open"),
        (("KO,2021-03-02", "KO,2021-03-01"), "row 2, column session"),
        (("KO,2021-03-02", "KO,2021-03-06"), "closed on 2021-03-06"),
        (("KO,2021-03-02", "KO,soon"), "row 2, column session"),
        (("NEWCO,2021-03-01", ",2021-03-01"), "row 4, column symbol"),
    ],
)
def test_a_bad_file_is_refused_with_its_row_and_column(tmp_path, change, says):
    path = tmp_path / "bad.csv"
    text = DAILY.replace(*change)
    assert text != DAILY
    path.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        Replay(7, path)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "noise.parquet"
    path.write_bytes(b"no parquet at all")
    with pytest.raises(InvalidInput, match="cannot be read"):
        open_source(read_choice(f"bars:{path}"), 7)
    empty = tmp_path / "empty.csv"
    empty.write_text(DAILY.partition("\n")[0] + "\n")
    with pytest.raises(InvalidInput, match="no rows"):
        open_source(read_choice(f"bars:{empty}"), 7)


REAL = Path(os.environ.get("ROBO_TEST_DATA", "nowhere")) / "us_equity_1min.parquet"


@pytest.mark.skipif(not REAL.is_file(), reason="set ROBO_TEST_DATA to the folder of real data")
def test_real_minute_bars_replay_exactly():
    market = Market(7, source=Replay(7, REAL))
    frame = pd.read_parquet(REAL)
    frame["day"] = frame["ts_ny"].dt.date
    checked = 0
    for (symbol, day), all_rows in frame.groupby(["symbol", "day"]):
        minute = all_rows["ts_ny"].dt.hour * 60 + all_rows["ts_ny"].dt.minute
        column, ordinal = BY_SYMBOL[symbol].column, market.closes.ordinal(day)
        inside = (minute >= 570) & (minute < 570 + market.span(ordinal).minutes)
        rows = all_rows[inside]
        if rows.empty:
            continue
        bars = intraday_bars(market, column, ordinal, market.span(ordinal).close, 60)
        assert sum(bar.volume for bar in bars) == rows["volume"].sum()
        traded = [bar.close for bar in bars if bar.volume]
        assert traded == rows[rows["volume"] > 0]["close"].tolist()
        assert bars[-1].close == rows["close"].iloc[-1]
        checked += 1
    assert checked > 20


def test_a_gateway_plays_a_file_to_a_client(tmp_path, start_gateway):
    path = tmp_path / "days.csv"
    path.write_text(DAILY)
    gateway = start_gateway(tmp_path / "state", "--source", f"bars:{path}", "--clock", "step")
    assert "2021-03-02 13:00:00" in gateway.line
    gateway.stop()
