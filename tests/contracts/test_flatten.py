"""Flatten on a real gateway: our positions go to zero by reducing orders, and no share further."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading, InvalidInput, RetryLater
from models.domain.orders import Side
from models.risk.limits import RiskLimits
from tasks.books.account_snapshot import read_account
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import GatewayUnreachable
from tasks.halts.flattening import FlattenOrder, flatten
from tasks.halts.halting import HaltOrder, halt_trading
from tasks.halts.resuming import resume_trading

pytestmark = pytest.mark.journey

LIMITS = RiskLimits(max_order_quantity=100_000, max_position_weight=1.0)
ORDER = FlattenOrder("tester", "enough")


def close(settings, ledger, limits=LIMITS, order=ORDER, told=None):
    return asyncio.run(
        flatten(settings, ledger, limits, order, (told if told is not None else []).append)
    )


def halt(settings):
    done = halt_trading(settings, HaltOrder("enough", "tester"))
    assert done.trouble == ""


def children_of(ledger, session, strategy="flatten"):
    parents = ledger.parents.of_session(session, strategy)
    return [c for p in parents for c in ledger.children.of_parent(p.order.parent_id)]


@pytest.fixture
def own_gateway(start_gateway):
    return start_gateway("flat")


@pytest.fixture
def holding(own_gateway, open_ledger, make_span, make_parent, execute):
    """90 KO and 60 PEP bought by the system, 20 KO and 15 XOM by hand."""
    settings = own_gateway.settings
    ledger = open_ledger(settings)
    span = make_span(own_gateway)
    ledger.parents.add(
        [make_parent(span, "KO", quantity=90), make_parent(span, "PEP", quantity=60)]
    )
    execute(settings, ledger, limits=LIMITS)
    asyncio.run(buy_by_hand(own_gateway, {"KO": 20, "XOM": 15}))
    assert read_account(settings).positions == {"KO": 110, "PEP": 60, "XOM": 15}
    return own_gateway, settings, ledger, span


async def buy_by_hand(gateway, shares):
    from ib_async import IB, MarketOrder, Stock

    ib = IB()
    await ib.connectAsync("127.0.0.1", gateway.settings.port, clientId=51)
    async with gateway.clock() as clock:
        trades = [
            ib.placeOrder(Stock(symbol, "SMART", "USD"), MarketOrder("BUY", count))
            for symbol, count in shares.items()
        ]
        await ib.reqCurrentTimeAsync()
        while not all(trade.isDone() for trade in trades):
            await clock.sleep_until(clock.now() + timedelta(seconds=2))
            await ib.reqCurrentTimeAsync()
    ib.disconnect()


def test_ours_is_closed_and_what_was_bought_by_hand_is_not(holding):
    _, settings, ledger, span = holding
    halt(settings)
    told = []
    done = close(settings, ledger, told=told)
    assert done.closed == {"KO": 90, "PEP": 60}
    assert (done.left, done.external) == ({}, {"KO": 20, "XOM": 15})
    assert read_account(settings).positions == {"KO": 20, "XOM": 15}
    assert any("closed KO" in line for line in told)
    children = children_of(ledger, span.session)
    assert {c.side for c in children} == {Side.SELL}
    assert all(c.limit_price is not None and c.tif == "IOC" for c in children)
    again = close(settings, ledger)
    assert (again.closed, again.left) == ({}, {})
    assert resume_trading(settings, ledger, "flat, as wanted", "tester").resumed
    rest = close_all(settings, ledger)
    assert rest.closed == {"KO": 20, "XOM": 15}
    assert read_account(settings).positions == {}


def close_all(settings, ledger):
    with pytest.raises(InvalidInput, match="needs a halt first"):
        close(settings, ledger)
    halt(settings)
    return close(settings, ledger, order=replace(ORDER, everything=True))


def test_one_symbol_in_pieces_within_the_notional_limit(holding):
    _, settings, ledger, span = holding
    halt(settings)
    small = replace(LIMITS, max_order_notional=1500.0)
    done = close(settings, ledger, small, replace(ORDER, symbol="KO"))
    assert (done.closed, done.left) == ({"KO": 90}, {})
    assert read_account(settings).positions == {"KO": 20, "PEP": 60, "XOM": 15}
    children = children_of(ledger, span.session)
    assert len(children) >= 4
    assert all(c.quantity * c.limit_price <= Decimal(1600) for c in children)


def test_a_flatten_that_breaks_off_at_a_send_is_simply_given_again(holding, monkeypatch):
    """The connection dies with the intent committed: once after the order was written, once before.

    Each time the next call settles what became of it, and sells the rest and no share more.
    """
    _, settings, ledger, span = holding
    halt(settings)
    real, died = OrderConnection.send, []

    def send(self, child):
        died.append(child)
        if len(died) == 1:
            real(self, child)
        if len(died) <= 2:
            raise GatewayUnreachable("the connection broke")
        real(self, child)

    with monkeypatch.context() as patch:
        patch.setattr(OrderConnection, "send", send)
        for _ in range(2):
            with pytest.raises(GatewayUnreachable):
                close(settings, ledger)
        done = close(settings, ledger)
    assert done.left == {}
    assert read_account(settings).positions == {"KO": 20, "XOM": 15}
    sold = dict.fromkeys(("KO", "PEP"), 0)
    for record in ledger.parents.of_session(span.session, "flatten"):
        fills = ledger.executions.fills_of(record.order.parent_id)
        sold[record.order.symbol] += sum(f.quantity for f in fills)
        assert record.state.is_terminal
    assert sold == {"KO": 90, "PEP": 60}
    assert ledger.check() == []


def test_a_session_at_full_speed_stops_and_sends_nothing_after(
    own_gateway, open_ledger, make_span, make_parent, execute
):
    settings = own_gateway.settings.model_copy(update={"slices": 60})
    ledger = open_ledger(settings)
    require_closed_market(settings, ledger)
    span = make_span(own_gateway, minutes=120)
    ledger.parents.add([make_parent(span, s, quantity=600) for s in ("KO", "PEP", "XOM", "WMT")])
    halts = []

    def halt_and_count():
        done = halt_trading(settings, HaltOrder("now", "tester"))
        halts.append((done, len(children_of(ledger, span.session, "t"))))

    threads = []

    def stop(progress):
        if progress.done_shares > 100 and not threads:
            threads.append(threading.Thread(target=halt_and_count))
            threads[0].start()

    with pytest.raises(HaltTrading, match="halted by tester"):
        execute(settings, ledger, limits=LIMITS, on_progress=stop)
    threads[0].join()
    [(done, sent)] = halts
    assert (done.still_working, done.trouble) == (0, "")
    assert len(children_of(ledger, span.session, "t")) == sent < 240
    shown = read_account(settings)
    assert shown.open_orders == ()
    at_broker = {o.order_ref for o in shown.orders}
    assert at_broker == {c.order_ref for c in children_of(ledger, span.session, "t")}
    assert close(settings, ledger).left == {}
    assert read_account(settings).positions == {}


def require_closed_market(settings, ledger):
    """Before the open a flatten says so and sends nothing."""
    halt(settings)
    with pytest.raises(RetryLater, match="market is closed, so nothing was closed"):
        close(settings, ledger)
    assert read_account(settings).orders == ()
    assert resume_trading(settings, ledger, "tried", "tester").resumed
