"""Faults of what the gateway answers: ends, acknowledgements, statuses, delays."""

import asyncio
from datetime import timedelta

import pytest

pytestmark = pytest.mark.journey

OPEN_ORDER, STATUS, EXECUTION = "5", "3", "11"


async def test_withheld_end(ib, market):
    await market.fault("withhold-end", end_message="openOrderEnd")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ib.reqAllOpenOrdersAsync(), 0.3)
    ib.wrapper._results.clear()
    ib.wrapper._futures.clear()
    assert await asyncio.wait_for(ib.reqAllOpenOrdersAsync(), 5) == []


async def test_dropped_acknowledgement(ib, market):
    await market.fault("drop-ack")
    trade = ib.far()
    await ib.flushed()
    assert ib.of(OPEN_ORDER, STATUS) == []
    assert trade.orderStatus.status == "PendingSubmit"
    ib.cancelOrder(trade.order)
    await ib.until(lambda: trade.orderStatus.status == "Cancelled")
    other = ib.far()
    await ib.until(lambda: other.orderStatus.status == "Submitted")
    ib.cancelOrder(other.order)
    await ib.until(other.isDone)


async def test_late_acknowledgement(ib, market):
    await market.fault("late-ack", ms=200)
    ib.buy(10)
    await ib.until(lambda: ib.of(OPEN_ORDER))
    assert ib.heard.index(ib.of(EXECUTION)[0]) < ib.heard.index(ib.of(OPEN_ORDER)[0])


async def test_duplicate_status(ib, market):
    await market.fault("duplicate-status", copies=3)
    trade = await ib.filled()
    await ib.flushed()
    told = [fields for fields in ib.of(STATUS) if fields[2] == "Filled"]
    assert len(told) == 3
    assert trade.orderStatus.status == "Filled"


async def test_missing_status(ib, market):
    await market.fault("missing-status")
    trade = await ib.filled()
    await ib.flushed()
    assert [fields[2] for fields in ib.of(STATUS)].count("Filled") == 0
    assert trade.fills


async def test_slow_responses_keep_their_order(ib, market):
    await market.fault("slow-responses", ms=100, jitter=90)
    started = asyncio.get_running_loop().time()
    trade = ib.far()
    await ib.until(lambda: trade.orderStatus.status == "Submitted")
    assert asyncio.get_running_loop().time() - started > 0.005
    ib.cancelOrder(trade.order)
    await ib.until(trade.isDone)
    assert [fields[0] for fields in ib.of(OPEN_ORDER, STATUS)][:2] == [OPEN_ORDER, STATUS]


async def test_clock_skew(ib, market):
    right = await ib.flushed()
    await market.fault("clock-skew", seconds=-90)
    assert await ib.flushed() == right - timedelta(seconds=90)


async def test_slow_responses_cleared_keep_their_order(ib, market):
    await market.fault("slow-responses", ms=3000, jitter=0)
    trade = ib.far()
    ib.reqGlobalCancel()
    await asyncio.sleep(0.05)
    assert ib.of(OPEN_ORDER, STATUS) == []
    await market.control.ask("clear-faults")
    await ib.until(trade.isDone)
    assert [fields[2] for fields in ib.of(STATUS)] == ["Submitted", "Cancelled"]


async def test_missing_status_of_an_unknown_name_is_refused(market):
    reply = await market.control.raw("fault", fault="missing-status", params={"status": "Fillde"})
    assert not reply["ok"]
    assert "PreSubmitted, Submitted, Filled, Cancelled, Inactive" in reply["error"]
