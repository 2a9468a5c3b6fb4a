"""The broker's history and live bars against a real gateway process, killed and started again."""

import asyncio
from datetime import timedelta
from threading import Event

import pytest

from models.domain.errors import InvalidInput, RetryLater
from models.domain.sessions import exchange_date, session_on
from tasks.broker.bar_stream import BarStream
from tasks.broker.history import HistoryConnection
from tasks.market_data.ingest import last_completed_session
from tasks.sources import ibkr_history, live_bars
from tasks.sources.backfill import BackfillRequest, backfill, sessions_back
from tasks.sources.instruments import fetch_instruments
from tasks.sources.landing import land
from tasks.sources.live_bars import LiveBarSource
from warehouse.market import MarketWarehouse

pytestmark = pytest.mark.journey
SYMBOLS = ("KO", "JPM")


@pytest.fixture
def store(tmp_path):
    return MarketWarehouse(tmp_path / "w.duckdb", deadline=5.0)


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch):
    monkeypatch.setattr(ibkr_history, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(live_bars, "FIRST_PAUSE", 0.1)


def asks(gateway, client_id=51, kind=HistoryConnection, timeout=None):
    async def connect():
        return await kind.open(
            gateway.address(client_id), timeout or gateway.settings.broker_timeout
        )

    return connect


async def test_a_backfill_is_chunked_resumed_and_adds_nothing_twice(gateway, store):
    now = gateway.now
    last = last_completed_session(now)
    wanted = BackfillRequest(SYMBOLS, "1m", sessions_back(last, 7))
    told = []
    report = await backfill(asks(gateway), store, wanted, lambda: now, told.append, run_id="one")
    assert (report.planned, report.requests, report.left_open) == (4, 4, 0)
    assert report.landing.added == 7 * 390 * len(SYMBOLS), "seven whole sessions of each"
    assert "(4 of 4 windows)" in told[-1]
    again = await backfill(asks(gateway), store, wanted, lambda: now, told.append, run_id="two")
    assert (again.planned, again.requests, again.landing.added) == (0, 0, 0)
    wider = BackfillRequest(SYMBOLS, "1m", sessions_back(last, 8))
    more = await backfill(asks(gateway), store, wider, lambda: now, told.append, run_id="three")
    assert (more.planned, more.landing.added) == (2, 2 * 390), "only the session that was missing"
    failed = r"1 symbols or windows failed \(NOPE: .*others of 2 symbols"
    with pytest.raises(InvalidInput, match=failed):
        other = BackfillRequest(("KO", "NOPE"), "1m", last)
        await backfill(asks(gateway), store, other, lambda: now, told.append, run_id="four")


async def test_five_second_bars_of_a_day_take_several_requests(gateway, store):
    now = gateway.now
    last = last_completed_session(now)
    wanted = BackfillRequest(("KO",), "5s", last)
    report = await backfill(asks(gateway, 52), store, wanted, lambda: now, print, run_id="s")
    assert report.requests == 4
    day = session_on(last)
    bars = store.seconds.bars(["KO"], day.open, day.close)
    assert len(bars) == (day.close - day.open) / timedelta(seconds=5)


async def test_instruments_are_described_with_their_tick_rules(gateway, store):
    connection = await asks(gateway, 53)()
    try:
        with pytest.raises(InvalidInput, match="no US stock NOPE; the other 1 are kept"):
            await fetch_instruments(connection, store, ("KO", "NOPE"), gateway.now, print)
        assert await fetch_instruments(connection, store, ("KO",), gateway.now, print) == 0
    finally:
        await connection.close()
    [instrument] = store.instruments.all()
    assert instrument.con_id and instrument.primary_exchange and instrument.listed
    assert store.instruments.tick_steps("KO")[-1].increment > 0


async def test_a_killed_gateway_loses_and_repeats_no_window(start_gateway, store):
    gateway = start_gateway("killed")
    now = gateway.now
    wanted = BackfillRequest(SYMBOLS, "1m", sessions_back(last_completed_session(now), 20))
    settled: list[tuple[str, object]] = []
    settle = store.history_windows.settle

    def noted(window, state, bars, at, message=""):
        settled.append((window.symbol, window.first))
        settle(window, state, bars, at, message)
        if len(settled) == 2:
            gateway.kill()

    store.history_windows.settle = noted

    def progress(text):
        if "is away" in text and not restarted:
            restarted.append(text)
            gateway.restart()

    restarted: list[str] = []
    report = await backfill(
        asks(gateway, timeout=2.0), store, wanted, lambda: now, progress, run_id="killed"
    )
    assert restarted, "the gateway was away in between"
    assert report.left_open == 0
    assert len(settled) == len(set(settled)) == report.planned == 8
    coverage = store.minutes.coverage()
    assert len(coverage) == 20 * len(SYMBOLS)
    assert (coverage["count"] >= 210).all()

    gateway.kill()
    wider = BackfillRequest(SYMBOLS, "1m", sessions_back(wanted.first, 6), patience=0.2)
    with pytest.raises(RetryLater, match="windows of history are still open"):
        await backfill(asks(gateway), store, wider, lambda: now, lambda _text: None, run_id="gone")
    assert store.history_windows.counts()["1 min", "open"] > 0


async def test_live_bars_are_landed_and_survive_a_lost_connection(gateway, store, into_session):
    async with gateway.clock("live") as clock:
        await into_session(clock)
        began = clock.now()
        links = []

        async def connect():
            links.append(await BarStream.open(gateway.address(54), 5.0))
            return links[-1]

        source = LiveBarSource(connect, clock, SYMBOLS, Event(), wanted=timedelta(minutes=12))
        landed = []

        def progress(text):
            landed.append(text)
            if len(links) == 1 and clock.now() >= began + timedelta(minutes=5):
                asyncio.run_coroutine_threadsafe(links[0].close(), loop)

        loop = asyncio.get_running_loop()
        report = await land(source, store, began, progress, run_id="live", now=clock.now)
        end = clock.now()
    assert len(links) == 2 and source.reconnects == 1
    assert not report.rejected
    day = exchange_date(began)
    minutes = store.minutes.bars(list(SYMBOLS), "1m", day, day)
    minutes = minutes[minutes["ts"] >= began]
    assert len(minutes) >= 11 * len(SYMBOLS)
    assert (minutes.groupby("symbol")["ts"].diff().dropna() == timedelta(minutes=1)).all(), "no gap"
    seconds = store.seconds.bars(["KO"], began, end)
    assert (seconds["ts"].diff().dropna() == timedelta(seconds=5)).all(), "no gap"
    whole = seconds[seconds["ts"].dt.floor("min") == minutes["ts"].iloc[1]]
    assert len(whole) == 12
