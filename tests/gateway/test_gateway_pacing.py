"""Interactive Brokers' limits: what keeps to them passes, what does not gets its code."""

import asyncio
import socket
import struct
import time
from itertools import count

import pytest
from ib_async import IB, LimitOrder, Stock

from gateway.engine.refusal import Refused
from gateway.limits import PacingLimits, SocketLimits
from gateway.pacing import HistoryRate, MessageRate
from models.domain.errors import InvalidInput

KO, PFE, XOM = (Stock(symbol, "SMART", "USD") for symbol in ("KO", "PFE", "XOM"))


def test_the_throttle_of_ib_async_never_offends():
    """45 at once, and 45 more a second after the first: what it does at its fastest."""
    rate = MessageRate(50)
    for second in range(20):
        for number in range(45):
            assert rate.count(second + number * 1e-4, 0.0) is None


def test_delays_of_our_own_are_not_held_against_a_client():
    rate = MessageRate(50)
    assert all(rate.count(0.6 + n * 1e-5, 0.6) is None for n in range(45))
    assert all(rate.count(1.0 + n * 1e-5, 0.6) is None for n in range(45))
    strict = MessageRate(50)
    told = [strict.count(0.6 + n * 1e-5, 0.0) for n in range(45)]
    told += [strict.count(1.0 + n * 1e-5, 0.0) for n in range(45)]
    assert (51, 1) in told


def test_the_third_violation_counts_to_three_and_an_hour_forgives():
    rate = MessageRate(50)
    over = [rate.count(second + n * 1e-3, 0.0) for second in (0, 2, 4) for n in range(51)]
    assert [told for told in over if told] == [(51, 1), (51, 2), (51, 3)]
    later = [rate.count(3600.0 + n * 1e-3, 0.0) for n in range(51)]
    assert later[-1] == (51, 1)


def ask(request_id, show="TRADES", end="", exchange="SMART"):
    return {"reqId": request_id, "exchange": exchange, "whatToShow": show, "endDateTime": end}


def refused(rate, *arguments):
    with pytest.raises(Refused) as raised:
        rate.check(*arguments)
    return raised.value.code


def test_identical_history_is_refused_for_fifteen_seconds():
    rate = HistoryRate(60)
    rate.check(ask(1), 0, 100.0)
    assert refused(rate, ask(2), 0, 114.9) == 162
    rate.check(ask(3), 0, 115.1)


def test_six_of_one_contract_in_two_seconds_are_refused():
    rate = HistoryRate(60)
    for number in range(5):
        rate.check(ask(number, end=str(number)), 0, 100.0 + number * 0.1)
    assert refused(rate, ask(9, end="x"), 0, 101.0) == 162
    rate.check(ask(9, end="x"), 1, 101.0)
    rate.check(ask(9, end="y"), 0, 103.0)


def test_sixty_in_ten_minutes_and_bid_ask_counts_twice():
    rate = HistoryRate(60)
    for number in range(30):
        rate.check(ask(number, "BID_ASK", str(number)), 0, 100.0 + number * 3)
    assert refused(rate, ask(99, end="x"), 5, 200.0) == 162
    with pytest.raises(Refused, match="420"):
        rate.check_bars(200.0)
    rate.check(ask(99, end="x"), 5, 701.0)


@pytest.mark.parametrize(
    "make", [lambda: PacingLimits(depth_lines=-1), lambda: SocketLimits(0.0, 64)]
)
def test_impossible_limits_are_refused(make):
    with pytest.raises(InvalidInput, match="give"):
        make()


TIGHT = (
    *("--market-data-lines", "2", "--depth-lines", "1", "--tick-by-tick-lines", "1"),
    *("--history-requests", "2", "--open-histories", "3", "--active-orders", "2"),
    *(
        "--tick-by-tick-seconds",
        "3",
        "--messages-per-second",
        "40",
        "--handshake-seconds",
        "0.5",
        "--backlog-mb",
        "2",
    ),
)


@pytest.fixture(scope="module")
def tight_gateway(gateway_class, tmp_path_factory):
    gateway = gateway_class(tmp_path_factory.mktemp("tight"), *TIGHT)
    yield gateway
    gateway.stop()


class Told(IB):
    async def start(self, gateway, client_id):
        self.codes = []
        self.errorEvent += lambda request, code, text, contract: self.codes.append(code)
        await self.connectAsync("127.0.0.1", gateway.port, client_id, timeout=5)
        await self.qualifyContractsAsync(KO, PFE, XOM)
        self.codes.clear()
        return self

    async def flushed(self):
        await asyncio.wait_for(self.reqCurrentTimeAsync(), 5)


@pytest.fixture
async def ib(tight_gateway, request):
    ib = await Told().start(tight_gateway, 1 + len(request.node.name))
    yield ib
    ib.disconnect()
    await asyncio.sleep(0.05)


@pytest.mark.journey
async def test_market_data_lines_101(ib):
    ib.reqMktData(KO)
    ib.reqMktData(PFE)
    ib.client.reqMktData(900, KO, "", False, False, [])  # the same instrument needs no other line
    ib.reqMktData(XOM)
    await ib.flushed()
    assert ib.codes == [101]
    ib.cancelMktData(PFE)
    ib.client.reqMktData(901, XOM, "", False, False, [])
    await ib.flushed()
    assert ib.codes == [101]


@pytest.mark.journey
async def test_depth_and_tick_lines_309_and_10190(ib):
    ib.reqMktDepth(KO)
    ib.reqMktDepth(PFE)
    ib.reqTickByTickData(KO, "Last")
    ib.reqTickByTickData(PFE, "Last")
    await ib.flushed()
    assert ib.codes == [309, 10190]


@pytest.mark.journey
async def test_ticks_of_one_kind_and_instrument_are_asked_for_once_in_a_while(ib):
    ib.client.reqTickByTickData(800, XOM, "Last", 0, False)
    ib.client.cancelTickByTickData(800)
    ib.client.reqTickByTickData(801, XOM, "Last", 0, False)
    ib.client.reqTickByTickData(802, XOM, "BidAsk", 0, False)
    await ib.flushed()
    assert ib.codes == [10190]
    ib.client.cancelTickByTickData(802)
    await asyncio.sleep(3.1)
    ib.client.reqTickByTickData(803, XOM, "Last", 0, False)
    await ib.flushed()
    assert ib.codes == [10190]


@pytest.mark.journey
async def test_small_bars_are_paced_and_large_ones_are_not(ib):
    small = (KO, "20221228 16:00:00", "60 S", "5 secs", "TRADES", True)
    assert len(await ib.reqHistoricalDataAsync(*small)) == 12
    assert list(await ib.reqHistoricalDataAsync(*small)) == []
    assert ib.codes == [162]
    for _ in range(5):
        assert await ib.reqHistoricalDataAsync(KO, "", "3 D", "1 day", "TRADES", True)


@pytest.mark.journey
async def test_open_histories_322(ib):
    for number in range(4):
        ib.client.reqHistoricalData(
            700 + number, KO, "", "2 D", "1 day", "TRADES", True, 1, True, []
        )
    await ib.flushed()
    assert ib.codes == [322]
    ib.client.cancelHistoricalData(700)
    ib.client.reqHistoricalData(710, KO, "", "2 D", "1 day", "TRADES", True, 1, True, [])
    await ib.flushed()
    assert ib.codes == [322, 162]  # the second tells the end of what was cancelled


@pytest.mark.journey
async def test_working_orders_of_one_side_201(ib):
    placed = [ib.placeOrder(KO, LimitOrder("BUY", 1, 1.0)) for _ in range(3)]
    ib.placeOrder(KO, LimitOrder("SELL", 1, 900.0))
    ib.placeOrder(PFE, LimitOrder("BUY", 1, 1.0))
    await ib.flushed()
    assert [code for code in ib.codes if code != 399] == [201]
    placed[0].order.lmtPrice = 1.1
    ib.placeOrder(KO, placed[0].order)
    await ib.flushed()
    assert ib.codes.count(201) == 1
    ib.reqGlobalCancel()
    await ib.flushed()


@pytest.mark.journey
async def test_too_many_messages_are_100_and_three_times_a_close(ib):
    ib.client.MaxRequests = 0
    for _ in range(200):
        ib.client.reqCurrentTime()
    for _ in range(100):
        await asyncio.sleep(0.02)
        if not ib.isConnected():
            break
    assert not ib.isConnected()
    assert ib.codes.count(100) <= 3  # a reset socket may take the last words with it


@pytest.mark.journey
@pytest.mark.parametrize("said", [b"", b"AP", b"API\0", b"API\0\0\0\0\x09v157"])
def test_half_a_handshake_is_ended(tight_gateway, said):
    with socket.create_connection(("127.0.0.1", tight_gateway.port), 5) as link:
        link.sendall(said)
        try:
            assert link.recv(10) == b""
        except ConnectionError:
            pass


@pytest.mark.journey
def test_a_client_that_reads_nothing_is_cut_off(tight_gateway):
    with socket.create_connection(("127.0.0.1", tight_gateway.port), 20) as link:
        link.sendall(b"API\0" + framed(b"v157..178") + framed(b"71\x002\x0090\0\0"))
        ko = "0\0KO\0STK\0\x000\0\0\0SMART\0\0USD\0\0\0"
        until = time.monotonic() + 100  # whatever time it takes to make the bars
        with pytest.raises(ConnectionError):
            for number in count():
                text = f"20\0{number}\0{ko}0\0\x001 day\x0033 Y\x001\0TRADES\x001\x000\0\0"
                link.settimeout(100)
                link.sendall(framed(text.encode()))
                time.sleep(0.03)
                assert time.monotonic() < until


def framed(payload):
    return struct.pack(">I", len(payload)) + payload
