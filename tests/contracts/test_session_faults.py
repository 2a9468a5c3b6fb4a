"""Sessions whose connection fails in every way that the gateway can fail: filled to the share."""

import asyncio

import pytest

from models.domain.orders import ParentState
from tasks.books.reconciliation import reconcile
from tasks.broker.ibkr import OrderConnection
from tasks.broker.refusals import refusal

pytestmark = pytest.mark.journey

QUANTITY = 13
LOST = {"seconds": 5}


async def evidence_of(gateway, client_id=30):
    async with gateway.orders(client_id) as link:
        return await link.collect_evidence()


@pytest.fixture
def strike(gateway):
    """Return a progress report's taker that sets faults once the first share is done."""

    def make(*faults):
        struck = []

        def taker(progress):
            if progress.done_shares and not struck:
                for name, params in faults:
                    struck.append(gateway.ask("fault", fault=name, params=params))

        return taker

    yield make
    gateway.ask("clear-faults")


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([("kill-socket", {})], id="cut"),
        pytest.param([("half-open-socket", {})], id="silent"),
        pytest.param([("kill-socket", {}), ("client-id-in-use", {"count": 10})], id="id-in-use"),
        pytest.param(
            [("kill-socket", {}), ("withhold-end", {"end_message": "openOrderEnd"})], id="no-end"
        ),
        pytest.param([("nightly-reset", {"seconds": 0.7})], id="nightly-reset"),
        pytest.param([("connectivity-lost", LOST | {"restore": "1101"})], id="1101"),
        pytest.param([("connectivity-lost", LOST | {"restore": "1102"})], id="1102"),
        pytest.param([("pacing-violation", {"code": 100})], id="pacing"),
        pytest.param([("late-orders", {"ms": 80, "count": 2})], id="late-orders"),
        pytest.param([("duplicate-id", {"count": 1})], id="duplicate-id"),
        pytest.param([("tif-preset", {"count": 1}), ("drop-ack", {"count": 1})], id="tif-preset"),
        pytest.param([("reject-order", {"count": 1})], id="rejected"),
        pytest.param([("partial-fill", {"share": 0.3, "count": 2})], id="partial"),
        pytest.param(
            [("early-commission", {"count": 2}), ("duplicate-status", {"count": 4})], id="early"
        ),
    ],
)
def test_a_session_ends_filled_to_the_share(
    gateway, settings, ledger, make_span, make_parent, execute, strike, faults, monkeypatch
):
    monkeypatch.setattr("tasks.broker.ibkr.ID_IN_USE_WAIT", 0.02)
    patient = settings.model_copy(update={"heartbeat": 1.5, "broker_timeout": 3.0})
    span = make_span(gateway, 9)
    parent = make_parent(span, "KO", quantity=QUANTITY)
    ledger.parents.add([parent])
    execute(patient, ledger, on_progress=strike(*faults))
    gateway.ask("clear-faults")
    record = ledger.parents.get(parent.parent_id)
    assert record.state is ParentState.FILLED, record.reason
    evidence = asyncio.run(evidence_of(gateway))
    mine = [f for f in evidence.fills if f.order_ref.startswith(f"{parent.parent_id}.")]
    assert sum(fill.quantity for fill in mine) == QUANTITY
    found = reconcile(ledger, evidence)
    assert found.agrees, found.summary


def test_a_reconciliation_that_is_put_off_is_made_again_after_a_new_connection(
    gateway, settings, ledger, make_span, make_parent, execute, strike, monkeypatch
):
    real, put_off = OrderConnection.collect_evidence, []

    async def collect_evidence(self):
        if struck and len(put_off) < 2:
            put_off.append(refusal("executions", 322, "Error processing request"))
            raise put_off[-1]
        return await real(self)

    struck = []
    cut = strike(("kill-socket", {}))

    def taker(progress):
        cut(progress)
        struck.extend([1] if progress.done_shares else [])

    monkeypatch.setattr(OrderConnection, "collect_evidence", collect_evidence)
    span = make_span(gateway, 6)
    parent = make_parent(span, "KO", quantity=QUANTITY)
    ledger.parents.add([parent])
    execute(settings, ledger, on_progress=taker)
    assert len(put_off) == 2
    assert ledger.parents.get(parent.parent_id).state is ParentState.FILLED


def test_a_gateway_whose_ids_went_back_gives_no_order_anothers_id(
    gateway, settings, ledger, make_span, make_parent, execute
):
    """A restarted gateway counts from an earlier id again: the ledger's next id is the higher."""
    span = make_span(gateway, 6)
    before = make_parent(span, "PFE", quantity=3, parent_id="before")
    parent = make_parent(span, "KO", quantity=9)
    ledger.parents.add([before, parent])
    account = asyncio.run(evidence_of(gateway)).account
    with ledger._store.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO order_ids (account, client_id, order_id, parent_id, slice_no) "
            f"VALUES ('{account}', {settings.client_id}, 70000, 'before', 99)"
        )
    execute(settings, ledger)
    ids = [c.order_id for p in (before, parent) for c in ledger.children.of_parent(p.parent_id)]
    assert min(ids) == 70001
    assert len(set(ids)) == len(ids)
    assert ledger.parents.get(parent.parent_id).state is ParentState.FILLED
