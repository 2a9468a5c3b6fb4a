"""A gateway that works two orders under one name: the extra one ends, and nothing counts twice."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading
from models.domain.halts import HaltCode
from models.domain.orders import ParentState
from tasks.halts.halting import HaltOrder, halt_trading

pytestmark = pytest.mark.journey


def commit(ledger, settings, child, link):
    """Put the intent of a child into the ledger, as a session does before it sends."""
    lease = ledger.leases.acquire(
        "trading-simulated", "test", pid=1, host="here", ttl=60, now=datetime.now(UTC)
    )
    committed = ledger.children.commit_intent(
        child, settings.client_id, link.account, next_valid_id=link.next_order_id(),
        at=datetime.now(UTC), lease=lease,
    )  # fmt: skip
    ledger.children.mark_sent(committed.order_ref, datetime.now(UTC))
    ledger.leases.release(lease)
    return committed


async def send_twice(gateway, ledger, settings, child, then="1.00"):
    """Leave a child at the gateway under two permanent ids, as after a change in an outage."""
    async with gateway.orders(settings.client_id) as link:
        await link.qualify([child.symbol])
        ledger.accounts.record_opening(link.account, Decimal(100_000), {}, datetime.now(UTC), ())
        committed = commit(ledger, settings, child, link)
        link.send(committed)
        await link.flush()
        gateway.ask("fault", fault="two-perm-ids", params={})
        link.send(replace(committed, limit_price=Decimal(then)))
        await link.flush()
        evidence = await link.collect_evidence()
        gateway.ask("clear-faults")
    return [o for o in evidence.open_orders if o.order_ref == committed.order_ref]


async def read(gateway):
    async with gateway.orders(30) as link:
        return await link.collect_evidence()


async def open_orders(gateway, order_ref):
    evidence = await read(gateway)
    return [o for o in evidence.open_orders if o.order_ref == order_ref]


def alerts_of(settings):
    lines = (settings.state_dir / "alerts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_extra_order_is_cancelled_at_the_next_start(
    gateway, settings, ledger, make_span, make_parent, make_child, execute
):
    span = make_span(gateway, 9)
    parent = make_parent(span, "KO", quantity=60)
    ledger.parents.add([parent])
    child = make_child(None, "1.00", 20, parent_id=parent.parent_id, tif="GTC")
    both = asyncio.run(send_twice(gateway, ledger, settings, child))
    assert len({order.perm_id for order in both}) == 2
    execute(settings, ledger)
    left = asyncio.run(open_orders(gateway, child.order_ref))
    assert [order.perm_id for order in left] == [min(order.perm_id for order in both)]
    record = ledger.parents.get(parent.parent_id)
    assert record.state is ParentState.PAUSED
    assert "two orders carry" in record.reason
    assert any("two orders carry" in alert["text"] for alert in alerts_of(settings))
    assert [c.order_ref for c in ledger.children.of_parent(parent.parent_id)] == [child.order_ref]
    assert halt_trading(settings, HaltOrder("beyond its id's reach", "t")).trouble == ""
    assert asyncio.run(open_orders(gateway, child.order_ref)) == []


def test_a_second_order_that_cannot_be_ended_halts_and_what_it_filled_counts_once(
    gateway, settings, ledger, make_span, make_parent, make_child, execute, monkeypatch
):
    """The change filled; what it changed still works and is out of its id's reach."""
    monkeypatch.setattr("tasks.session.halt_ending.PATIENCE", 2.0)  # no patience would end it
    span = make_span(gateway, 9)
    parent = make_parent(span, "KO", quantity=60)
    ledger.parents.add([parent])
    child = make_child(None, "1.00", 20, parent_id=parent.parent_id, tif="GTC")

    async def into_the_market():
        async with gateway.clock() as clock:
            await clock.sleep_until(span.start)
            return await send_twice(gateway, ledger, settings, child, "500.00")

    left = asyncio.run(into_the_market())
    assert len(left) == 1, "the second has filled"
    with pytest.raises(HaltTrading, match="orders work under names of this system"):
        execute(settings, ledger)
    assert ledger.halts.current().code is HaltCode.RECONCILIATION
    assert ledger.executions.positions("SIM0000001") == {"KO": 20}
    assert asyncio.run(read(gateway)).positions["KO"] == 20
    assert halt_trading(settings, HaltOrder("end it", "t")).still_working == 0
    assert asyncio.run(open_orders(gateway, child.order_ref)) == []
