"""A child of an earlier day that left no trace: shown, settled on a person's word, or refused."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import ChildState, Fill, ParentState, Side
from models.execution.settling import Claim, Verdict
from tasks.books.corrections import accept_differences
from tasks.books.reconciliation import reconcile
from tasks.broker.protocol import Commission
from tasks.session.recovery import recover
from tasks.session.settlement import open_dossier, settle_child

FIRST = "p-KO.1.1"
NEVER_SENT = Claim(Verdict.NEVER_SENT)
CANCELLED = Claim(Verdict.CANCELLED)


def filled(shares, price="50.10"):
    return Claim(Verdict.FILLED, shares, Decimal(price))


@pytest.fixture
async def orphan(start_desk, parent, broker, minute):
    """A child of 30 KO that was sent yesterday and of which nothing was ever heard."""
    desk = start_desk(parent)
    await recover(desk, 0)
    broker.loses = True
    desk.slice_due(minute(0))
    desk.lose_connection(broker.now)
    broker.now += timedelta(days=1)
    return desk.ledger


@pytest.fixture
def settle(orphan, broker, session_settings):
    async def do(claim, reason="the statement shows it", ref=FIRST):
        evidence = await broker.collect_evidence()
        dossier = open_dossier(orphan, evidence, ref)
        return settle_child(
            orphan, session_settings, dossier, claim, reason=reason, by="ann", at=evidence.at
        )

    return do


async def test_the_dossier_says_what_is_known(orphan, broker):
    dossier = open_dossier(orphan, await broker.collect_evidence(), FIRST)
    text = "\n".join(dossier.lines)
    assert "p-KO.1.1 of the session 2022-12-29" in text
    assert "BUY 30 KO" in text
    assert "permId never told" in text
    assert "UNKNOWN; 0 shares by executions, 30 may have been filled" in text
    assert "no open or completed order of that name" in text
    assert "KO: ledger 0 shares, broker 0 shares" in text


async def test_never_sent_ends_child_parent_and_difference(orphan, broker, settle):
    evidence = await broker.collect_evidence()
    found = reconcile(orphan, evidence)
    assert [each.difference.kind.value for each in found.found] == ["unsettled order"]
    assert "robo settle p-KO.1.1" in found.found[0].difference.proposal
    assert "KO" in orphan.differences.blocked(broker.account)
    assert await settle(NEVER_SENT) is ChildState.NEVER_SENT
    assert reconcile(orphan, evidence).agrees
    assert orphan.differences.blocked(broker.account) == {}
    record = orphan.parents.get("p-KO")
    assert (record.state, record.reason) == (
        ParentState.EXPIRED,
        "filled 0 of 90 shares, 90 short",
    )
    (kept,) = orphan.settlements.of_order(FIRST)
    assert (kept.by, kept.reason, kept.verdict) == (
        "ann",
        "the statement shows it",
        Verdict.NEVER_SENT,
    )
    assert kept.evidence["ledger_state"] == "UNKNOWN"
    assert orphan.events.of_order(FIRST)[-1].kind == "settled"


async def test_filled_shares_count_like_an_execution(orphan, broker, settle):
    broker.book("KO", 30, Decimal("50.10"))
    assert await settle(filled(30)) is ChildState.FILLED
    assert orphan.executions.positions(broker.account) == {"KO": 30}
    found = reconcile(orphan, await broker.collect_evidence())
    assert found.agrees, found.summary
    assert found.unknown_commissions == 1
    assert "filled 30 of 90 shares" in orphan.parents.get("p-KO").reason


async def test_a_part_that_was_filled_ends_the_rest(orphan, broker, settle):
    broker.book("KO", 12, Decimal("50.10"))
    assert await settle(filled(12)) is ChildState.CANCELLED
    assert orphan.children.get(FIRST).order.filled == 12
    assert reconcile(orphan, await broker.collect_evidence()).agrees


async def test_the_brokers_own_executions_replace_what_was_stated(orphan, broker, settle):
    """A statement of 12 shares; then the broker shows 20, in two executions."""
    broker.book("KO", 12, Decimal("50.10"))
    await settle(filled(12))
    for name, shares in (("a.01", 15), ("b.01", 5)):
        fill = Fill(name, FIRST, "KO", Side.BUY, shares, Decimal("50.00"), broker.now, 77)
        orphan.executions.record(fill, broker.account)
    assert orphan.executions.positions(broker.account) == {"KO": 20}
    child = orphan.children.get(FIRST).order
    assert (child.state, child.filled) == (ChildState.CANCELLED, 20)
    assert orphan.check() == []
    names = [fill.exec_id for fill in orphan.executions.revisions_of("p-KO")]
    assert sorted(names) == ["a.01", "b.01", f"settled-{FIRST}.01", f"settled-{FIRST}.02"]


async def test_a_live_session_counts_the_brokers_word_in_place_of_a_statement(
    start_desk, parent, broker, minute, session_settings
):
    """Settled at noon, taken up by a session, and only then told by the broker."""
    desk = start_desk(parent)
    await recover(desk, 0)
    broker.loses = True
    desk.slice_due(minute(0))
    broker.book("KO", 30, Decimal("50.10"))
    dossier = open_dossier(desk.ledger, await broker.collect_evidence(), FIRST)
    stated = {"reason": "the statement shows it", "by": "ann", "at": broker.now}
    settle_child(desk.ledger, session_settings, dossier, filled(30), **stated)
    again = start_desk(parent)
    await recover(again, 0)
    late = Fill("a.01", FIRST, "KO", Side.BUY, 30, Decimal("50.00"), broker.now, 77)
    again.take(late, broker.now)
    execution = again.executions["p-KO"]
    assert (execution.filled, execution.state) == (30, ParentState.WORKING)
    assert again.book.positions == {"KO": 30}
    assert again.book.cash == again.ledger.executions.cash(broker.account).amount
    assert again.ledger.check() == []


@pytest.mark.parametrize(
    ("claim", "held", "words"),
    [
        (filled(30), 0, "0 shares of KO ahead"),
        (filled(30), 29, "29 shares of KO ahead"),
        (filled(31), 31, "can have filled 1 to 30 more shares, not 31"),
        (filled(0), 0, "can have filled 1 to 30"),
        (filled(5, "0"), 5, "no price"),
        (filled(5, "NaN"), 5, "no price"),
        (NEVER_SENT, 1, "1 shares of KO ahead of the ledger's"),
        (CANCELLED, 30, "settle it as filled"),
    ],
)
async def test_a_verdict_against_the_brokers_position_is_refused(
    orphan, broker, settle, claim, held, words
):
    if held:
        broker.book("KO", held, Decimal("50.00"))
    with pytest.raises(InvalidInput, match=words):
        await settle(claim)
    assert orphan.children.get(FIRST).order.state is ChildState.UNKNOWN
    assert orphan.settlements.of_order(FIRST) == ()


async def test_what_the_broker_works_or_has_ended_is_not_for_a_person(orphan, broker, settle):
    broker.arrive(broker.sent[0])
    with pytest.raises(InvalidInput, match="the broker works it now"):
        await settle(NEVER_SENT)
    broker.orders[FIRST] = replace(broker.orders[FIRST], status="Cancelled")
    with pytest.raises(InvalidInput, match="CANCELLED already, by evidence"):
        await settle(CANCELLED)


async def test_what_was_acknowledged_was_sent(orphan, broker, settle):
    broker.arrive(broker.sent[0])
    open_dossier(orphan, await broker.collect_evidence(), FIRST)
    broker.orders.clear()
    with pytest.raises(InvalidInput, match="has acknowledged it"):
        await settle(NEVER_SENT)
    assert await settle(CANCELLED) is ChildState.CANCELLED


async def test_a_settlement_needs_a_reason_and_a_child(orphan, broker, settle):
    with pytest.raises(InvalidInput, match="needs a reason"):
        await settle(NEVER_SENT, reason=" ")
    with pytest.raises(InvalidInput, match="no child order 'nobody'"):
        await settle(NEVER_SENT, ref="nobody")


async def test_a_reported_fill_without_its_execution_can_be_stated(orphan, broker, settle):
    """The order ended as Filled, but yesterday's executions are not shown any more."""
    orphan.children.record_status(FIRST, ChildState.FILLED, 30, 77)
    broker.book("KO", 30, Decimal("50.10"))
    found = reconcile(orphan, await broker.collect_evidence())
    kinds = [each.difference.kind.value for each in found.found]
    assert kinds == ["position mismatch", "cash difference", "ledger contradiction"]
    with pytest.raises(InvalidInput, match="30 shares filled that no execution shows"):
        await settle(CANCELLED)
    assert await settle(filled(30)) is ChildState.FILLED
    assert reconcile(orphan, await broker.collect_evidence()).agrees


async def test_a_fee_that_was_never_reported_is_accepted_as_cash(orphan, broker, settle):
    broker.book("KO", 30, Decimal("50.10"))
    broker.cash -= 1
    await settle(filled(30))
    found = reconcile(orphan, await broker.collect_evidence())
    assert "accept books -1.0000 USD as fee" in found.found[0].difference.proposal
    evidence = await broker.collect_evidence()
    after = accept_differences(orphan, evidence, ["D1"], reason="IB statement", by="ann")
    assert after.agrees
    broker.commissions.append(Commission("other.01", Decimal(1), "USD", None))
    assert reconcile(orphan, await broker.collect_evidence()).agrees, "of no execution: no cash"
