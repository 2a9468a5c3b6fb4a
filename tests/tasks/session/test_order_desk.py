"""The order desk against a broker that misbehaves on purpose."""

from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading, RetryLater
from models.domain.orders import ChildState, Fill, ParentState, Side
from models.risk.limits import RiskLimits
from tasks.books.check_record import kept_checks
from tasks.broker.protocol import BrokerNotice, Commission, ConnectionDown, GatewayUnreachable
from tasks.session.recovery import recover

FIRST = "p-KO.1.1"


@pytest.fixture
async def sent(desk, minute):
    """The same desk, its first child at the broker."""
    desk.slice_due(minute(0))
    return desk


def child(desk, ref=FIRST):
    return desk.ledger.children.get(ref).order


def commission(exec_id, amount="1.00"):
    return Commission(exec_id, Decimal(amount), "USD", None)


async def test_an_intent_is_in_the_ledger_before_the_broker_sees_it(desk, broker, minute):
    seen = []
    before = broker.send
    broker.send = lambda order: (seen.append(child(desk, order.order_ref)), before(order))
    desk.slice_due(minute(0))
    (stored,) = seen
    assert (stored.order_ref, stored.state, stored.order_id) == (FIRST, ChildState.INTENT, 1)
    assert [c.order_ref for c in broker.sent] == [FIRST]


@pytest.mark.parametrize("breaks", ["", "before", "after"])
async def test_what_let_an_order_pass_is_kept_whatever_the_send_ends_in(
    desk, broker, minute, breaks
):
    broker.breaks = breaks
    with pytest.raises(GatewayUnreachable) if breaks else nullcontext():
        desk.slice_due(minute(0))
    (trail,) = desk.ledger.trail.children("p-KO")
    kept = kept_checks(trail, ())
    verdicts = [(step.check, step.passed) for step in kept]
    assert len(verdicts) == 23 and len(dict(verdicts)) == 23
    assert all(passed for _, passed in verdicts)
    (quantity,) = (step for step in kept if step.check == "quantity")
    assert quantity.numbers == {"value": 30.0, "limit": 10_000.0}


async def test_a_slice_sends_once_however_often_it_is_asked(sent, broker, minute):
    for minutes in (0, 1, 9.99):
        sent.slice_due(minute(minutes))
    assert [c.order_ref for c in broker.sent] == [FIRST]


async def test_a_commission_may_come_before_its_execution(sent, broker):
    fill = broker.execute(FIRST, 30, "e.01")
    broker.events += [commission("e.01", "0.35"), fill]
    sent.pump(broker.now)
    (stored,) = sent.ledger.executions.fills_of("p-KO")
    assert stored.commission == Decimal("0.35")
    assert child(sent).state is ChildState.FILLED
    assert sent.book.cash == 100_000 - 30 * Decimal(50) - Decimal("0.35")


async def test_a_fill_told_three_times_counts_once(sent, broker):
    fill = broker.execute(FIRST, 10, "e.01")
    broker.events += [fill, fill]
    sent.pump(broker.now)
    broker.events += [fill]
    sent.pump(broker.now)
    assert sent.executions["p-KO"].filled == child(sent).filled == 10
    assert sent.book.positions == {"KO": 10}


async def test_a_correction_replaces_the_execution_and_a_bust_removes_it(sent, broker):
    fill = broker.execute(FIRST, 20, "e.01")
    less = Fill("e.02", FIRST, "KO", Side.BUY, 10, Decimal("49.99"), broker.now, fill.perm_id)
    broker.events += [fill, less]
    sent.pump(broker.now)
    assert sent.executions["p-KO"].filled == child(sent).filled == 10
    assert sent.book.cash == 100_000 - 10 * Decimal("49.99")
    none = Fill("e.03", FIRST, "KO", Side.BUY, 0, Decimal("49.99"), broker.now, fill.perm_id)
    broker.events += [none, fill]  # the old revision again, late
    sent.pump(broker.now)
    assert sent.executions["p-KO"].filled == 0
    assert sent.book.positions == {}


async def test_the_same_execution_with_other_content_stops_trading(sent, broker):
    fill = broker.execute(FIRST, 20, "e.01")
    other = Fill("e.01", FIRST, "KO", Side.BUY, 30, Decimal(50), broker.now, fill.perm_id)
    broker.events += [fill, other]
    with pytest.raises(HaltTrading, match="came twice with different content"):
        sent.pump(broker.now)


async def test_duplicate_and_late_statuses_move_nothing_back(sent, broker):
    broker.tell(FIRST, "Submitted")
    broker.tell(FIRST, "Submitted")
    fill = broker.execute(FIRST, 30, "e.01")
    broker.events += [fill]
    broker.tell(FIRST, "Filled")
    broker.tell(FIRST, "Submitted", 0)
    sent.pump(broker.now)
    assert child(sent).state is ChildState.FILLED
    assert sent.executions["p-KO"].children[FIRST].state is ChildState.FILLED


async def test_a_status_that_runs_ahead_of_its_executions_is_exposure(sent, broker, minute):
    broker.tell(FIRST, "Filled", 30)
    sent.pump(broker.now)
    assert sent.executions["p-KO"].filled == 0
    assert sent.executions["p-KO"].unallocated == 60
    sent.slice_due(minute(10))
    assert [c.quantity for c in broker.sent] == [30, 30], "the first 30 are not sent again"


@pytest.mark.parametrize("code", [10349, 399, 10147, 161, 2109, 404])
async def test_a_code_that_is_no_proof_ends_nothing(sent, broker, code):
    broker.tell(FIRST, "Submitted")
    broker.events.append(BrokerNotice(code, "harmless", FIRST))
    sent.pump(broker.now)
    assert child(sent).state is ChildState.ACKED
    broker.events += [broker.execute(FIRST, 30, "e.01")]
    sent.pump(broker.now)
    assert child(sent).state is ChildState.FILLED
    kinds = [event.kind for event in sent.ledger.events.of_order(FIRST)]
    assert "notice" in kinds, "the journal keeps what was said"


@pytest.mark.parametrize("code_first", [True, False])
async def test_inactive_with_a_rejection_code_is_a_rejection(sent, broker, code_first):
    notice = BrokerNotice(201, "no margin", FIRST)
    if code_first:
        broker.events.append(notice)
        broker.tell(FIRST, "Inactive")
    else:
        broker.tell(FIRST, "Inactive")
        broker.events.append(notice)
    sent.pump(broker.now)
    assert child(sent).state is ChildState.REJECTED
    assert sent.executions["p-KO"].last_rejection == "201 no margin"


async def test_inactive_alone_may_be_a_hold_and_may_fill(sent, broker):
    broker.tell(FIRST, "Inactive", why_held="locate")
    sent.pump(broker.now)
    assert not child(sent).state.is_terminal
    assert sent.executions["p-KO"].unallocated == 60
    broker.events += [broker.execute(FIRST, 30, "e.01")]
    sent.pump(broker.now)
    assert child(sent).state is ChildState.FILLED


async def test_a_rejected_child_is_not_sent_again_in_its_slice(sent, broker, minute):
    broker.events.append(BrokerNotice(201, "no margin", FIRST))
    broker.tell(FIRST, "Inactive")
    sent.pump(broker.now)
    sent.slice_due(minute(5))
    assert len(broker.sent) == 1
    sent.slice_due(minute(10))
    assert [c.quantity for c in broker.sent] == [30, 60], "the next slice catches up"


async def test_a_halt_denies_the_child_and_nothing_is_committed(desk, broker, minute):
    desk.ledger.halts.halt("enough", "tester", broker.now)
    desk.slice_due(minute(0))
    assert broker.sent == []
    assert desk.ledger.children.get(FIRST) is None
    assert desk.denied[FIRST].startswith("halt: trading is halted: enough")


async def test_a_halt_set_after_the_check_stops_at_the_commit(desk, broker, minute, monkeypatch):
    real = desk.ledger.children.commit_intent

    def halted_meanwhile(*args, **fields):
        desk.ledger.halts.halt("just now", "tester", broker.now)
        return real(*args, **fields)

    monkeypatch.setattr(desk.ledger.children, "commit_intent", halted_meanwhile)
    with pytest.raises(HaltTrading, match="just now"):
        desk.slice_due(minute(0))
    assert broker.sent == []
    assert desk.executions["p-KO"].children == {}, "what was not committed does not exist"


async def test_a_lost_lease_sends_nothing(desk, broker, minute):
    desk.ledger.leases.release(desk.lease)
    desk.ledger.leases.acquire(
        desk.lease.name, "other", pid=2, host="there", ttl=60, now=datetime.now(UTC)
    )
    with pytest.raises(RetryLater, match="has lost the lease.*held by other"):
        desk.slice_due(minute(0))
    assert broker.sent == []
    assert desk.executions["p-KO"].children == {}


async def test_a_denial_keeps_the_old_state_and_is_kept_once_a_child(
    start_desk, make_parent, minute, broker
):
    desk = start_desk(make_parent(), limits=RiskLimits(restricted=frozenset({"KO"})))
    await recover(desk, 0)
    before = desk.executions["p-KO"]
    for _ in range(3):
        desk.slice_due(minute(0))
    assert desk.executions["p-KO"] == before
    failed = [v for v in desk.ledger.parents.verdicts("p-KO") if not v.passed]
    assert [v.check for v in failed] == ["restricted"]
    assert list(desk.denied) == [FIRST]
    assert broker.sent == []


async def test_the_rate_limit_counts_what_an_earlier_run_sent(
    start_desk, make_parent, minute, broker
):
    parents = [make_parent(s, parent_id=f"p-{s}") for s in ("KO", "PEP")]
    desk = start_desk(*parents)
    await recover(desk, 0)
    desk.slice_due(minute(0))
    assert len(broker.sent) == 2
    for ref in [c.order_ref for c in broker.sent]:
        broker.events.append(broker.execute(ref, 30, f"{ref}.x.01"))
    desk.pump(broker.now)
    again = start_desk(
        make_parent("XOM", parent_id="p-XOM"), limits=RiskLimits(max_orders_per_minute=2)
    )
    await recover(again, 0)
    again.remember_sends(broker.now)
    again.slice_due(broker.now)
    assert len(broker.sent) == 2
    assert "rate" in again.denied["p-XOM.1.1"]


async def test_a_send_that_breaks_leaves_an_unknown_child(desk, broker, minute):
    broker.breaks = "after"
    with pytest.raises(GatewayUnreachable):
        desk.slice_due(minute(0))
    desk.lose_connection(broker.now)
    assert child(desk).state is ChildState.UNKNOWN
    assert desk.executions["p-KO"].unallocated == 60
    broker.breaks = ""
    desk.slice_due(minute(10))
    assert len(broker.sent) == 1, "nothing is sent before a reconciliation"


async def test_an_id_that_cannot_be_had_leaves_no_child_behind(desk, broker, minute, monkeypatch):
    def gone():
        raise GatewayUnreachable("the connection broke")

    monkeypatch.setattr(broker, "next_order_id", gone)
    with pytest.raises(GatewayUnreachable):
        desk.slice_due(minute(0))
    desk.lose_connection(broker.now)
    assert desk.executions["p-KO"].children == {}
    assert desk.ledger.children.get(FIRST) is None


async def test_a_closed_connection_ends_the_session_after_its_last_evidence(sent, broker):
    fill = broker.execute(FIRST, 30, "e.01")
    broker.events += [fill, ConnectionDown("the gateway closed the connection")]
    with pytest.raises(RetryLater, match="in the middle of the session"):
        sent.pump(broker.now)
    assert child(sent).filled == 30


async def test_a_lost_link_behind_the_gateway_stops_sending_until_reconciled(sent, broker, minute):
    broker.events.append(BrokerNotice(1100, "Connectivity between IB and TWS has been lost", ""))
    sent.pump(broker.now)
    assert sent.is_cut
    assert child(sent).state is ChildState.UNKNOWN
    sent.slice_due(minute(10))
    assert len(broker.sent) == 1
    broker.events.append(broker.execute(FIRST, 30, "e.01"))
    sent.pump(broker.now)
    assert child(sent).filled == 30, "fills count meanwhile"
    broker.events.append(BrokerNotice(1102, "Connectivity restored, data maintained", ""))
    sent.pump(broker.now)
    assert (sent.is_cut, sent.must_reconcile) == (False, True)
    sent.slice_due(broker.now)
    assert len(broker.sent) == 1, "not before the reconciliation"
    await recover(sent, 0)
    sent.slice_due(broker.now)
    assert len(broker.sent) == 2


async def test_an_execution_of_nobodys_order_counts_in_the_account_only(sent, broker, caplog):
    alien = Fill("x.01", "", "XOM", Side.BUY, 5, Decimal(100), broker.now, 77)
    broker.events.append(alien)
    with caplog.at_level("WARNING", "robo.orders"):
        sent.pump(broker.now)
    assert "of no order of this system" in caplog.text
    assert sent.book.positions == {"XOM": 5}
    assert sent.executions["p-KO"].filled == 0


async def test_an_order_that_was_never_committed_stops_trading(sent, broker):
    ghost = Fill("g.01", "p-KO.2.1", "KO", Side.BUY, 5, Decimal(50), broker.now, 78)
    broker.events.append(ghost)
    with pytest.raises(HaltTrading, match="was never committed"):
        sent.pump(broker.now)


async def test_a_contradiction_is_told_to_a_person_at_once(sent, broker):
    alerts = []
    sent.alert = lambda subject, text: alerts.append((subject, text))
    broker.tell(FIRST, "Submitted")
    broker.tell(FIRST, "Submitted", perm_id=77)
    sent.pump(broker.now)
    assert sent.ledger.parents.get("p-KO").state is ParentState.PAUSED
    ((subject, text),) = alerts
    assert subject == "p-KO PAUSED"
    assert "two orders carry p-KO.1.1" in text
    sent.pump(broker.now)
    assert len(alerts) == 1


async def test_only_what_the_broker_has_shown_is_cancelled(sent, broker, start_desk):
    sent.cancel_working()
    assert broker.cancels == [], "an order id without evidence may be another order's"
    broker.tell(FIRST, "Submitted")
    sent.pump(broker.now)
    sent.cancel_working()
    assert broker.cancels == [1]


async def test_sells_are_worked_before_buys(start_desk, make_parent, broker, minute):
    broker.positions = {"XOM": 50}
    desk = start_desk(
        make_parent("AAPL"), make_parent("XOM", Side.SELL, 30), make_parent("KO", quantity=3)
    )
    await recover(desk, 0)
    desk.slice_due(minute(0))
    assert [(c.side, c.symbol) for c in broker.sent] == [
        (Side.SELL, "XOM"),
        (Side.BUY, "AAPL"),
        (Side.BUY, "KO"),
    ]


async def test_the_last_fill_ends_the_parent_with_its_tally(sent, broker, minute):
    for number, minutes in ((1, 0), (2, 10), (3, 20)):
        sent.slice_due(minute(minutes))
        broker.events.append(broker.execute(f"p-KO.{number}.1", 30, f"e{number}.01"))
        sent.pump(broker.now)
    record = sent.ledger.parents.get("p-KO")
    assert (record.state, record.reason) == (ParentState.FILLED, "filled all 90 shares")
    assert sent.is_done
    assert sent.is_quiet
