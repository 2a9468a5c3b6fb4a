"""Every fault by its name, as a client meets it, and the script and the triggers that bring it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Stock

from gateway.faults import desk  # noqa: F401 - it brings every kind
from gateway.faults.registry import KINDS, make
from gateway.faults.triggers import Trigger, read_script
from gateway.timeline import to_iso, to_micros
from models.domain.errors import InvalidInput

pytestmark = pytest.mark.journey

OPEN_ORDER, STATUS, ERROR, EXECUTION, COMMISSION, PRICE, TIME = "5", "3", "4", "11", "59", "1", "49"
KO = Stock("KO", "SMART", "USD")
ids = count(10)


class Client(IB):
    """An unmodified ib_async that also keeps every message that it hears, as fields."""

    async def start(self, gateway, **options):
        self.heard = []
        interpret = self.client.decoder.interpret

        def hear(fields):
            self.heard.append(list(fields))
            interpret(fields)

        self.client.decoder.interpret = hear
        chosen = {"clientId": next(ids), "timeout": 5, "raiseSyncErrors": True, **options}
        await self.connectAsync("127.0.0.1", gateway.port, **chosen)
        await self.flushed()
        self.heard.clear()
        return self

    async def flushed(self):
        return await asyncio.wait_for(self.reqCurrentTimeAsync(), 5)

    def of(self, *kinds):
        return [fields for fields in self.heard if fields[0] in kinds]

    def codes(self):
        return [int(fields[3]) for fields in self.of(ERROR)]


async def until(check, seconds=10):
    for _ in range(int(seconds / 0.01)):
        if check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


class Market:
    """The clock and the faults of a gateway."""

    def __init__(self, control):
        self.control = control

    async def now(self):
        return datetime.fromisoformat((await self.control.ask("time"))["now"])

    async def go(self, seconds):
        to = await self.now() + timedelta(seconds=seconds)
        await self.control.ask("advance", to=to.isoformat())

    async def fault(self, name, on="", nth=1, **params):
        return await self.control.ask("fault", fault=name, params=params, on=on, nth=nth)


@pytest.fixture
async def market(shared_gateway, open_control):
    """The shared gateway's market in its session, every fault cleared at the end."""
    control = await open_control(shared_gateway)
    market = Market(control)
    if (await market.now()).hour < 14:
        await control.advance("14:40:00")
    await market.go(10)
    yield market
    await control.ask("clear-faults")


@asynccontextmanager
async def client(gateway, **options):
    ib = await Client().start(gateway, **options)
    try:
        yield ib
    finally:
        ib.disconnect()
        await asyncio.sleep(0)


@pytest.fixture
async def ib(shared_gateway, market):
    async with client(shared_gateway) as ib:
        await ib.qualifyContractsAsync(KO)
        yield ib


def far(shares=10, tif="DAY"):
    return LimitOrder("BUY", shares, 1.0, tif=tif)


async def filled(ib, order=None):
    trade = ib.placeOrder(KO, order or MarketOrder("BUY", 10))
    await until(lambda: trade.filled() >= trade.order.totalQuantity)
    return trade


async def test_withheld_end(ib, market):
    await market.fault("withhold-end", end_message="openOrderEnd")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ib.reqAllOpenOrdersAsync(), 0.3)
    ib.wrapper._results.clear()
    ib.wrapper._futures.clear()
    assert await asyncio.wait_for(ib.reqAllOpenOrdersAsync(), 5) == []


async def test_dropped_acknowledgement(ib, market):
    await market.fault("drop-ack")
    trade = ib.placeOrder(KO, far())
    await ib.flushed()
    assert ib.of(OPEN_ORDER, STATUS) == []
    assert trade.orderStatus.status == "PendingSubmit"
    ib.cancelOrder(trade.order)
    await until(lambda: trade.orderStatus.status == "Cancelled")
    other = ib.placeOrder(KO, far())
    await until(lambda: other.orderStatus.status == "Submitted")
    ib.cancelOrder(other.order)
    await until(other.isDone)


async def test_late_acknowledgement(ib, market):
    await market.fault("late-ack", ms=200)
    ib.placeOrder(KO, MarketOrder("BUY", 10))
    await until(lambda: ib.of(OPEN_ORDER))
    assert ib.heard.index(ib.of(EXECUTION)[0]) < ib.heard.index(ib.of(OPEN_ORDER)[0])


async def test_duplicate_status(ib, market):
    await market.fault("duplicate-status", copies=3)
    trade = await filled(ib)
    await ib.flushed()
    told = [fields for fields in ib.of(STATUS) if fields[2] == "Filled"]
    assert len(told) == 3
    assert trade.orderStatus.status == "Filled"


async def test_missing_status(ib, market):
    await market.fault("missing-status")
    trade = await filled(ib)
    await ib.flushed()
    assert [fields[2] for fields in ib.of(STATUS)].count("Filled") == 0
    assert trade.fills


async def test_slow_responses_keep_their_order(ib, market):
    await market.fault("slow-responses", ms=100, jitter=90)
    started = asyncio.get_running_loop().time()
    trade = ib.placeOrder(KO, far())
    await until(lambda: trade.orderStatus.status == "Submitted")
    assert asyncio.get_running_loop().time() - started > 0.005
    ib.cancelOrder(trade.order)
    await until(trade.isDone)
    assert [fields[0] for fields in ib.of(OPEN_ORDER, STATUS)][:2] == [OPEN_ORDER, STATUS]


async def test_clock_skew(ib, market):
    right = await ib.flushed()
    await market.fault("clock-skew", seconds=-90)
    assert await ib.flushed() == right - timedelta(seconds=90)


async def test_partial_fill(ib, market):
    await market.fault("partial-fill", share=0.4)
    trade = ib.placeOrder(KO, MarketOrder("BUY", 100))
    await until(trade.isDone)
    assert (trade.filled(), trade.orderStatus.status) == (40, "Cancelled")


async def test_commission_before_its_execution(ib, market):
    await market.fault("early-commission")
    ib.placeOrder(KO, MarketOrder("BUY", 10))
    await ib.flushed()
    assert ib.of(EXECUTION) == []
    await market.go(1)
    await until(lambda: ib.of(EXECUTION))
    assert [fields[0] for fields in ib.of(EXECUTION, COMMISSION)][:2] == [COMMISSION, EXECUTION]


async def test_commission_long_after_its_execution(ib, market):
    await market.fault("late-commission", seconds=60)
    await filled(ib)
    await market.go(30)
    await ib.flushed()
    assert ib.of(COMMISSION) == []
    await market.go(31)
    await ib.flushed()
    assert len(ib.of(COMMISSION)) == 1


async def cash_and_shares(ib):
    (cash,) = {v.value for v in await ib.accountSummaryAsync() if v.tag == "TotalCashValue"}
    position = sum(p.position for p in await ib.reqPositionsAsync() if p.contract.symbol == "KO")
    return float(cash), position


async def test_correction_takes_the_place_of_its_execution(ib, market):
    await market.fault("correct-execution", cents=3, seconds=5)
    await filled(ib)
    await market.go(1)
    (before,) = {fields[14]: fields for fields in ib.of(EXECUTION)}.values()
    await market.go(6)
    await ib.flushed()
    first, second = ib.of(EXECUTION)
    stem, number = first[14].rsplit(".", 1)
    assert (number, second[14]) == ("01", f"{stem}.02")
    assert float(second[20]) == pytest.approx(float(first[20]) + 0.03)
    told = {fill.execution.execId for fill in await ib.reqExecutionsAsync()}
    assert second[14] in told
    assert before[14] not in [f[14] for f in ib.of(EXECUTION)[2:]]


async def test_bust_gives_shares_and_cash_back(ib, market):
    _, shares = await cash_and_shares(ib)
    await market.fault("bust-execution", seconds=5)
    await filled(ib)
    await market.go(1)
    paid, after = await cash_and_shares(ib)
    assert after == shares + 10
    await market.go(6)
    given, back = await cash_and_shares(ib)
    bust = ib.of(EXECUTION)[-1]
    assert (bust[14][-3:], bust[19]) == (".02", "0")
    assert back == shares
    assert given == pytest.approx(paid + 10 * float(bust[20]), abs=0.011)


async def test_preset_10349_and_then_a_fill(ib, market):
    await market.fault("tif-preset")
    await filled(ib)
    await ib.flushed()
    kinds = [
        fields[0] for fields in ib.heard if fields[0] in {STATUS, EXECUTION} or "10349" in fields
    ]
    assert kinds.index(ERROR) < kinds.index(EXECUTION)
    assert ib.of(STATUS)[-1][2] == "Filled"


async def test_rejection_201_then_inactive(ib, market):
    await market.fault("reject-order", reason="Order rejected - reason:No")
    trade = ib.placeOrder(KO, far())
    await until(trade.isDone)
    await ib.flushed()
    news = [fields for fields in ib.of(ERROR, STATUS) if fields[0] == STATUS or fields[3] == "201"]
    assert [fields[0] for fields in news] == [ERROR, STATUS]
    assert news[1][2] == "Inactive"
    assert trade.order.orderId not in {t.order.orderId for t in await ib.reqAllOpenOrdersAsync()}


async def test_message_399_leaves_the_order_live(ib, market):
    await market.fault("order-message")
    trade = ib.placeOrder(KO, far())
    await ib.flushed()
    assert 399 in ib.codes()
    assert [t.order.orderId for t in await ib.reqAllOpenOrdersAsync()] == [trade.order.orderId]
    ib.cancelOrder(trade.order)
    await ib.flushed()


async def test_locate_hold_404_then_a_fill(ib, market):
    await market.fault("locate-hold", seconds=20)
    trade = ib.placeOrder(KO, MarketOrder("SELL", 10))
    await ib.flushed()
    assert 404 in ib.codes()
    assert [(fields[2], fields[10]) for fields in ib.of(STATUS)][-1] == ("PreSubmitted", "locate")
    await market.go(19)
    await ib.flushed()
    assert trade.filled() == 0
    await market.go(2)
    await until(lambda: trade.filled() == 10)
    assert ib.of(STATUS)[-1][10] == ""


async def test_duplicate_order_id_103(ib, market):
    await market.fault("duplicate-id")
    ib.placeOrder(KO, far())
    await ib.flushed()
    assert ib.codes()[-1] == 103
    assert await ib.reqAllOpenOrdersAsync() == []


async def test_two_permanent_ids_for_one_modified_order(ib, market):
    await market.fault("two-perm-ids")
    order = far()
    trade = ib.placeOrder(KO, order)
    await until(lambda: trade.orderStatus.status == "Submitted")
    order.lmtPrice = 1.1
    ib.placeOrder(KO, order)
    await ib.flushed()
    ib.heard.clear()
    ib.client.reqAllOpenOrders()
    await until(lambda: ib.of("53"))
    live = ib.of(STATUS)
    assert len(live) == 2
    assert len({fields[6] for fields in live}) == 2
    assert {fields[1] for fields in live} == {str(order.orderId)}
    ib.reqGlobalCancel()
    await until(lambda: len([f for f in ib.of(STATUS) if f[2] == "Cancelled"]) == 2)


async def test_client_id_in_use_326(shared_gateway, market):
    await market.fault("client-id-in-use")
    refused = Client()
    with pytest.raises((ConnectionError, TimeoutError)):
        await refused.start(shared_gateway, timeout=1)
    assert 326 in refused.codes()
    async with client(shared_gateway) as ib:
        assert ib.isConnected()


async def test_competing_session_10197_stops_quotes(ib, market):
    ticker = ib.reqMktData(KO)
    await until(lambda: ticker.bid > 0)
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
    ask = (KO, "", "5 D", "1 day", "TRADES", True)
    assert list(await ib.reqHistoricalDataAsync(*ask)) == []
    assert ib.codes()[-1] == 162
    assert len(await ib.reqHistoricalDataAsync(*ask)) == 5
    await market.fault("pacing-violation", code=100)
    await until(lambda: not ib.isConnected())
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
    ticker = ib.reqMktData(KO)
    await until(lambda: ticker.bid > 0)
    await market.fault("connectivity-lost", restore=restore, seconds=30)
    trade = ib.placeOrder(KO, MarketOrder("BUY", 10))
    await ib.flushed()
    ib.heard.clear()
    await market.go(20)
    await ib.flushed()
    assert ib.of(PRICE, STATUS, EXECUTION) == []
    await market.go(11)
    await until(lambda: trade.filled() == 10)
    assert ib.codes()[0] == int(restore)
    assert ib.heard.index(ib.of(ERROR)[0]) < ib.heard.index(ib.of(EXECUTION)[0])
    ib.heard.clear()
    await market.go(30)
    await ib.flushed()
    assert bool(ib.of(PRICE)) == (restore == "1102")


async def test_killed_socket(ib, market, shared_gateway):
    await market.fault("kill-socket", client=ib.client.clientId)
    await until(lambda: not ib.isConnected())
    async with client(shared_gateway, clientId=ib.client.clientId) as again:
        assert again.isConnected()


async def test_half_open_socket(ib, market, shared_gateway):
    await market.fault("half-open-socket", client=ib.client.clientId)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ib.reqCurrentTimeAsync(), 0.3)
    assert ib.isConnected()
    async with client(shared_gateway) as other:
        await other.flushed()


async def test_nightly_reset_and_weekly_logout(ib, market, shared_gateway):
    await market.fault("nightly-reset", seconds=2.0)
    await until(lambda: not ib.isConnected())
    assert ib.codes()[-1] == 1100
    with pytest.raises((ConnectionError, TimeoutError)):
        await Client().start(shared_gateway, timeout=0.3)
    await asyncio.sleep(2.0)
    async with client(shared_gateway):
        await market.fault("weekly-logout")
    with pytest.raises((ConnectionError, TimeoutError)):
        await Client().start(shared_gateway, timeout=0.3)
    assert (await market.control.ask("clear-faults"))["ended"] == 1
    async with client(shared_gateway) as back:
        await back.flushed()


async def test_triggers_on_the_nth_request(ib, market):
    await market.fault("duplicate-id", on="placeOrder", nth=2)
    active = (await market.control.ask("faults"))["active"]
    assert active == [{"fault": "duplicate-id", "params": {}, "waits_for": "placeOrder #2"}]
    first, second = ib.placeOrder(KO, far()), ib.placeOrder(KO, far())
    await ib.flushed()
    live = [trade.order.orderId for trade in await ib.reqAllOpenOrdersAsync()]
    assert live == [first.order.orderId]
    assert second.order.orderId not in live
    ib.reqGlobalCancel()
    await ib.flushed()


async def test_wrong_faults_are_refused_by_name(market):
    for request, word in (
        ({"fault": "no-such"}, "no-such"),
        ({"fault": "kill-socket", "params": {"x": 1}}, "'x'"),
        ({"fault": "clock-skew", "params": {"seconds": "soon"}}, "seconds"),
        ({"fault": "clock-skew", "on": "reqNothing"}, "reqNothing"),
        ({"fault": "clock-skew", "at": "noon"}, "noon"),
        ({"fault": "clock-skew", "after": 1, "on": "connect"}, "one of"),
        ({"fault": "clock-skew", "nth": "x"}, "numbers"),
        ({"params": {}}, "fault: NAME"),
    ):
        reply = await market.control.raw("fault", **request)
        assert not reply["ok"]
        assert word in reply["error"]


def test_every_kind_can_be_made_and_has_its_line():
    assert len(KINDS) >= 27
    for name, kind in KINDS.items():
        assert kind.summary.endswith(".")
        assert make(name, {}).shown()["fault"] == name


def test_scripts_are_read_as_text(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text(
        "- {fault: kill-socket, at: 09:31}\n"
        "- {fault: connectivity-lost, after: 60, params: {restore: 1101, wall: yes}}\n"
    )
    with pytest.raises(InvalidInput, match="entry 2.*wall"):
        read_script(path)
    path.write_text(path.read_text().replace("yes", "true") + "- {fault: drop-ack, on: placeOrder}")
    timed, soon, asked = read_script(path)
    now = to_micros(datetime.fromisoformat("2022-12-29T14:31:00+00:00"))
    assert (timed.daily, to_iso(timed.moment(now))[:16]) == (True, "2022-12-30T14:31")
    assert soon.moment(now) == now + 60_000_000
    assert (asked.on, asked.moment(now)) == ("placeOrder", None)
    exact = Trigger("kill-socket", at="2022-12-29T20:00:00+00:00")
    assert (exact.daily, to_iso(exact.moment(0))[:16]) == (False, "2022-12-29T20:00")


@pytest.mark.parametrize("text", ["{", "fault: x", "- 5", "- {fault: kill-socket, when: 1}"])
def test_bad_scripts_say_what_is_wrong(tmp_path, text):
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"faults\.yaml"):
        read_script(path)


SCRIPT = """
- {fault: partial-fill, at: "2022-12-29T14:35:30+00:00", params: {share: 0.3}}
- {fault: correct-execution, on: execution, params: {cents: 2, seconds: 7}}
- {fault: duplicate-status, after: 24000, params: {count: 3}}
- {fault: late-commission, on: placeOrder, nth: 2, params: {seconds: 20, count: 1}}
"""


async def scripted(gateway, control):
    await control.advance("14:35:00")
    async with client(gateway, clientId=1) as ib:
        await ib.qualifyContractsAsync(KO)
        for second in range(5):
            ib.placeOrder(KO, MarketOrder("BUY", 100 + second))
            await ib.flushed()
            await control.advance(f"14:{35 + second // 3}:{(10 + second * 20) % 60:02}")
        await control.advance("14:45:00")
        await ib.flushed()
        return ib.of(STATUS, EXECUTION, COMMISSION)


async def test_one_script_and_seed_bring_the_same_day(start_gateway, open_control, tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text(SCRIPT)
    seen = []
    for name, speed in (("a", "3600"), ("b", "150")):
        gateway = start_gateway(tmp_path / name, "--faults", str(path), "--speed", speed)
        seen.append(await scripted(gateway, await open_control(gateway)))
        gateway.stop()
    assert any(fields[14].endswith(".02") for fields in seen[0] if fields[0] == EXECUTION)
    assert seen[0] == seen[1]
