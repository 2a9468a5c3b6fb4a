"""OP-nnn: what the order path needs of a broker, through the adapter, case by case.

Every case runs on the simulated gateway, and on a paper account when ROBO_PAPER_ADDRESS=HOST:PORT
names one: `pytest -m paper tests/contracts/acceptance`. Orders are for one share at 1 USD, far from
any market, and each case ends its own.
"""

import asyncio
import os
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import ChildOrder, OrderKind, Side
from tasks.broker.codes import reaction_to
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import ApiAddress, BrokerNotice, OrderStatus
from tasks.interlock import mode_of

pytestmark = pytest.mark.journey

PAPER = os.environ.get("ROBO_PAPER_ADDRESS", "")
SYMBOL, FAR = "KO", Decimal("1.00")
LIVE = {"PreSubmitted", "Submitted"}
names = count(1)


def pytest_generate_tests(metafunc):
    if "place" in metafunc.fixturenames:
        cases = [pytest.param("", id="simulated")]
        if PAPER:
            cases.append(pytest.param(PAPER, id="paper", marks=pytest.mark.paper))
        metafunc.parametrize("place", cases)


class Desk:
    """The adapter at one address, and what it was told by order."""

    def __init__(self, address, settings):
        self._address, self._settings = address, settings
        self.statuses, self.notices = [], []

    @asynccontextmanager
    async def link(self, client_id=71):
        link = await OrderConnection.open(replace(self._address, client_id=client_id), 10.0)
        try:
            await link.qualify([SYMBOL])
            yield link
        finally:
            await link.close()

    async def until(self, link, holds):
        for _ in range(200):
            for event in link.pending_events():
                if isinstance(event, OrderStatus):
                    self.statuses.append(event)
                elif isinstance(event, BrokerNotice):
                    self.notices.append(event)
            if holds():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"not in 10 s: {self.statuses} {self.notices}")

    async def working(self, link, child):
        link.send(child)
        await self.until(link, lambda: self.of(child) and self.of(child)[-1].status in LIVE)
        return self.of(child)[-1]

    async def ended(self, link, child):
        link.cancel(child.order_id)
        await self.until(link, lambda: self.of(child)[-1].status == "Cancelled")

    def of(self, child):
        return [status for status in self.statuses if status.order_ref == child.order_ref]

    def codes(self, child):
        return [notice.code for notice in self.notices if notice.order_ref == child.order_ref]


@pytest.fixture
def desk(place, request):
    if place:
        host, _, port = place.rpartition(":")
        return Desk(ApiAddress(host, int(port), 0), None)
    gateway = request.getfixturevalue("gateway")
    return Desk(gateway.address(0), gateway.settings)


def far(link, **fields):
    chosen = {
        "parent_id": f"op{os.getpid()}-{next(names)}", "slice_no": 1, "attempt": 1,
        "symbol": SYMBOL, "side": Side.BUY, "quantity": 1, "limit_price": FAR, "tif": "GTC",
        "order_id": link.next_order_id(),
    }  # fmt: skip
    return ChildOrder(**(chosen | fields))


async def found(link, child):
    evidence = await link.collect_evidence()
    return [order for order in evidence.orders if order.order_ref == child.order_ref]


async def test_op101_the_account_is_one_and_belongs_to_its_mode(desk, place):
    """The account is told by the broker, and its id agrees with the mode."""
    async with desk.link() as link:
        assert mode_of(link.account) == ("paper" if place else "simulated")


async def test_op102_all_that_a_start_reads_comes(desk):
    """Open and completed orders, executions, positions and cash are read whole."""
    async with desk.link() as link:
        evidence = await link.collect_evidence()
        assert evidence.account == link.account
        assert evidence.net_liquidation > 0


async def test_op201_a_contract_and_its_price_increments(desk):
    """A stock is found by its symbol, and its market rule accepts whole cents above 1 USD."""
    async with desk.link() as link:
        rule = link.market_rule(SYMBOL)
        assert rule.accepts(Decimal("63.12"))
        assert rule.rounded(Decimal("63.1234"), Side.BUY) == Decimal("63.12")


async def test_op202_an_unknown_symbol_is_named(desk):
    """No contract: InvalidInput with the symbol."""
    async with desk.link() as link:
        with pytest.raises(InvalidInput, match="NOPE9"):
            await link.qualify(["NOPE9"])


async def test_op301_an_order_is_acknowledged_under_our_name(desk):
    """A live status comes with a permanent id and our reference; nothing is filled."""
    async with desk.link() as link:
        child = far(link)
        status = await desk.working(link, child)
        assert status.perm_id
        assert (status.filled, status.remaining) == (0, 1)
        await desk.ended(link, child)


async def test_op302_another_client_sees_the_order_by_its_name(desk):
    """A read under another client id shows reference, permanent id and owner."""
    async with desk.link() as link:
        child = far(link)
        status = await desk.working(link, child)
        async with desk.link(72) as other:
            [seen] = await found(other, child)
            assert (seen.perm_id, seen.client_id) == (status.perm_id, 71)
        await desk.ended(link, child)


async def test_op303_a_cancel_ends_the_order_and_a_second_one_proves_nothing(desk):
    """Cancelled comes as a status; a cancel of what has ended is told with an unknown outcome."""
    async with desk.link() as link:
        child = far(link)
        await desk.working(link, child)
        await desk.ended(link, child)
        before = len(desk.of(child))
        link.cancel(child.order_id)
        await desk.until(link, lambda: {10147, 10148, 161} & set(desk.codes(child)))
        assert reaction_to(desk.codes(child)[-1]).value == "unknown outcome"
        assert all(status.status == "Cancelled" for status in desk.of(child)[before:])


async def test_op304_an_order_id_is_taken_once(desk):
    """A second order under the id of one that has ended is refused: nothing is doubled."""
    async with desk.link() as link:
        child = far(link)
        await desk.working(link, child)
        await desk.ended(link, child)
        link.send(replace(child, attempt=2))
        again = replace(child, attempt=2)
        await desk.until(link, lambda: 103 in desk.codes(again))
        assert await found(link, again) == []


async def test_op305_a_price_between_ticks_is_refused_and_rounded_it_is_taken(desk):
    """Off the tick: 110 and no order. The same price rounded by the market rule works."""
    async with desk.link() as link:
        child = far(link, limit_price=Decimal("1.001"))
        link.send(child)
        await desk.until(link, lambda: 110 in desk.codes(child))
        assert await found(link, child) == []
        price = link.market_rule(SYMBOL).rounded(Decimal("1.001"), Side.BUY)
        child = far(link, limit_price=price)
        await desk.working(link, child)
        await desk.ended(link, child)


async def test_op306_a_what_if_tells_margin_and_leaves_nothing(desk):
    """Margin before and after in USD; no order is at work."""
    async with desk.link() as link:
        child = far(link)
        impact = await link.what_if(child)
        assert impact.equity > 0
        assert await found(link, child) == []


async def test_op307_an_order_outlives_its_connection(desk):
    """After a reconnect under the same client id it is there, unchanged, and can be cancelled."""
    async with desk.link() as link:
        child = far(link)
        status = await desk.working(link, child)
    async with desk.link() as link:
        [seen] = await found(link, child)
        assert (seen.perm_id, seen.order_id) == (status.perm_id, child.order_id)
        assert link.next_order_id() > child.order_id
        await desk.ended(link, child)


async def test_op308_of_a_bracket_one_cancels_the_other(desk):
    """A stop and a limit in one group of type 1: both work, and the end of one ends the other."""
    async with desk.link() as link:
        limit = far(link, oca_group=f"op{os.getpid()}-{next(names)}")
        stop = replace(
            limit, slice_no=2, order_id=link.next_order_id(), kind=OrderKind.STOP,
            limit_price=None, stop_price=Decimal(5000),
        )  # fmt: skip
        await desk.working(link, limit)
        await desk.working(link, stop)
        link.cancel(limit.order_id)
        await desk.until(link, lambda: desk.of(limit)[-1].status == "Cancelled")
        if desk.of(stop)[-1].status != "Cancelled":
            link.cancel(stop.order_id)
        await desk.until(link, lambda: desk.of(stop)[-1].status == "Cancelled")


async def test_op309_a_global_cancel_ends_every_order(desk):
    """Whoever sent it; on a paper account this ends the orders of others, too."""
    async with desk.link() as link, desk.link(72) as other:
        child, stranger = far(link), far(other)
        await desk.working(link, child)
        await desk.working(other, stranger)
        assert await link.cancel_everything() >= 2
        await desk.until(link, lambda: desk.of(child)[-1].status == "Cancelled")
        await desk.until(other, lambda: desk.of(stranger)[-1].status == "Cancelled")


def test_every_case_is_listed_in_the_docs():
    own = Path(__file__)
    cases = re.findall(r"def test_op(\d{3})_", own.read_text())
    listed = (own.parents[3] / "docs" / "risk.md").read_text()
    assert [f"OP-{number}" for number in cases] == re.findall(
        r"^\| (OP-\d{3}) \|", listed, re.MULTILINE
    )
