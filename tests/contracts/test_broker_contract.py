"""The broker's edge against a real gateway process, over a real socket."""

import asyncio
from datetime import UTC, timedelta
from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput, RetryLater
from models.domain.orders import Fill, Side
from tasks.broker.clock import GatewayClock
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import (
    ApiAddress,
    BrokerNotice,
    Commission,
    ConnectionDown,
    GatewayUnreachable,
    OrderStatus,
)
from tasks.processes import free_port

pytestmark = pytest.mark.journey


async def settle(clock, link, seconds=3):
    """Return what came for orders, once the gateway has read them and time has gone on."""
    await link.flush()
    await clock.sleep_until(clock.now() + timedelta(seconds=seconds))
    await link.flush()
    events = link.pending_events()
    return [e for e in events if not (isinstance(e, BrokerNotice) and not e.order_ref)]


def kinds(events):
    return [e.status if isinstance(e, OrderStatus) else type(e).__name__ for e in events]


# -- connecting -------------------------------------------------------------------------------


async def test_a_new_account_is_read_whole(gateway):
    async with gateway.orders(31) as link:
        evidence = await link.collect_evidence()
        assert link.account == evidence.account == "SIM0000001"
        assert link.client_id == 31
        assert evidence.cash == evidence.net_liquidation == Decimal(100_000)
        assert evidence.day_trades_remaining is None, "-1: without a limit"
        assert evidence.positions == {}
        assert evidence.orders == evidence.fills == evidence.commissions == ()
        assert evidence.at.tzinfo is UTC
        assert link.next_order_id() < link.next_order_id()


async def test_a_port_where_nothing_listens_is_named():
    port = free_port()
    with pytest.raises(GatewayUnreachable, match=f"127.0.0.1:{port}.*robo gateway run.*ROBO_PORT"):
        await OrderConnection.open(ApiAddress("127.0.0.1", port, 1), 5.0)


async def test_a_client_id_in_use_is_told_before_the_deadline(gateway):
    async with gateway.orders(32) as link:
        with pytest.raises(RetryLater, match="client id 32 is in use.*ROBO_CLIENT_ID") as raised:
            await OrderConnection.open(gateway.address(32), 20.0)
        assert not isinstance(raised.value, GatewayUnreachable)
        await link.flush()  # the first connection lives on


async def test_a_client_id_is_free_again_after_its_connection_closed(gateway):
    for _ in range(3):
        async with gateway.orders(33) as link:
            await link.flush()


async def test_a_gateway_that_says_nothing_meets_the_deadline():
    async def swallow(reader, writer):
        while await reader.read(1024):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(GatewayUnreachable, match="no gateway answers"):
            await OrderConnection.open(ApiAddress("127.0.0.1", port, 1), 0.5)
        with pytest.raises(GatewayUnreachable, match="did not answer 'hold' within"):
            clock = GatewayClock("127.0.0.1", port, "test")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tasks.broker.clock.CONTROL_TIMEOUT", 0.3)
                await clock.open()
        assert not clock.is_open
    finally:
        server.close()


async def test_a_gateway_that_falls_silent_meets_the_deadline_of_each_call(gateway):
    """A relay passes everything on until it is told to hold the gateway's answers back."""
    silent = asyncio.Event()

    async def pass_on(reader, writer, is_answer):
        while data := await reader.read(65536):
            if not (is_answer and silent.is_set()):
                writer.write(data)
        writer.close()

    async def relay(reader, writer):
        up, down = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
        await asyncio.gather(pass_on(reader, down, False), pass_on(up, writer, True))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = await OrderConnection.open(ApiAddress("127.0.0.1", port, 34), 1.0)
    try:
        await link.flush()
        silent.set()
        with pytest.raises(GatewayUnreachable, match="did not answer the request for the time"):
            await link.flush()
        with pytest.raises(GatewayUnreachable, match="open orders within 1 s"):
            await link.collect_evidence()
    finally:
        await link.close()
        server.close()


# -- orders -------------------------------------------------------------------------------------


async def test_an_immediate_order_tells_status_then_fill_then_the_end(
    gateway, make_child, into_session
):
    async with gateway.clock() as clock, gateway.orders() as link, gateway.data() as data:
        await into_session(clock)
        await link.qualify(["KO"])
        data.stamp_quotes_with(clock.now)
        await data.subscribe(["KO"])
        await data.flush()
        quote = data.quote("KO")
        child = make_child(link.next_order_id(), str(quote.ask), 10)
        before = await link.collect_evidence()
        link.pending_events()
        link.send(child)
        events = await settle(clock, link, 30)
        fills = [e for e in events if isinstance(e, Fill)]
        told = [e for e in events if isinstance(e, Commission)]
        assert sum(f.quantity for f in fills) == 10
        assert kinds(events)[0] in ("PreSubmitted", "Submitted")
        assert kinds(events).index("Fill") < kinds(events).index("Filled")
        assert {f.order_ref for f in fills} == {child.order_ref}
        assert all(f.commission is None for f in fills), "a commission is a message of its own"
        assert {c.exec_id for c in told} == {f.exec_id for f in fills}
        statuses = [e for e in events if isinstance(e, OrderStatus)]
        assert {s.order_ref for s in statuses} == {child.order_ref}, "named though ids only came"
        assert {s.symbol for s in statuses} == {"KO"}
        after = await link.collect_evidence()
        spent = sum(f.quantity * f.price for f in fills) + sum(c.amount for c in told)
        assert before.cash - after.cash == spent
        assert after.positions["KO"] - before.positions.get("KO", 0) == 10
        assert {f.exec_id for f in fills} <= {f.exec_id for f in after.fills}
        assert {c.exec_id for c in told} <= {c.exec_id for c in after.commissions}
        done = [o for o in after.orders if o.order_ref == child.order_ref]
        assert [(o.status, o.filled, o.is_over) for o in done] == [("Filled", 10, True)]


async def test_an_immediate_order_that_finds_nothing_is_cancelled_unfilled(
    gateway, make_child, into_session
):
    async with gateway.clock() as clock, gateway.orders() as link:
        await into_session(clock)
        await link.qualify(["KO"])
        child = make_child(link.next_order_id(), "1.00")
        link.send(child)
        events = await settle(clock, link)
        last = [e for e in events if isinstance(e, OrderStatus)][-1]
        assert (last.status, last.filled, last.remaining) == ("Cancelled", 0, 10)
        assert last.is_over
        assert not any(isinstance(e, Fill) for e in events)


async def test_a_working_order_is_shown_open_then_cancelled(gateway, make_child, into_session):
    async with gateway.clock() as clock, gateway.orders() as link:
        await into_session(clock)
        await link.qualify(["KO"])
        child = make_child(link.next_order_id(), "1.00", tif="DAY")
        link.send(child)
        await settle(clock, link)
        evidence = await link.collect_evidence()
        (shown,) = evidence.open_orders
        assert (shown.order_ref, shown.status, shown.symbol) == (
            child.order_ref,
            "Submitted",
            "KO",
        )
        link.pending_events()
        link.cancel(child.order_id)
        events = await settle(clock, link)
        assert "Cancelled" in kinds(events)
        evidence = await link.collect_evidence()
        assert evidence.open_orders == ()
        (ended,) = [o for o in evidence.orders if o.order_ref == child.order_ref]
        assert (ended.status, ended.filled) == ("Cancelled", 0)
        link.pending_events()
        link.cancel(child.order_id)  # of an order that is done: a notice, and no new state
        (notice,) = await settle(clock, link)
        assert isinstance(notice, BrokerNotice)
        assert (notice.code, notice.order_ref) == (10148, child.order_ref)


async def test_a_global_cancel_reaches_the_orders_of_every_client(
    gateway, make_child, into_session
):
    async with gateway.clock() as clock, gateway.orders(35) as mine, gateway.orders(36) as other:
        await into_session(clock)
        for link in (mine, other):
            await link.qualify(["KO"])
            order_id = link.next_order_id()
            link.send(make_child(order_id, "1.00", tif="DAY"))
            await link.flush()
        assert len((await mine.collect_evidence()).open_orders) == 2
        assert await mine.cancel_everything() == 2
        await mine.flush()
        assert (await other.collect_evidence()).open_orders == ()


async def test_an_order_id_is_accepted_once(gateway, make_child, into_session):
    async with gateway.clock() as clock, gateway.orders(37) as link:
        await into_session(clock)
        await link.qualify(["KO"])
        first = make_child(link.next_order_id(), "1.00")
        link.send(first)
        await settle(clock, link)
        again = make_child(first.order_id, "1.00", attempt=2)
        link.send(again)
        (notice,) = await settle(clock, link)
        assert isinstance(notice, BrokerNotice)
        assert notice.code == 103
        shown = {o.order_ref for o in (await link.collect_evidence()).orders}
        assert first.order_ref in shown
        assert again.order_ref not in shown


async def test_a_refused_order_leaves_a_notice_and_no_order(gateway, make_child, into_session):
    async with gateway.clock() as clock, gateway.orders(38) as link:
        await into_session(clock)
        await link.qualify(["KO"])
        child = make_child(link.next_order_id(), "50.001")  # off the tick
        link.send(child)
        (notice,) = await settle(clock, link)
        assert isinstance(notice, BrokerNotice)
        assert (notice.code, notice.order_ref) == (110, child.order_ref)
        evidence = await link.collect_evidence()
        assert child.order_ref not in {o.order_ref for o in evidence.orders}


async def test_an_order_beyond_the_account_is_inactive_after_its_code(
    gateway, make_child, into_session
):
    async with gateway.clock() as clock, gateway.orders(39) as link:
        await into_session(clock)
        await link.qualify(["KO"])
        child = make_child(link.next_order_id(), "500.00", 1_000_000)
        link.send(child)
        events = await settle(clock, link)
        assert kinds(events)[0] == "BrokerNotice"
        assert events[0].code == 201
        assert "Inactive" in kinds(events)
        evidence = await link.collect_evidence()
        (shown,) = [o for o in evidence.orders if o.order_ref == child.order_ref]
        assert (shown.status, shown.is_over) == ("Inactive", True)


async def test_flush_returns_after_everything_the_gateway_had_sent(
    gateway, make_child, into_session
):
    async with gateway.clock() as clock, gateway.orders(40) as link:
        await into_session(clock)
        await link.qualify(["KO", "PEP", "WMT"])
        sent = {}
        for symbol in ("KO", "PEP", "WMT"):
            for _ in range(4):
                child = make_child(link.next_order_id(), "1.00", symbol=symbol)
                sent[child.order_ref] = child
                link.send(child)
        await link.flush()  # the gateway has read all twelve
        events = await settle(clock, link)
        ended = {e.order_ref for e in events if isinstance(e, OrderStatus) and e.is_over}
        assert ended == set(sent)


async def test_an_order_without_an_id_is_refused_before_the_socket(gateway, make_child):
    async with gateway.orders(41) as link:
        with pytest.raises(InvalidInput, match="commit its intent first"):
            link.send(make_child(None, "1.00"))


# -- the end of a connection ----------------------------------------------------------------------


async def first_event(link):
    while not (found := link.pending_events()):
        await asyncio.sleep(0.01)
    return found[0]


async def test_a_killed_gateway_is_noticed_at_once_and_its_orders_survive(
    start_gateway, make_child, into_session
):
    own = start_gateway()
    async with own.clock() as clock, own.orders() as link:
        await into_session(clock)
        await link.qualify(["KO"])
        child = make_child(link.next_order_id(), "1.00", tif="GTC")
        link.send(child)
        await settle(clock, link)
        own.kill()
        event = await asyncio.wait_for(first_event(link), 5)
        assert isinstance(event, ConnectionDown)
        for call in (link.flush, link.collect_evidence):
            with pytest.raises(GatewayUnreachable):
                await call()
        for call in (
            link.next_order_id,
            link.cancel_everything,
            lambda: link.cancel(child.order_id),
            lambda: link.send(child),
        ):
            with pytest.raises(GatewayUnreachable, match="broke"):
                call()
        with pytest.raises(GatewayUnreachable):
            await clock.sleep_until(clock.now() + timedelta(minutes=1))
    own.restart()
    async with own.orders() as link:
        (shown,) = (await link.collect_evidence()).open_orders
        assert (shown.order_ref, shown.order_id) == (child.order_ref, child.order_id)
        assert link.next_order_id() > child.order_id


async def test_what_was_sold_and_bought_by_another_client_is_evidence_too(
    gateway, make_child, into_session
):
    async with gateway.clock() as clock, gateway.orders(46) as other, gateway.orders(47) as mine:
        await into_session(clock)
        await other.qualify(["KO"])
        child = make_child(other.next_order_id(), "500.00", 7, side=Side.BUY)
        other.send(child)
        await settle(clock, other, 30)
        evidence = await mine.collect_evidence()
        assert 7 == sum(f.quantity for f in evidence.fills if f.order_ref == child.order_ref)
