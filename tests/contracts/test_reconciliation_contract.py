"""What happens outside the system, on a real gateway: seen, classified, settled by a person."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.orders import ChildState, Fill, ParentState
from models.domain.sessions import exchange_date, next_session
from models.execution.differences import CashKind
from models.execution.settling import Claim, Verdict
from tasks.books.corrections import accept_differences
from tasks.books.reconciliation import reconcile
from tasks.session.settlement import open_dossier, settle_child

pytestmark = pytest.mark.journey


@pytest.fixture
def own(start_gateway):
    return start_gateway()


@pytest.fixture
def ledger(own, open_ledger):
    return open_ledger(own.settings)


async def read(gateway):
    async with gateway.orders(30) as link:
        return await link.collect_evidence()


def kinds(found):
    return [each.difference.kind.value for each in found.found]


async def test_a_manual_order_through_another_client_is_seen_once_and_left_alone(
    own, ledger, make_child, into_session
):
    assert reconcile(ledger, await read(own)).agrees
    async with own.clock() as clock, own.orders(99) as other:
        await into_session(clock)
        await other.qualify(["KO"])
        other.send(make_child(other.next_order_id(), "1.00", tif="GTC"))
        await clock.sleep_until(clock.now() + timedelta(seconds=2))
        found = reconcile(ledger, await read(own))
        assert kinds(found) == ["external order"]
        assert "by API client 99" in found.found[0].difference.proposal
        evidence = await read(own)
        assert reconcile(ledger, evidence).agrees
        assert len(evidence.open_orders) == 1, "it still works"
    account = evidence.account
    assert ledger.differences.blocked(account) == {}
    assert [each.origin for each in ledger.external_orders.of_account(account)] == [
        "by API client 99"
    ]


async def test_a_dividend_is_a_cash_difference_until_a_person_accepts_it(own, ledger):
    assert reconcile(ledger, await read(own)).agrees
    own.ask("fault", fault="cash-movement", params={"amount": 12.34})
    evidence = await read(own)
    found = reconcile(ledger, evidence)
    assert kinds(found) == ["cash difference"]
    assert "+12.3400 USD" in found.found[0].difference.proposal
    assert ledger.differences.blocked(evidence.account) == {}
    after = accept_differences(
        ledger, evidence, ["D1"], reason="KO pays", by="ann", cash_kind=CashKind.DIVIDEND
    )
    assert after.agrees
    assert ledger.executions.cash(evidence.account).amount == evidence.cash
    assert [each.kind for each in ledger.adjustments.of_cash(evidence.account)] == [
        CashKind.DIVIDEND
    ]


async def test_a_fill_that_the_broker_shows_no_longer_blocks_until_it_is_settled(
    own, ledger, make_span, make_parent, make_child, into_session, execute
):
    """Sent, filled, never heard of; the next day the broker shows the shares but no execution."""
    reconcile(ledger, await read(own))
    price = await lose_a_fill(own, ledger, make_span, make_parent, make_child, into_session)
    evidence = await read(own)
    found = reconcile(ledger, evidence)
    assert kinds(found) == ["position mismatch", "cash difference", "unsettled order"]
    assert ledger.differences.blocked(evidence.account).keys() == {"KO"}
    span = make_span(own, 10)
    parents = [make_parent(span, symbol, quantity=6) for symbol in ("KO", "PEP")]
    ledger.parents.add(parents)
    result = await asyncio.to_thread(execute, own.settings, ledger)
    states = {p.symbol: ledger.parents.get(p.parent_id).state for p in parents}
    assert states == {"KO": ParentState.EXPIRED, "PEP": ParentState.FILLED}
    assert all("blocked_symbol: KO" in reason for reason in result.denied.values())
    evidence = await read(own)
    dossier = open_dossier(ledger, evidence, "lost.1.1")
    claim = Claim(Verdict.FILLED, 10, price)
    told = {"reason": "trade confirmation", "by": "ann", "at": evidence.at}
    assert settle_child(ledger, own.settings, dossier, claim, **told) is ChildState.FILLED
    assert ledger.parents.get("lost").state is ParentState.FILLED
    found = reconcile(ledger, evidence)
    assert kinds(found) == ["cash difference"], "its commission was never reported"
    assert ledger.differences.blocked(evidence.account) == {}
    fee = found.found[0].id
    after = accept_differences(ledger, evidence, [fee], reason="commission", by="ann")
    assert after.agrees
    assert ledger.check() == []


async def lose_a_fill(own, ledger, make_span, make_parent, make_child, into_session) -> Decimal:
    """Fill 10 KO while nobody records it, let a night pass, and return the price paid."""
    async with own.clock() as clock, own.orders(own.settings.client_id) as link:
        await into_session(clock)
        await link.qualify(["KO"])
        span = make_span(own)
        parent = make_parent(span, quantity=10, parent_id="lost", session=exchange_date(own.now))
        ledger.parents.add([parent])
        child = make_child(0, "1000.00", parent_id="lost")
        committed = ledger.children.commit_intent(
            child, link.client_id, link.account, next_valid_id=link.next_order_id(), at=own.now
        )
        ledger.children.mark_sent(committed.order_ref, own.now)
        link.send(committed)
        await clock.sleep_until(clock.now() + timedelta(seconds=5))
        await link.flush()
        fills = [event for event in link.pending_events() if isinstance(event, Fill)]
        tomorrow = next_session(exchange_date(clock.now()))
        await clock.sleep_until(tomorrow.open - timedelta(hours=1))
    assert sum(fill.quantity for fill in fills) == 10
    paid = sum(fill.quantity * fill.price for fill in fills)
    return (paid / 10).quantize(Decimal("0.0001"))
