"""Faults of the line, of data and of the login."""

import asyncio

import pytest

pytestmark = pytest.mark.journey

STATUS, ERROR, EXECUTION, PRICE = "3", "4", "11", "1"


async def test_client_id_in_use_326(shared_gateway, market, client, client_class):
    await market.fault("client-id-in-use")
    refused = client_class()
    with pytest.raises((ConnectionError, TimeoutError)):
        await refused.start(shared_gateway, timeout=1)
    assert 326 in refused.codes()
    async with client(shared_gateway) as ib:
        assert ib.isConnected()


async def test_competing_session_10197_stops_quotes(ib, market):
    ticker = ib.reqMktData(ib.ko)
    await ib.until(lambda: ticker.bid > 0)
    await market.fault("competing-session", seconds=30)
    await ib.flushed()
    assert 10197 in ib.codes()
    ib.heard.clear()
    await market.go(20)
    await ib.flushed()
    assert ib.of(PRICE) == []
    await market.go(40)
    await ib.flushed()
    assert ib.of(PRICE)


async def test_pacing_violations_162_and_100(ib, market):
    await market.fault("pacing-violation")
    ask = (ib.ko, "", "5 D", "1 day", "TRADES", True)
    assert list(await ib.reqHistoricalDataAsync(*ask)) == []
    assert ib.codes()[-1] == 162
    assert len(await ib.reqHistoricalDataAsync(*ask)) == 5
    await market.fault("pacing-violation", code=100)
    await ib.until(lambda: not ib.isConnected())
    assert ib.codes()[-1] == 100


@pytest.mark.parametrize(
    ("farm", "codes"),
    [("market", [2103, 2104]), ("history", [2105, 2106]), ("definitions", [2157, 2158])],
)
async def test_farms_break_and_come_back(ib, market, farm, codes):
    ib.heard.clear()
    await market.fault("farm-broken", farm=farm, seconds=10)
    await market.go(11)
    await ib.flushed()
    assert ib.codes() == codes


@pytest.mark.parametrize("restore", ["1101", "1102"])
async def test_lost_connectivity_tells_fills_at_its_end(ib, market, restore):
    ticker = ib.reqMktData(ib.ko)
    await ib.until(lambda: ticker.bid > 0)
    await market.fault("connectivity-lost", restore=restore, seconds=30)
    trade = ib.buy(10)
    await ib.flushed()
    ib.heard.clear()
    await market.go(20)
    await ib.flushed()
    assert ib.of(PRICE, STATUS, EXECUTION) == []
    await market.go(11)
    await ib.until(lambda: trade.filled() == 10)
    assert ib.codes()[0] == int(restore)
    assert ib.heard.index(ib.of(ERROR)[0]) < ib.heard.index(ib.of(EXECUTION)[0])
    ib.heard.clear()
    await market.go(30)
    await ib.flushed()
    assert bool(ib.of(PRICE)) == (restore == "1102")


async def test_a_book_is_told_anew_after_an_outage(ib, market):
    ticker = ib.reqMktDepth(ib.ko, numRows=5, isSmartDepth=True)
    await ib.until(lambda: len(ticker.domBids) == len(ticker.domAsks) == 5)
    ib.heard.clear()
    await market.fault("farm-broken", seconds=10)
    await market.go(11)
    await ib.flushed()
    assert ib.codes() == [2103, 2104, 317]
    told = ib.of("13")
    assert [(fields[3], fields[5]) for fields in told[:5]] == [(str(n), "0") for n in range(5)]
    ticker.domBids.clear()
    ticker.domAsks.clear()
    ib.cancelMktDepth(ib.ko, isSmartDepth=True)


async def test_depth_is_reset_and_told_again(ib, market):
    ticker = ib.reqMktDepth(ib.ko, numRows=5, isSmartDepth=True)
    await ib.until(lambda: len(ticker.domBids) == len(ticker.domAsks) == 5)
    assert len({fields[4] for fields in ib.of("13")}) > 1  # rows of several exchanges
    ib.heard.clear()
    await market.fault("depth-reset", client=ib.client.clientId)
    await market.go(1)
    await ib.flushed()
    assert ib.codes() == [317]
    told = ib.of("13")
    assert [fields[5] for fields in told[:5]] == ["0"] * 5
    ticker.domBids.clear()
    ticker.domAsks.clear()
    ib.cancelMktDepth(ib.ko, isSmartDepth=True)


async def test_killed_socket(ib, market, shared_gateway, client):
    await market.fault("kill-socket", client=ib.client.clientId)
    await ib.until(lambda: not ib.isConnected())
    async with client(shared_gateway, clientId=ib.client.clientId) as again:
        assert again.isConnected()


async def test_half_open_socket(ib, market, shared_gateway, client):
    await market.fault("half-open-socket", client=ib.client.clientId)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ib.reqCurrentTimeAsync(), 0.3)
    assert ib.isConnected()
    async with client(shared_gateway) as other:
        await other.flushed()


async def test_nightly_reset_and_weekly_logout(ib, market, shared_gateway, client, client_class):
    await market.fault("nightly-reset", seconds=60, wall=False)  # no race with this machine
    await ib.until(lambda: not ib.isConnected())
    assert ib.codes()[-1] == 1100
    with pytest.raises((ConnectionError, TimeoutError)):
        await client_class().start(shared_gateway, timeout=0.3)
    await market.go(60)
    async with client(shared_gateway):
        await market.fault("weekly-logout")
    with pytest.raises((ConnectionError, TimeoutError)):
        await client_class().start(shared_gateway, timeout=0.3)
    assert (await market.control.ask("clear-faults"))["ended"] == 1
    async with client(shared_gateway) as back:
        await back.flushed()


async def test_orders_worked_late_even_when_their_client_has_gone(ib, market):
    await market.fault("late-orders", ms=150, count=1)
    trade = ib.buy(10)
    await ib.flushed()
    assert ib.of("3", "5") == []
    await ib.until(trade.isDone)
    assert trade.filled() == 10
