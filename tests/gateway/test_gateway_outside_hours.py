"""Pre- and after-market trading in quotes, ticks, bars and schedules, through ib_async."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date

import pytest
from ib_async import IB, LimitOrder, Stock

from gateway.market.bars import daily_bars, intraday_bars, outside_bars, outside_days
from gateway.timeline import SECOND, extended_span, running_stretch, stretches

pytestmark = pytest.mark.journey
KO = Stock("KO", "SMART", "USD", conId=700_000_010)
AFTER = 1 << 60
THURSDAY, HALF_DAY = date(2022, 12, 29), date(2023, 7, 3)


@asynccontextmanager
async def connected(gateway, client_id):
    ib = IB()
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=client_id, timeout=20)
    try:
        yield ib
    finally:
        ib.disconnect()
        await asyncio.sleep(0)


async def until(check, seconds=15):
    for _ in range(int(seconds / 0.01)):
        if check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


@pytest.fixture
async def held(free_gateway, open_control):
    control = await open_control(free_gateway)
    await control.ask("hold")
    return control


async def test_quotes_before_the_open_are_wide_and_an_order_takes_them(free_gateway, held):
    await held.advance("13:00:00")
    async with connected(free_gateway, 41) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        ticker = ib.reqMktData(ko, "233,318")
        await until(lambda: ticker.bid > 0 and ticker.last > 0)
        assert ticker.ask - ticker.bid >= 0.02
        assert ticker.open != ticker.open  # it has not opened yet
        assert ticker.lastRthTrade == ticker.close
        trade = ib.placeOrder(ko, LimitOrder("BUY", 1, ticker.ask, outsideRth=True))
        await until(trade.isDone)
        assert trade.fills[0].execution.price <= ticker.ask
        before = ticker.bid, ticker.ask, ticker.last
        await held.advance("13:20:00")
        await until(lambda: (ticker.bid, ticker.ask, ticker.last) != before)


async def test_ticks_and_five_second_bars_before_the_open(free_gateway, held):
    await held.advance("13:30:00")
    async with connected(free_gateway, 42) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        wide = ib.reqRealTimeBars(ko, 5, "TRADES", False)
        narrow = ib.reqRealTimeBars(ko, 5, "TRADES", True)
        ticker = ib.reqTickByTickData(ko, "AllLast")
        got = []
        ticker.updateEvent += lambda t: got.extend(t.tickByTicks)
        await asyncio.sleep(0.2)
        await held.advance("13:31:00")
        await until(lambda: len(wide) == 12 and got)
        assert list(narrow) == []
        start = "20221229 13:30:00 UTC"
        later = await ib.reqHistoricalTicksAsync(ko, start, "", len(got), "TRADES", False)
        assert [(t.price, t.size) for t in later][: len(got)] == [(t.price, t.size) for t in got]
        regular = await ib.reqHistoricalTicksAsync(ko, start, "", 5, "TRADES", True)
        assert [tick for tick in regular if tick.time.hour < 14] == []


async def test_bars_with_and_without_the_hours_around(free_gateway, held):
    async with connected(free_gateway, 43) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        end = "20221228 23:59:59 US/Eastern"
        wide, narrow = [
            await ib.reqHistoricalDataAsync(ko, end, "1 D", "30 mins", "TRADES", rth, 1)
            for rth in (False, True)
        ]
        assert [(len(wide), len(narrow))] == [(32, 13)]
        assert [f"{bar.date:%H:%M}" for bar in (wide[0], wide[-1])] == ["04:00", "19:30"]
        inner = [bar for bar in wide if "09:30" <= f"{bar.date:%H:%M}" < "16:00"]
        assert inner == list(narrow)
        assert 0 < sum(b.volume for b in wide) - sum(b.volume for b in narrow)
        for size, rth, bars in (("1 day", False, wide), ("1 day", True, narrow)):
            (day,) = await ib.reqHistoricalDataAsync(ko, end, "1 D", size, "TRADES", rth, 1)
            assert (day.open, day.close) == (bars[0].open, bars[-1].close)
            assert (day.high, day.low) == (max(b.high for b in bars), min(b.low for b in bars))
            assert day.volume == sum(bar.volume for bar in bars)
        (same,) = await ib.reqHistoricalDataAsync(ko, end, "3600 S", "1 day", "TRADES", True, 1)
        assert same == day
        for rth, opens in ((False, "04:00:00"), (True, "09:30:00")):
            schedule = await ib.reqHistoricalScheduleAsync(ko, 2, "", rth)
            assert schedule.sessions[0].startDateTime[9:] == opens


async def test_bars_are_kept_up_to_date_after_the_close(free_gateway, held):
    await held.advance("2022-12-29T21:05:00")
    async with connected(free_gateway, 44) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        ask = (ko, "", "1800 S", "1 min", "TRADES")
        live = await ib.reqHistoricalDataAsync(*ask, False, 2, keepUpToDate=True)
        still = await ib.reqHistoricalDataAsync(*ask, True, 2, keepUpToDate=True)
        before, count = len(live), len(still)
        await held.advance("2022-12-29T21:08:30")
        await until(lambda: len(live) >= before + 3)
        assert len(still) == count


@pytest.mark.parametrize("seconds", [30, 60, 3600])
def test_the_parts_of_a_day_add_up(market, seconds):
    ordinal = market.closes.ordinal(THURSDAY)
    wide = outside_bars(market, 9, ordinal, AFTER, seconds)
    paths = [market.path_in(9, span) for span in stretches(THURSDAY)]
    assert sum(bar.volume for bar in wide) == sum(int(path.traded[-1]) for path in paths)
    assert wide[0].start == extended_span(THURSDAY).open
    assert all(
        bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in wide
    )
    seven = market.span(ordinal).open + 3_600 * SECOND
    early = outside_bars(market, 9, ordinal, seven, seconds)
    assert early[:-1] == wide[: len(early) - 1]
    assert len(intraday_bars(market, 9, ordinal, AFTER, seconds)) < len(wide)


def test_weeks_hold_the_hours_around_too(market):
    end = market.closes.ordinal(date(2022, 12, 28)) + 1
    days = outside_days(market, 9, end - 5, end, AFTER)
    inner = daily_bars(market, 9, end - 5, end, AFTER)
    assert [bar.day for bar in days] == [bar.day for bar in inner]
    for wide, narrow in zip(days, inner, strict=True):
        assert wide.low <= narrow.low < narrow.high <= wide.high
        assert wide.volume > narrow.volume
    assert outside_days(market, 9, end, end + 1, extended_span(THURSDAY).open) == []


def test_a_half_day_ends_its_trading_at_five(market):
    pre, regular, after = stretches(HALF_DAY)
    hours = [(span.close - span.open) / SECOND / 3600 for span in (pre, regular, after)]
    assert hours == [5.5, 3.5, 4.0]
    assert running_stretch(after.close) is None
    assert running_stretch(after.close - 1) == after
    assert stretches(date(2023, 7, 4)) == ()
