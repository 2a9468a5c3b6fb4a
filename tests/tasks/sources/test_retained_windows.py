"""Sessions whose bars retention dropped are fetched again when asked for, and no others."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from models.domain.sessions import session_dates, session_on
from tasks.sources.backfill import BackfillReport, BackfillRequest, backfill
from tasks.sources.windows import bar_size, plan_windows
from warehouse.market import MarketWarehouse
from warehouse.market.history_windows import HistoryWindow, WindowState
from warehouse.market.maintenance import retain_market

SATURDAY = datetime(2024, 1, 13, 12, 0, tzinfo=UTC)
DAYS = session_dates(date(2024, 1, 5), date(2024, 1, 12))
STEPS = {"1 min": timedelta(minutes=1), "5 secs": timedelta(seconds=5)}


class Broker:
    """A connection that has every bar: at 60 USD, 100 shares."""

    async def intraday_bars(
        self, symbol: str, size: str, end: datetime, duration: str
    ) -> pd.DataFrame:
        count, unit = duration.split()
        last = DAYS.index(end.date())
        begin = (
            session_on(DAYS[last + 1 - int(count)]).open
            if unit == "D"
            else end - timedelta(seconds=int(count))
        )
        parts = []
        for session in map(session_on, DAYS):
            first, close = max(begin, session.open), min(end, session.close)
            if first < close:
                ts = pd.date_range(first, close, freq=STEPS[size], inclusive="left")
                parts.append(pd.DataFrame({"symbol": symbol, "ts": ts, "open": 60.0, "high": 60.0}))
        return pd.concat(parts, ignore_index=True).assign(low=60.0, close=60.0, volume=100)

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def store(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "warehouse.duckdb", deadline=5)


async def ask(store: MarketWarehouse, timeframe: str, first: date, last: date) -> BackfillReport:
    async def connect() -> Broker:
        return Broker()

    wanted = BackfillRequest(("KO",), timeframe, first, last)
    return await backfill(connect, store, wanted, lambda: SATURDAY, lambda _: None, run_id="run")


def retain(store: MarketWarehouse, before: date) -> None:
    retain_market(store.store, before, None, True, lambda _text: None)


def planned(store: MarketWarehouse, first: date, last: date) -> list[tuple[date, date]]:
    """What a backfill of minutes of [first, last] would ask for."""
    size = bar_size("1m")
    found = plan_windows(
        ["KO"], size, first, last, lambda symbol: store.history_windows.covered(symbol, size.name)
    )
    return [(window.first, window.last) for window in found]


async def minutes(store: MarketWarehouse) -> None:
    """Store the minutes of three sessions."""
    bars = await Broker().intraday_bars("KO", "1 min", session_on(DAYS[2]).close, "3 D")
    store.minutes.merge(bars, "ibkr", SATURDAY)


async def test_a_window_that_retention_cuts_is_planned_again_for_what_was_dropped(
    store: MarketWarehouse,
) -> None:
    await minutes(store)
    whole = HistoryWindow("KO", bar_size("1m").name, DAYS[0], DAYS[2])
    store.history_windows.plan([whole], SATURDAY)
    store.history_windows.settle(whole, WindowState.DONE, 1170, SATURDAY)
    assert planned(store, DAYS[0], DAYS[2]) == []
    retain(store, DAYS[1])
    assert planned(store, DAYS[1], DAYS[2]) == [], "these are there"
    assert planned(store, DAYS[0], DAYS[2]) == [(DAYS[0], DAYS[0])]
    assert store.history_windows.counts() == {("1 min", "done"): 1}
    retain(store, DAYS[1])
    assert planned(store, DAYS[1], DAYS[2]) == [], "once more changes nothing"


async def test_dropped_five_second_bars_are_fetched_again(store: MarketWarehouse) -> None:
    await ask(store, "5s", DAYS[0], DAYS[0])
    await ask(store, "5s", DAYS[1], DAYS[1])
    retain(store, DAYS[1])
    assert (await ask(store, "5s", DAYS[1], DAYS[1])).requests == 0, "these are there"
    assert (await ask(store, "5s", DAYS[0], DAYS[0])).requests == 4
    (row,) = store.seconds.coverage().to_dict("records")
    assert row["count"] == 2 * 6.5 * 720 and row["first"].date() == DAYS[0]


async def test_windows_that_overlap_are_cut_to_one(store: MarketWarehouse) -> None:
    await minutes(store)
    of = store.history_windows
    spans = ((0, 3), (1, 4), (3, 5))
    of.plan([HistoryWindow("PEP", "1 min", DAYS[a], DAYS[b]) for a, b in spans], SATURDAY)
    of.plan([HistoryWindow("KO", "1d", DAYS[0], DAYS[-1])], SATURDAY)
    retain(store, DAYS[2])
    left = [(window.first, window.last) for window in of.covered("PEP", "1 min")]
    assert left == [(DAYS[2], DAYS[4]), (DAYS[3], DAYS[5])]
    retain(store, DAYS[3])
    left = [(window.first, window.last) for window in of.covered("PEP", "1 min")]
    assert left == [(DAYS[3], DAYS[5])]
    assert [window.first for window in of.covered("KO", "1d")] == [DAYS[0]], "no daily bar goes"
