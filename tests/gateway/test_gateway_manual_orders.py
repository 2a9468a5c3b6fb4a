"""Orders entered by hand: who hears of them, who may change them, what a restart keeps."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from ib_async import IB, StartupFetchNONE, Stock
from typer.testing import CliRunner

from gateway.cli import app

pytestmark = pytest.mark.journey
STEP = "--clock", "step"  # time passes as fast as it can be worked
KO = Stock("KO", "SMART", "USD")


class Hearing(IB):
    """An unmodified ib_async that keeps the openOrder, status, bound and error messages."""

    async def start(self, gateway, client_id):
        self.heard = []
        interpret = self.client.decoder.interpret

        def hear(fields):
            self.heard.append(list(fields))
            interpret(fields)

        self.client.decoder.interpret = hear
        await self.connectAsync(
            "127.0.0.1", gateway.port, client_id, timeout=10, fetchFields=StartupFetchNONE
        )
        await self.flushed()
        return self

    async def flushed(self):
        await asyncio.wait_for(self.reqCurrentTimeAsync(), 5)

    def of(self, kind):
        return [fields for fields in self.heard if fields[0] == kind]


@asynccontextmanager
async def client(gateway, client_id):
    ib = await Hearing().start(gateway, client_id)
    try:
        yield ib
    finally:
        ib.disconnect()
        await asyncio.sleep(0.05)


@pytest.fixture
async def market(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state", "--master-client-id", "99", *STEP)
    gateway.control = await open_control(gateway)
    await gateway.control.advance("15:00:00")
    return gateway


RESTING = {"symbol": "KO", "action": "BUY", "quantity": 10, "type": "LMT", "limit": "1.00"}


async def test_an_unbound_order_is_the_masters_news_and_shows_among_all(market):
    async with client(market, 99) as master, client(market, 5) as other:
        entered = await market.control.ask("order", **RESTING)
        assert (entered["order_id"], entered["status"]) == (0, "Submitted")
        await master.flushed()
        await other.flushed()
        assert [f[1] for f in master.of("3")] == ["0"]
        assert other.of("3") == []
        (known,) = await other.reqAllOpenOrdersAsync()
        assert (known.order.clientId, known.order.orderId) == (0, 0)
        assert known.order.permId == entered["perm_id"]
        other.heard.clear()
        other.client.reqOpenOrders()
        await other.flushed()
        assert (other.of("5"), len(other.of("53"))) == ([], 1)
        other.client.cancelOrder(-1, "")
        await other.flushed()
        assert [f[3] for f in other.of("4") if int(f[3]) in range(10147, 10149)] == ["10147"]


async def test_client_zero_binds_what_works_and_cancels_it(market):
    entered = await market.control.ask("order", **RESTING)
    permanent = str(entered["perm_id"])
    async with client(market, 0) as zero:
        zero.client.cancelOrder(-1, "")  # it cannot be named before it is bound
        await zero.flushed()
        assert [f[3] for f in zero.of("4") if f[2] == "-1" and f[3] == "10147"] == ["10147"]
        zero.client.reqOpenOrders()
        await zero.flushed()
        assert zero.of("100") == [["100", permanent, "0", "-1"]]
        assert [(f[1], f[6]) for f in zero.of("3")] == [("-1", permanent)]
        zero.client.cancelOrder(-1, "")
        await zero.flushed()
        assert zero.of("3")[-1][2] == "Cancelled"


async def test_auto_binding_changing_and_filling(market):
    async with client(market, 0) as zero:  # ib_async asks for automatic binding by itself
        await market.control.ask("order", **RESTING)
        await zero.flushed()
        (trade,) = zero.openTrades()
        assert (trade.order.orderId, trade.order.totalQuantity) == (-1, 10)
        assert zero.of("100")[0][2:] == ["0", "-1"]
        (contract,) = await zero.qualifyContractsAsync(KO)
        trade.order.lmtPrice = 99.0
        zero.client.placeOrder(-1, contract, trade.order)
        await zero.flushed()
        (execution,) = zero.of("11")
        assert execution[2] == "-1"
        assert zero.of("3")[-1][2] == "Filled"
        zero.reqAutoOpenOrders(False)
        await zero.flushed()
        zero.heard.clear()
        await market.control.ask("order", **RESTING)
        await zero.flushed()
        assert zero.of("3") == []


async def test_completed_orders_of_the_api_alone_leave_those_by_hand_out(market):
    entered = await market.control.ask("order", symbol="KO", action="BUY", quantity=10)
    assert (entered["status"], entered["filled"]) == ("Filled", 10)
    async with client(market, 5) as ib:
        assert list(await ib.reqCompletedOrdersAsync(True)) == []
        (done,) = await ib.reqCompletedOrdersAsync(False)
        assert done.order.permId == entered["perm_id"]
        (fill,) = await ib.reqExecutionsAsync()
        assert (fill.execution.orderId, fill.execution.clientId) == (0, 0)


async def test_a_restart_keeps_ids_and_binding(market, start_gateway, open_control, tmp_path):
    entered = await market.control.ask("order", **RESTING | {"tif": "GTC"})
    async with client(market, 0) as zero:
        zero.client.reqOpenOrders()
        await zero.flushed()
    market.kill()
    again = start_gateway(tmp_path / "state", "--master-client-id", "99", *STEP)
    control = await open_control(again)
    status = await control.ask("status")
    assert [line.split()[0] for line in status["orders"]["open"]] == [str(entered["perm_id"])]
    second = await control.ask("order", **RESTING)
    async with client(again, 0) as zero:
        zero.client.reqOpenOrders()
        await zero.flushed()
        known = {f[1]: f[6] for f in zero.of("3")}
        assert known == {"-1": str(entered["perm_id"]), "-2": str(second["perm_id"])}
    cancelled = await control.ask("cancel", perm_id=second["perm_id"])
    assert cancelled["status"] == "Cancelled"
    assert "161" in (await control.raw("cancel", perm_id=second["perm_id"]))["error"]


def test_the_verbs(market):
    def say(*words):
        port = ("--control-port", str(market.control_port))
        result = CliRunner().invoke(app, [*words, *port])
        return result.exit_code, result.output

    code, text = say("order", "SELL", "10", "KO")
    assert code == 0
    assert "Filled, 10 shares filled at" in text
    assert "USD" in text
    code, text = say("order", "BUY", "10", "ko", "--limit", "1.005")
    assert (code, "110" in text) == (2, True)
    assert say("order", "BUY", "10", "NOPE")[0] == 2
    code, text = say("order", "BUY", "10", "KO", "--limit", "1.00")
    number = text.split()[1].rstrip(":")
    assert "Cancelled" in say("cancel", number)[1]
    assert "halted: KO" in say("halt", "ko")[1]
    assert "halted: none" in say("resume", "KO")[1]
    assert say("halt", "NOPE")[0] == 2
    code, text = say("order", "BUY", "10", "KO", "--limit", "1.00", "--json", "--order-ref", "mine")
    told = json.loads(text)
    assert (code, told["status"], told["filled"]) == (0, "Submitted", 0)
    assert told["order_ref"] == "mine"
    assert json.loads(say("cancel", str(told["perm_id"]), "--json")[1])["status"] == "Cancelled"
    assert json.loads(say("halt", "KO", "--json")[1])["halted"] == ["KO"]
    assert json.loads(say("resume", "KO", "--json")[1])["halted"] == []
    code, text = say("halt", "NOPE", "--json")
    assert (code, json.loads(text)["exit_code"]) == (2, 2)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"symbol": "KO"}, "action, quantity is missing"),
        (RESTING | {"colour": "red"}, "colour is unknown"),
        (RESTING | {"quantity": "ten"}, "totalQuantity"),
        (RESTING | {"limit": "1.005"}, "110"),
        (RESTING | {"quantity": 1.5}, "10243"),
        (RESTING | {"symbol": "SPX"}, "200"),
    ],
)
async def test_bad_ones_say_why(shared_gateway, open_control, request_, says):
    reply = await (await open_control(shared_gateway)).raw("order", **request_)
    assert not reply["ok"]
    assert says in reply["error"]
