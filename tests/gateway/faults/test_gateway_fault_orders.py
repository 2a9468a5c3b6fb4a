"""Faults of orders, executions and commissions."""

import pytest
from ib_async import MarketOrder

pytestmark = pytest.mark.journey

STATUS, ERROR, EXECUTION, COMMISSION = "3", "4", "11", "59"


async def test_partial_fill(ib, market):
    await market.fault("partial-fill", share=0.4)
    trade = ib.buy(100)
    await ib.until(trade.isDone)
    assert (trade.filled(), trade.orderStatus.status) == (40, "Cancelled")


async def test_commission_before_its_execution(ib, market):
    await market.fault("early-commission")
    ib.buy(10)
    await ib.flushed()
    assert ib.of(EXECUTION) == []
    await market.go(1)
    await ib.until(lambda: ib.of(EXECUTION))
    assert [fields[0] for fields in ib.of(EXECUTION, COMMISSION)][:2] == [COMMISSION, EXECUTION]


async def test_commission_long_after_its_execution(ib, market):
    await market.fault("late-commission", seconds=60)
    await ib.filled()
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
    await ib.filled()
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
    await ib.filled()
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
    await ib.filled()
    await ib.flushed()
    kinds = [
        fields[0] for fields in ib.heard if fields[0] in {STATUS, EXECUTION} or "10349" in fields
    ]
    assert kinds.index(ERROR) < kinds.index(EXECUTION)
    assert ib.of(STATUS)[-1][2] == "Filled"


async def test_refused_cancel_leaves_the_order_working(ib, market):
    await market.fault("refuse-cancel", code=161)
    trade = ib.far()
    await ib.flushed()
    for codes, is_working in ((["161"], True), (["161", "202"], False)):
        ib.client.cancelOrder(trade.order.orderId)
        await ib.flushed()
        assert [fields[3] for fields in ib.of(ERROR) if fields[3] in {"161", "202"}] == codes
        working = {t.order.orderId for t in await ib.reqAllOpenOrdersAsync()}
        assert (trade.order.orderId in working) is is_working


async def test_rejection_201_then_inactive(ib, market):
    await market.fault("reject-order", reason="Order rejected - reason:No")
    trade = ib.far()
    await ib.until(trade.isDone)
    await ib.flushed()
    news = [fields for fields in ib.of(ERROR, STATUS) if fields[0] == STATUS or fields[3] == "201"]
    assert [fields[0] for fields in news] == [ERROR, STATUS]
    assert news[1][2] == "Inactive"
    assert trade.order.orderId not in {t.order.orderId for t in await ib.reqAllOpenOrdersAsync()}


async def test_message_399_leaves_the_order_live(ib, market):
    await market.fault("order-message")
    trade = ib.far()
    await ib.flushed()
    assert 399 in ib.codes()
    assert [t.order.orderId for t in await ib.reqAllOpenOrdersAsync()] == [trade.order.orderId]
    ib.cancelOrder(trade.order)
    await ib.flushed()


async def test_locate_hold_404_then_a_fill(ib, market):
    await market.fault("locate-hold", seconds=20)
    trade = ib.placeOrder(ib.ko, MarketOrder("SELL", 10))
    await ib.flushed()
    assert 404 in ib.codes()
    assert [(fields[2], fields[10]) for fields in ib.of(STATUS)][-1] == ("PreSubmitted", "locate")
    await market.go(19)
    await ib.flushed()
    assert trade.filled() == 0
    await market.go(2)
    await ib.until(lambda: trade.filled() == 10)
    assert ib.of(STATUS)[-1][10] == ""


async def test_duplicate_order_id_103(ib, market):
    await market.fault("duplicate-id")
    ib.far()
    await ib.flushed()
    assert ib.codes()[-1] == 103
    assert await ib.reqAllOpenOrdersAsync() == []


async def test_two_permanent_ids_for_one_modified_order(ib, market):
    await market.fault("two-perm-ids")
    trade = ib.far()
    order = trade.order
    await ib.until(lambda: trade.orderStatus.status == "Submitted")
    order.lmtPrice = 1.1
    ib.placeOrder(ib.ko, order)
    await ib.flushed()
    ib.heard.clear()
    ib.client.reqAllOpenOrders()
    await ib.until(lambda: ib.of("53"))
    live = ib.of(STATUS)
    assert len(live) == 2
    assert len({fields[6] for fields in live}) == 2
    assert {fields[1] for fields in live} == {str(order.orderId)}
    ib.reqGlobalCancel()
    await ib.until(lambda: len([f for f in ib.of(STATUS) if f[2] == "Cancelled"]) == 2)


async def test_early_commission_cleared_loses_no_execution(ib, market):
    await market.fault("early-commission")
    ib.buy(10)
    await ib.flushed()
    assert ib.of(EXECUTION) == []
    await market.control.ask("clear-faults")
    await ib.until(lambda: ib.of(EXECUTION))
    await market.go(1)
    await ib.until(lambda: ib.of(COMMISSION))
    assert len(ib.of(EXECUTION)) == 1


async def test_early_commission_counts_the_executions_that_it_holds(ib, market):
    await market.fault("early-commission", count=1)
    ib.buy(10)
    ib.buy(10)
    await ib.flushed()
    assert len(ib.of(EXECUTION)) == 1
    await market.go(1)
    await ib.until(lambda: len(ib.of(EXECUTION)) == 2)


async def test_locate_hold_cleared_works_the_order(ib, market):
    await market.fault("locate-hold", seconds=3600)
    trade = ib.placeOrder(ib.ko, MarketOrder("SELL", 10))
    await ib.until(lambda: 404 in ib.codes())
    await market.control.ask("clear-faults")
    await ib.until(lambda: trade.filled() == 10)
