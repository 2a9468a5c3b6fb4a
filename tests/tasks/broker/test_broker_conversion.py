"""ib_async's objects to domain types, and the messages that no domain type can hold."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from ib_async import (
    AccountValue,
    BarData,
    CommissionReport,
    Contract,
    Execution,
    Option,
    Order,
    OrderState,
    Stock,
    Ticker,
)

from models.domain.errors import HaltTrading
from models.domain.orders import Side
from tasks.broker import conversion
from tasks.broker.codes import is_refusal
from tasks.broker.ibkr import EvidenceIB, OrderConnection

KO = Stock("KO", "SMART", "USD")
UNSET = conversion.UNSET_DOUBLE
NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)


def execution(**fields):
    chosen = {
        "execId": "0001.01",
        "orderRef": "p.1.1",
        "side": "BOT",
        "shares": 10.0,
        "price": 50.1,
        "time": datetime(2022, 12, 29, 10, tzinfo=timezone(timedelta(hours=-5))),
        "permId": 9,
    }
    return Execution(**(chosen | fields))


def test_an_execution_becomes_a_fill_with_the_decimal_of_the_wire():
    fill = conversion.fill_of(KO, execution())
    assert (fill.price, fill.quantity, fill.side) == (Decimal("50.1"), 10, Side.BUY)
    assert fill.at == NOW
    assert fill.at.tzinfo is UTC
    assert fill.commission is None
    assert conversion.fill_of(KO, execution(side="SLD")).side is Side.SELL


@pytest.mark.parametrize("shares", [0.5, 10.0001, float("nan"), float("inf")])
def test_a_fraction_of_a_share_is_refused(shares):
    with pytest.raises(HaltTrading, match="no whole number.*sell the fraction in TWS"):
        conversion.fill_of(KO, execution(shares=shares))


def test_a_bust_has_no_shares():
    assert conversion.fill_of(KO, execution(shares=0.0)).quantity == 0


def test_a_commission_that_was_not_told_is_none_and_a_zero_is_zero():
    told = CommissionReport(execId="e", commission=0.35, currency="USD", realizedPNL=UNSET)
    found = conversion.commission_of(told)
    assert (found.amount, found.realized_pnl) == (Decimal("0.35"), None)
    assert conversion.commission_of(CommissionReport(execId="e", commission=UNSET)) is None
    assert conversion.commission_of(CommissionReport(execId="e", commission=float("nan"))) is None
    zero = CommissionReport(execId="e", commission=0.0, currency="USD", realizedPNL=1.5)
    assert conversion.commission_of(zero).amount == 0
    assert conversion.commission_of(zero).realized_pnl == Decimal("1.5")


def test_a_completed_order_without_its_filled_quantity_has_none_proven():
    order = Order(orderRef="p.1.1", permId=9, filledQuantity=UNSET)
    assert conversion.status_of_completed(KO, order, "Cancelled").filled == 0
    order = Order(orderRef="p.1.1", permId=9, filledQuantity=7.0)
    assert conversion.status_of_completed(KO, order, "Cancelled").filled == 7


def test_an_open_order_proves_its_whole_quantity_and_no_fill():
    order = Order(orderRef="p.1.1", orderId=4, clientId=11, permId=9, totalQuantity=30.0)
    found = conversion.status_of_open(KO, order, "Submitted")
    assert (found.filled, found.remaining, found.order_id) == (0, 30, 4)
    assert not found.is_over


@pytest.mark.parametrize(
    ("status", "remaining", "held", "over"),
    [
        ("Submitted", 5, "", False),
        ("Filled", 0, "", True),
        ("Cancelled", 5, "", True),
        ("ApiCancelled", 5, "", True),
        ("PendingCancel", 5, "", False),
        ("Inactive", 5, "locate", False),
        ("Inactive", 5, "", False),
        ("Inactive", 0, "", True),
    ],
)
def test_which_words_end_an_order(status, remaining, held, over):
    found = conversion.status_of_message(5, status, 0.0, remaining, 0.0, 9, 0, 0.0, 11, held)
    assert found.is_over is over


def test_an_option_on_a_stock_is_not_that_stock():
    option = Option("KO", "20230120", 60, "C", "SMART", localSymbol="KO 230120C00060000")
    assert conversion.name_of(KO) == "KO"
    assert conversion.name_of(option) == "KO 230120C00060000 OPT"
    assert conversion.name_of(Contract(symbol="EUR", secType="CASH")) == "EUR CASH"


def ticker(bid=49.99, ask=50.0, kind=1, size=300.0):
    found = Ticker(contract=KO)
    found.bid, found.ask, found.bidSize, found.askSize = bid, ask, size, size
    found.marketDataType = kind
    return found


def test_a_quote_needs_two_real_sides_in_real_time():
    quote = conversion.quote_of("KO", ticker(), NOW)
    assert (quote.bid, quote.ask, quote.bid_size) == (Decimal("49.99"), Decimal("50.0"), 300)
    assert conversion.quote_of("KO", ticker(size=float("nan")), NOW).ask_size == 0
    for broken in (
        ticker(bid=float("nan")),
        ticker(ask=-1.0),
        ticker(bid=0.0),
        ticker(ask=float("inf")),
        ticker(kind=3),
    ):
        assert conversion.quote_of("KO", broken, NOW) is None


def test_daily_bars_make_the_bars_frame_even_when_there_are_none():
    bar = BarData(date(2022, 12, 28), 1.0, 2.0, 0.5, 1.5, 1000.0, 1.2, 10)
    frame = conversion.bars_frame("KO", [bar])
    assert frame.to_dict("records") == [
        {
            "symbol": "KO",
            "session": date(2022, 12, 28),
            "open": 1.0,
            "high": 2.0,
            "low": 0.5,
            "close": 1.5,
            "volume": 1000,
        }
    ]
    none = conversion.bars_frame("KO", [])
    assert list(none.columns) == list(frame.columns)
    assert str(none["volume"].dtype) == "int64"
    assert conversion.session_of(datetime(2022, 12, 28, 5, tzinfo=UTC)) == date(2022, 12, 28)


@pytest.mark.parametrize(
    ("first", "text"),
    [
        (None, "33 Y"),
        (date(2022, 12, 28), "1 D"),
        (date(2022, 12, 1), "28 D"),
        (date(2021, 12, 1), "2 Y"),
    ],
)
def test_the_history_asked_for_covers_the_days_wanted(first, text):
    assert conversion.duration(first, date(2022, 12, 28)) == text


def test_only_codes_that_refuse_an_order_are_rejections():
    assert all(is_refusal(code) for code in (103, 110, 200, 201, 203, 10243))
    assert not any(is_refusal(code) for code in (161, 202, 399, 404, 10147, 10148, 10349))


async def test_a_message_that_cannot_be_read_stops_trading_instead_of_being_lost():
    """ib_async logs what a handler raises and goes on; the connection must not."""
    ib = EvidenceIB()
    link = OrderConnection(ib, "nowhere", 1.0)
    ib.wrapper.execDetails(-1, KO, execution(shares=0.5))
    with pytest.raises(HaltTrading, match=r"execution 0001\.01.*0\.5 shares"):
        link.pending_events()
    assert ib.log.fills == {}


async def test_every_message_is_noted_before_ib_async_interprets_it():
    """ib_async drops a commission before its execution and adds corrections; the log does not."""
    ib = EvidenceIB()
    ib.client.clientId = 0
    wrapper = ib.wrapper
    order = Order(orderRef="p.1.1", orderId=4, permId=9, totalQuantity=20.0)
    report = CommissionReport(execId="0001.01", commission=0.35, currency="USD", realizedPNL=UNSET)
    wrapper.commissionReport(report)
    wrapper.openOrder(4, KO, order, OrderState(status="Submitted"))
    wrapper.execDetails(-1, KO, execution())
    wrapper.execDetails(-1, KO, execution(execId="0001.02", shares=9.0))
    wrapper.orderStatus(4, "Filled", 20.0, 0.0, 50.0, 9, 0, 50.0, 0, "", 0.0)
    wrapper.startReq("completedOrders")
    wrapper.completedOrder(KO, Order(permId=9, filledQuantity=20.0), OrderState(status="Filled"))
    names = [type(event).__name__ for event in ib.log.take()]
    assert names == ["Commission", "Fill", "Fill", "OrderStatus", "OrderStatus"]
    assert set(ib.log.fills) == {"0001.01", "0001.02"}
    what_if = Order(orderRef="w", orderId=5, permId=0, totalQuantity=1.0, whatIf=True)
    wrapper.openOrder(5, KO, what_if, OrderState(initMarginChange=str(UNSET)))
    assert "w" not in {o.order_ref for o in ib.log.orders.values()}
    wrapper.error(4, 10349, "Order TIF was set to DAY", "")
    (notice,) = ib.log.take()
    assert (notice.code, notice.order_ref) == (10349, "p.1.1")


@pytest.mark.parametrize(
    ("told", "left"), [("2", 2), ("0", 0), ("-1", None), ("", None), ("Unlimited", None)]
)
def test_the_day_trades_that_the_broker_leaves(told, left):
    value = AccountValue("SIM1", conversion.DAY_TRADES, told, "", "")
    assert conversion.day_trades_of([value], "SIM1") == left
    assert conversion.day_trades_of([value], "SIM2") is None


def test_an_account_in_another_currency_is_refused():
    """Its amounts would be taken for USD: by every limit, and by the size of every order."""
    told = [
        AccountValue("SIM1", "TotalCashValue", "1000.50", "USD", ""),
        AccountValue("SIM1", "NetLiquidation", "2000", "USD", ""),
        AccountValue("SIM2", "NetLiquidation", "9", "EUR", ""),
    ]
    wanted = "TotalCashValue,NetLiquidation"
    amounts = conversion.summary_of(told, "SIM1", wanted)
    assert amounts == {"TotalCashValue": Decimal("1000.50"), "NetLiquidation": Decimal(2000)}
    told[1] = AccountValue("SIM1", "NetLiquidation", "2000", "EUR", "")
    with pytest.raises(HaltTrading, match="NetLiquidation in EUR"):
        conversion.summary_of(told, "SIM1", wanted)


def test_an_execution_of_no_known_side_is_not_taken_for_a_sale():
    assert conversion.fill_of(KO, execution(side="SLD")).side is Side.SELL
    with pytest.raises(HaltTrading, match="unknown side 'SSHORT'"):
        conversion.fill_of(KO, execution(side="SSHORT"))
