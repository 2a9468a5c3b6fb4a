"""GW-4xx orders, and GW-6xx what is left after failures."""

import asyncio

import pytest

pytestmark = pytest.mark.journey

OPEN_ORDER, STATUS, EXECUTION, COMMISSION = 5, 3, 11, 59


def far(desk, **fields):
    return desk.lib.LimitOrder("BUY", 1, 1.0, **fields)


async def cancelled(desk, *trades):
    for trade in trades:
        desk.ib.cancelOrder(trade.order)
    await desk.until(lambda: all(t.orderStatus.status == "Cancelled" for t in trades))


async def test_gw401_a_resting_limit_is_submitted(desk):
    """openOrder comes before orderStatus; a permanent id is given; the reference is echoed."""
    contract = await desk.stock()
    trade = desk.place(contract, far(desk, orderRef="gw401"))
    await desk.until(lambda: trade.orderStatus.status in {"Submitted", "PreSubmitted"})
    assert [f[0] for f in desk.of(OPEN_ORDER, STATUS)][:2] == ["5", "3"]
    assert trade.order.permId or trade.orderStatus.permId
    assert "gw401" in desk.of(OPEN_ORDER)[0]
    await cancelled(desk, trade)


async def test_gw402_cancel_is_202_and_cancelled(desk):
    """A cancel is answered 202 and orderStatus Cancelled."""
    contract = await desk.stock()
    trade = desk.place(contract, far(desk))
    await desk.flushed()
    await cancelled(desk, trade)
    await desk.until(lambda: 202 in desk.codes())
    assert desk.of(STATUS)[-1][2] == "Cancelled"


async def test_gw403_cancel_of_an_unknown_order_is_10147(desk):
    """An id that was never used cannot be cancelled."""
    await desk.stock()
    desk.ib.client.cancelOrder(999_999, "")
    await desk.until(lambda: {10147, 135} & set(desk.codes()))


async def test_gw404_cancel_of_a_done_order_is_10148(desk):
    """A done order cannot be cancelled: 10148 (161 in older gateways)."""
    contract = await desk.stock()
    trade = desk.place(contract, far(desk))
    await desk.flushed()
    await cancelled(desk, trade)
    desk.ib.client.cancelOrder(trade.order.orderId, "")
    await desk.until(lambda: {10148, 161} & set(desk.codes()))


async def test_gw405_a_modified_order_keeps_its_ids(desk):
    """A new limit under the same order id changes the order, not its permanent id."""
    contract = await desk.stock()
    trade = desk.place(contract, far(desk))
    await desk.flushed()
    permanent = {f[6] for f in desk.of(STATUS)}
    trade.order.lmtPrice = 1.05
    desk.place(contract, trade.order)
    await desk.flushed()
    await desk.until(lambda: any("1.05" in f for f in desk.of(OPEN_ORDER)))
    assert {f[6] for f in desk.of(STATUS)} == permanent
    await cancelled(desk, trade)


async def test_gw406_a_used_order_id_is_103(desk):
    """The id of a done order cannot be used again."""
    contract = await desk.stock()
    trade = desk.place(contract, far(desk))
    await desk.flushed()
    await cancelled(desk, trade)
    desk.ib.client.placeOrder(trade.order.orderId, contract, far(desk))
    await desk.until(lambda: 103 in desk.codes())


async def test_gw407_a_price_off_the_tick_is_110(desk):
    """A price between ticks is refused, and nothing is left of the order."""
    contract = await desk.stock()
    desk.place(contract, desk.lib.LimitOrder("BUY", 1, 50.00123))
    await desk.until(lambda: 110 in desk.codes())
    assert await desk.ib.reqAllOpenOrdersAsync() == []


@pytest.mark.parametrize("quantity", [0, -5])
async def test_gw408_impossible_sizes_are_refused(desk, quantity):
    """Zero and negative sizes are refused with a code of the request."""
    contract = await desk.stock()
    desk.place(contract, desk.lib.LimitOrder("BUY", quantity, 1.0))
    await desk.until(lambda: desk.codes(100))
    assert await desk.ib.reqAllOpenOrdersAsync() == []


async def test_gw409_an_order_for_an_unknown_contract_is_200(desk):
    """No security, no order."""
    await desk.stock()
    desk.place(desk.lib.Stock("NOSUCH", "SMART", "USD"), far(desk))
    await desk.until(lambda: 200 in desk.codes())


async def test_gw410_what_if_tells_margins_and_leaves_nothing(desk):
    """A what-if is answered by an openOrder with margins and no orderStatus."""
    contract = await desk.stock()
    state = await asyncio.wait_for(desk.ib.whatIfOrderAsync(contract, far(desk)), 10)
    assert float(state.initMarginAfter) >= 0
    assert desk.of(STATUS) == []
    assert await desk.ib.reqAllOpenOrdersAsync() == []


async def test_gw411_all_open_orders_shows_other_clients(desk, open_desk):
    """Another client sees the order with its owner's ids, and cannot cancel it."""
    contract = await desk.stock()
    trade = desk.place(contract, far(desk, orderRef="gw411"))
    await desk.flushed()
    other = await open_desk()
    await other.stock()
    seen = [t for t in await other.ib.reqAllOpenOrdersAsync() if t.order.orderRef == "gw411"]
    assert [t.order.clientId for t in seen] == [desk.client_id]
    other.ib.client.cancelOrder(trade.order.orderId, "")
    await other.until(lambda: {10147, 135} & set(other.codes()))
    assert trade.orderStatus.status != "Cancelled"
    await cancelled(desk, trade)


async def test_gw412_global_cancel(desk):
    """reqGlobalCancel cancels every working order."""
    contract = await desk.stock()
    trades = [desk.place(contract, far(desk)) for _ in range(3)]
    await desk.flushed()
    desk.ib.reqGlobalCancel()
    await desk.until(lambda: all(t.orderStatus.status == "Cancelled" for t in trades))


async def test_gw413_untransmitted_orders_wait(desk):
    """transmit=False is kept; the same id with transmit=True goes to work."""
    contract = await desk.stock()
    order = far(desk, transmit=False)
    trade = desk.place(contract, order)
    await desk.flushed()
    assert trade.orderStatus.status in {"PreSubmitted", "Inactive", "PendingSubmit", "ApiPending"}
    order.transmit = True
    desk.place(contract, order)
    await desk.until(lambda: trade.orderStatus.status in {"Submitted", "PreSubmitted"})
    await cancelled(desk, trade)


async def test_gw421_a_market_order_tells_its_whole_life(desk, market):
    """PreSubmitted, an execution, Filled, and its commission afterwards."""
    contract = await desk.stock()
    trade = await desk.placed(contract, desk.lib.MarketOrder("BUY", 10), "Filled")
    await market.go(2)
    await desk.until(lambda: desk.of(COMMISSION))
    kinds = [f[0] for f in desk.of(OPEN_ORDER, STATUS, EXECUTION, COMMISSION)]
    assert kinds.index("5") < kinds.index("3") < kinds.index("11") < kinds.index("59")
    statuses = [f[2] for f in desk.of(STATUS)]
    assert (statuses[0], statuses[-1]) == ("PreSubmitted", "Filled")
    assert sum(fill.execution.shares for fill in trade.fills) == 10
    assert all(fill.commissionReport.commission > 0 for fill in trade.fills)


async def test_gw422_executions_are_asked_for_and_filtered(desk, market):
    """reqExecutions gives today's, and filters by symbol and side."""
    contract = await desk.stock("PFE")
    await desk.placed(contract, desk.lib.MarketOrder("BUY", 1), "Filled")
    got = await desk.ib.reqExecutionsAsync(desk.lib.ExecutionFilter(symbol="PFE", side="BUY"))
    assert {fill.contract.symbol for fill in got} == {"PFE"}
    none = await desk.ib.reqExecutionsAsync(desk.lib.ExecutionFilter(symbol="PFE", side="SELL"))
    assert list(none) == []


async def test_gw423_an_ioc_that_cannot_fill_is_cancelled(desk, market):
    """IOC and FOK away from the market end at once."""
    contract = await desk.stock()
    for tif in ("IOC", "FOK"):
        await desk.placed(contract, far(desk, tif=tif), "Cancelled")


async def test_gw424_a_marketable_limit_fills_at_its_limit_or_better(desk, market):
    """No fill of a buy is above its limit."""
    contract = await desk.stock()
    _, ask = await desk.quote(contract)
    limit = round(ask + 0.05, 2)
    trade = await desk.placed(contract, desk.lib.LimitOrder("BUY", 10, limit), "Filled")
    assert all(fill.execution.price <= limit for fill in trade.fills)


async def test_gw425_too_large_for_the_account_is_201_and_inactive(desk, market):
    """An order beyond the margin: 201, then Inactive."""
    contract = await desk.stock()
    desk.place(contract, desk.lib.MarketOrder("BUY", 10_000_000))
    await desk.until(lambda: [f for f in desk.of(STATUS) if f[2] == "Inactive"])
    assert 201 in desk.codes()


async def test_gw426_completed_orders(desk, market):
    """A filled and a cancelled order are among the completed ones."""
    contract = await desk.stock()
    filled = await desk.placed(contract, desk.lib.MarketOrder("BUY", 1), "Filled")
    desk.ib.client.reqCompletedOrders(False)
    await desk.until(lambda: desk.of(102))
    permanent = str(filled.order.permId or filled.orderStatus.permId)
    assert any(permanent in fields for fields in desk.of(101))


async def test_gw427_a_bracket_waits_for_its_parent(desk, market):
    """Children work once the parent has filled; one of them filled or cancelled ends the other."""
    contract = await desk.stock()
    bid, ask = await desk.quote(contract)
    entry, gain, loss = (round(price, 2) for price in (bid - 3, ask + 9, bid - 9))
    bracket = desk.ib.bracketOrder("BUY", 10, entry, gain, loss)
    parent, profit, stop = (desk.place(contract, order) for order in bracket)
    await desk.flushed()
    await desk.until(lambda: parent.orderStatus.status == "Submitted")
    assert profit.orderStatus.status == stop.orderStatus.status == "PreSubmitted"
    await cancelled(desk, parent)
    await desk.until(lambda: profit.orderStatus.status == stop.orderStatus.status == "Cancelled")


async def test_gw428_one_of_a_group_cancels_the_others(desk, market):
    """OCA: the fill of one cancels the rest of its group."""
    contract = await desk.stock()
    _, ask = await desk.quote(contract)
    group = {"ocaGroup": f"gw428-{desk.client_id}", "ocaType": 1}
    waiting = await desk.placed(contract, far(desk, **group))
    order = desk.lib.LimitOrder("BUY", 10, round(ask + 0.05, 2), **group)
    await desk.placed(contract, order, "Filled")
    await desk.until(lambda: waiting.orderStatus.status == "Cancelled")


async def test_gw429_a_stop_waits_for_its_trigger(desk, market):
    """A stop away from the market is PreSubmitted and does not trade."""
    contract = await desk.stock()
    bid, _ = await desk.quote(contract)
    trade = desk.place(contract, desk.lib.StopOrder("SELL", 1, round(bid * 0.8, 2)))
    await desk.flushed()
    await market.go(5)
    await desk.flushed()
    assert trade.orderStatus.status == "PreSubmitted"
    await cancelled(desk, trade)


async def test_gw601_a_reconnect_finds_order_fills_and_ids(desk, market, open_desk):
    """After a cut: the open order by its reference, the fills, an order id above all used."""
    contract = await desk.stock()
    order = far(desk, orderRef="gw601", tif="GTC")
    trade = desk.place(contract, order)
    await desk.flushed()
    await desk.placed(contract, desk.lib.MarketOrder("BUY", 2, orderRef="gw601-f"), "Filled")
    await market.fault("kill-socket", client=desk.client_id)
    await desk.until(lambda: not desk.ib.isConnected())
    again = await open_desk(desk.client_id)
    live = [t for t in again.ib.openTrades() if t.orderStatus.status == "Submitted"]
    assert [t.order.orderRef for t in live] == ["gw601"]
    assert "gw601-f" in {fill.execution.orderRef for fill in again.ib.fills()}
    assert again.ib.client.getReqId() > trade.order.orderId
    again.ib.reqGlobalCancel()
    await again.until(lambda: live[0].orderStatus.status == "Cancelled")


async def test_gw602_an_outage_loses_no_fill(desk, market):
    """1100, a fill meanwhile, 1102: the execution is told afterwards."""
    contract = await desk.stock()
    await market.fault("connectivity-lost", seconds=20)
    trade = desk.place(contract, desk.lib.MarketOrder("BUY", 3))
    await market.go(25)
    await desk.until(lambda: trade.orderStatus.status == "Filled")
    codes = [code for code in desk.codes(1000) if code < 2000]
    assert codes == [1100, 1102]


async def test_gw603_a_correction_has_an_id_of_its_own(desk, market):
    """A corrected execution is told with the same id but for its end, 02."""
    contract = await desk.stock()
    await market.fault("correct-execution", cents=1, seconds=2)
    await desk.placed(contract, desk.lib.MarketOrder("BUY", 3), "Filled")
    await market.go(5)
    await desk.until(lambda: [f for f in desk.of(EXECUTION) if f[14].endswith(".02")])
