"""Whose a ticker is on the day of a row, and what an instrument is called at the broker now."""

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from models.domain.instruments import Instrument, SymbolSpan
from models.domain.sessions import at_exchange_time
from tasks.sources.backfill import present_tickers
from tasks.sources.tickers import TickerBook
from warehouse.market import MarketWarehouse

RENAMED = date(2022, 6, 9)
SPANS = (
    SymbolSpan("META", "FB", date(2012, 5, 18), RENAMED),
    SymbolSpan("META", "META", RENAMED),
    SymbolSpan("METV", "META", date(2021, 6, 30), date(2022, 1, 31)),
    SymbolSpan("METV", "METV", date(2022, 1, 31)),
    SymbolSpan("TWX", "AOL", valid_to=date(2003, 10, 16)),
    SymbolSpan("TWX", "TWX", date(2003, 10, 16), date(2018, 6, 15)),
)


@pytest.mark.parametrize(
    ("ticker", "day", "owner"),
    [
        ("FB", date(2022, 6, 8), "META"),
        ("FB", RENAMED, None),
        ("META", RENAMED, "META"),
        ("META", date(2022, 6, 8), None),
        ("META", date(2022, 1, 30), "METV"),
        ("META", date(2022, 1, 31), None),
        ("METV", date(2022, 1, 31), "METV"),
    ],
)
def test_a_daily_row_is_of_who_had_its_ticker_that_day(ticker, day, owner) -> None:
    rows = pd.DataFrame({"symbol": [f" {ticker.lower()} "], "session": [day]})
    known, foreign, why = TickerBook(SPANS, register=True).resolve(rows)
    assert known["symbol"].tolist() == ([owner] if owner else [])
    reasons = () if owner else (f"{ticker} was no instrument's symbol on that date",)
    assert why == reasons and len(foreign) == len(reasons)


def test_a_minute_of_the_evening_is_of_the_new_york_day() -> None:
    evening = at_exchange_time(date(2022, 6, 8), 20, 30)  # the 9th in UTC
    rows = pd.DataFrame({"symbol": ["FB", "FB"], "ts": [evening, at_exchange_time(RENAMED, 4)]})
    known, foreign, _ = TickerBook(SPANS, register=True).resolve(rows)
    assert known["ts"].tolist() == [evening] and len(foreign) == 1


def test_the_broker_is_asked_by_the_name_of_today(tmp_path) -> None:
    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    now = datetime(2024, 1, 2, tzinfo=UTC)
    store.instruments.merge([Instrument("KO"), Instrument("OLD")], "file", now)
    spans = [*SPANS, SymbolSpan("OLD", "OLD", valid_to=RENAMED), SymbolSpan("OLD", "NEW", RENAMED)]
    store.instruments.set_spans(spans, "file", now)
    assert present_tickers(store) == {"OLD": "NEW"}
