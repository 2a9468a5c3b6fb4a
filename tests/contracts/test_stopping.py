"""A session stopped while an order works: left with a record or cancelled, as configured."""

import asyncio
import json
from threading import Event

import pytest

from models.domain.errors import RetryLater
from models.domain.orders import ParentState
from tasks.books.reconciliation import reconcile

pytestmark = pytest.mark.journey
QUANTITY = 30


async def read(gateway):
    async with gateway.orders(30) as link:
        return await link.collect_evidence()


@pytest.fixture
def held(gateway):
    """The gateway holds the next order for half an hour of market time, as for a locate."""
    gateway.ask("fault", fault="locate-hold", params={"seconds": 600, "buys": True, "count": 1})
    yield
    gateway.ask("clear-faults")


def stopped_session(settings, ledger, execute):
    """Run a session and ask it to stop, as SIGTERM does, once its first order works."""
    stop = Event()
    with pytest.raises(RetryLater, match="goes on where it stopped"):
        execute(settings, ledger, stop=stop, on_progress=lambda _progress: stop.set())


@pytest.mark.parametrize("on_stop", ["leave", "cancel"])
def test_a_stop_leaves_or_cancels_what_works_and_the_next_run_goes_on(
    gateway, settings, ledger, make_span, make_parent, execute, held, on_stop
):
    chosen = settings.model_copy(update={"on_stop": on_stop})
    span = make_span(gateway, 30)
    parent = make_parent(span, "KO", quantity=QUANTITY)
    ledger.parents.add([parent])
    stopped_session(chosen, ledger, execute)
    ((first,),) = [[c.order_ref for c in ledger.children.of_parent(parent.parent_id)]]
    working = [o.order_ref for o in asyncio.run(read(gateway)).open_orders]
    assert working == ([first] if on_stop == "leave" else [])
    noted = [event for event in ledger.events.of_order(first) if event.kind == "left_working"]
    assert len(noted) == (on_stop == "leave")
    execute(chosen, ledger)
    assert ledger.parents.get(parent.parent_id).state is ParentState.FILLED
    shown = asyncio.run(read(gateway))
    mine = [f for f in shown.fills if f.order_ref.startswith(f"{parent.parent_id}.")]
    assert sum(fill.quantity for fill in mine) == QUANTITY
    assert (first in {fill.order_ref for fill in mine}) == (on_stop == "leave")
    assert reconcile(ledger, shown).agrees
    if on_stop == "leave":
        lines = (settings.state_dir / "alerts.jsonl").read_text().splitlines()
        assert "1 orders left working" in [json.loads(line)["subject"] for line in lines]


def test_a_stop_whose_cancels_are_refused_ends_its_orders_all_the_same(
    gateway, settings, ledger, make_span, make_parent, execute, held
):
    """The session's own two cancels are refused: it asks once more, over a new connection."""
    gateway.ask("fault", fault="refuse-cancel", params={"count": 2})
    span = make_span(gateway, 30)
    ledger.parents.add([make_parent(span, "KO", quantity=QUANTITY)])
    stopped_session(settings, ledger, execute)
    assert asyncio.run(read(gateway)).open_orders == ()
    assert ledger.leases.unreleased("trading-simulated") is None
