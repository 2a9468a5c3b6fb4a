"""Start and recovery: whatever point a run stopped at, the next one sends no share twice."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.orders import ChildState, Fill, ParentState, Side
from tasks.broker.protocol import (
    BrokerNotice,
    Commission,
    Evidence,
    OrderStatus,
)
from tasks.session.recovery import adopt, note_schedules, recover, restore_session, slicing_policy

FIRST = "p-KO.1.1"


class Crash(BaseException):
    """The process ends here."""


async def test_an_intent_that_never_left_goes_again_as_the_next_attempt_with_its_id(
    desk, send_into, start_desk, parent, broker, minute
):
    send_into(desk, "before")
    again = start_desk(parent)
    assert again.executions["p-KO"].children[FIRST].state is ChildState.UNKNOWN
    reads = broker.reads
    await recover(again, 0)
    assert broker.reads - reads == 2, "absence is believed when it is seen twice"
    assert again.ledger.children.get(FIRST).order.state is ChildState.NEVER_SENT
    again.slice_due(minute(1))
    (sent,) = broker.sent
    assert (sent.order_ref, sent.order_id, sent.quantity) == ("p-KO.1.2", 1, 30)


async def test_an_order_that_the_broker_has_is_adopted_and_not_sent_again(
    desk, send_into, start_desk, parent, broker, minute
):
    send_into(desk, "after")
    broker.execute(FIRST, 30, "e.01")
    broker.tell(FIRST, "Filled")
    again = start_desk(parent)
    await recover(again, 0)
    assert again.ledger.children.get(FIRST).order.state is ChildState.FILLED
    assert again.executions["p-KO"].filled == 30
    again.slice_due(minute(1))
    assert len(broker.sent) == 1


async def test_an_order_that_arrives_during_the_quiet_period_is_adopted(
    desk, send_into, start_desk, parent, broker, minute, monkeypatch
):
    send_into(desk, "lost")
    again = start_desk(parent)

    async def late(_seconds):
        broker.arrive(broker.sent[0])

    monkeypatch.setattr("tasks.session.recovery.asyncio.sleep", late)
    await recover(again, 2.0)
    assert again.ledger.children.get(FIRST).order.state is ChildState.ACKED
    broker.loses = False
    again.slice_due(minute(1))
    assert len(broker.sent) == 1


async def test_an_order_shown_after_it_was_proven_absent_counts_again_and_is_told(
    desk, send_into, start_desk, parent, broker, minute
):
    send_into(desk, "lost")
    again = start_desk(parent)
    told = []
    again.alert = lambda subject, text: told.append((subject, text))
    await recover(again, 0)
    assert again.ledger.children.get(FIRST).order.state is ChildState.NEVER_SENT
    broker.arrive(broker.sent[0])
    await recover(again, 0)
    assert again.ledger.children.get(FIRST).order.state is ChildState.ACKED
    assert again.executions["p-KO"].exposure == 30
    ((subject, text),) = told
    assert subject == f"{FIRST} arrived late"
    assert "ROBO_QUIET_PERIOD" in text
    again.slice_due(minute(11))
    assert len(broker.sent) == 1, "nothing goes beside it"


async def test_a_refused_order_that_left_no_trace_is_rejected_and_not_repeated(
    desk, send_into, broker, minute
):
    send_into(desk, "lost")
    broker.events.append(BrokerNotice(110, "off the tick", FIRST))
    desk.pump(broker.now)
    desk.lose_connection(broker.now)
    await recover(desk, 0)
    assert desk.ledger.children.get(FIRST).order.state is ChildState.REJECTED
    desk.slice_due(minute(1))
    assert len(broker.sent) == 1
    assert desk.executions["p-KO"].last_rejection == "110 off the tick"


async def test_an_order_that_a_second_look_shows_is_alive_whatever_code_was_told(
    desk, send_into, broker, monkeypatch
):
    """A refusal code that was about something else must not bury an order that works."""
    send_into(desk, "lost")
    broker.events.append(BrokerNotice(321, "validation", FIRST))
    desk.pump(broker.now)
    desk.lose_connection(broker.now)

    async def late(_seconds):
        broker.arrive(broker.sent[0])

    monkeypatch.setattr("tasks.session.recovery.asyncio.sleep", late)
    await recover(desk, 2.0)
    assert desk.ledger.children.get(FIRST).order.state is ChildState.ACKED


async def test_a_filled_order_without_its_quantity_is_never_sent_again(
    desk, start_desk, parent, broker, minute
):
    """A completed order may come without a filled quantity, and its executions late."""
    desk.slice_due(minute(0))
    broker.orders[FIRST] = replace(broker.orders[FIRST], status="Filled", filled=0, remaining=0)
    again = start_desk(parent)
    await recover(again, 0)
    assert again.executions["p-KO"].unallocated == 60
    again.slice_due(minute(25))
    assert [c.quantity for c in broker.sent] == [30, 60]


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        ("Submitted", {}, ChildState.ACKED),
        ("PendingCancel", {}, ChildState.ACKED),
        ("Cancelled", {}, ChildState.CANCELLED),
        ("ApiCancelled", {}, ChildState.CANCELLED),
        ("Inactive", {"remaining": 0}, ChildState.REJECTED),
        ("Inactive", {"why_held": "locate"}, ChildState.ACKED),
    ],
)
async def test_the_brokers_word_becomes_the_childs_state(
    desk, start_desk, parent, broker, minute, status, fields, expected
):
    desk.slice_due(minute(0))
    broker.orders[FIRST] = replace(broker.orders[FIRST], status=status, **fields)
    again = start_desk(parent)
    await recover(again, 0)
    assert again.ledger.children.get(FIRST).order.state is expected


async def test_a_position_mismatch_blocks_its_symbol_only_and_is_told_once(
    start_desk, parent, make_parent, broker, minute
):
    desk = start_desk(parent, make_parent("XOM"))
    told = []
    desk.alert = lambda subject, text: told.append((subject, text))
    broker.positions = {"XOM": 7}
    for _ in range(2):
        await recover(desk, 0)
    ((subject, text),) = told
    assert subject == "difference D1"
    assert "position mismatch XOM: ledger 0 shares, broker 7 shares" in text
    desk.slice_due(minute(1))
    assert [child.symbol for child in broker.sent] == ["KO"]
    denial = desk.denied["p-XOM.1.1"]
    assert "blocked_symbol: XOM is blocked: D1, position mismatch XOM" in denial
    broker.positions.pop("XOM")
    await recover(desk, 0)
    desk.slice_due(minute(2))
    assert [child.symbol for child in broker.sent] == ["KO", "XOM"], "gone, and so not blocked"


async def test_an_execution_between_two_answers_is_no_mismatch(desk, broker, minute):
    desk.slice_due(minute(0))
    real = broker.collect_evidence
    torn = []

    async def once_torn():
        evidence = await real()
        if not torn:
            torn.append(True)
            fill = broker.execute(FIRST, 30, "e.01")  # after positions, before the end
            return replace(evidence, fills=(*evidence.fills, fill))
        return evidence

    broker.collect_evidence = once_torn
    await recover(desk, 0)
    assert desk.book.positions == {"KO": 30}


async def test_first_contact_keeps_what_is_there_and_counts_it_once(ledger, broker):
    old = Fill("old.01", "", "XOM", Side.BUY, 5, Decimal(100), broker.now, 7)
    evidence = Evidence(
        broker.account,
        broker.now,
        Decimal(1000),
        Decimal(1500),
        {"XOM": 5},
        (),
        (old,),
        (Commission("old.01", Decimal(1), "USD", None),),
    )
    adopt(ledger, evidence)
    adopt(ledger, evidence)
    assert ledger.executions.positions(broker.account) == {"XOM": 5}
    cash = ledger.executions.cash(broker.account)
    assert (cash.amount, cash.unknown_commissions) == (Decimal(1000), 0)


async def test_an_order_of_a_parent_of_another_day_is_left_alone(start_desk, parent, broker):
    broker.orders["p-OLD.1.1"] = OrderStatus("p-OLD.1.1", 3, 8, 11, "KO", "Submitted", 0, 10)
    broker.orders[""] = OrderStatus("", 0, 9, 0, "KO", "Submitted", 0, 10)
    desk = start_desk(parent)
    await recover(desk, 0)
    assert broker.cancels == []
    assert desk.executions["p-KO"].reconciled


CRASH_POINTS = [
    ("children", "commit_intent", "before"),
    ("children", "commit_intent", "after"),
    ("children", "mark_sent", "before"),
    ("children", "mark_sent", "after"),
    ("broker", "send", "before"),
    ("broker", "send", "after"),
    ("executions", "record", "before"),
    ("executions", "record", "after"),
    ("executions", "record_commission", "before"),
    ("children", "record_status", "before"),
    ("children", "record_status", "after"),
    ("parents", "set_state", "before"),
]


@pytest.mark.parametrize("slice_no", [1, 2, 3])
@pytest.mark.parametrize(("room", "name", "when"), CRASH_POINTS)
async def test_a_restart_at_any_point_fills_the_parent_exactly(
    start_desk, parent, broker, minute, monkeypatch, room, name, when, slice_no
):
    """Every ledger write and every send is a place to die at, in each slice."""
    desk = start_desk(parent)
    await recover(desk, 0)
    owner = broker if room == "broker" else getattr(desk.ledger, room)
    real, crashed = getattr(owner, name), []

    def dying(*args, **fields):
        is_time = broker.now >= minute_of(slice_no)
        if is_time and not crashed and when == "before":
            crashed.append(True)
            raise Crash
        answer = real(*args, **fields)
        if is_time and not crashed:
            crashed.append(True)
            raise Crash
        return answer

    def minute_of(number):
        return parent.start + (number - 1) * timedelta(minutes=10)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dying)
        for number in (1, 2, 3):
            minute(10 * (number - 1))
            for _ in range(2):
                try:
                    work(desk, broker)
                except Crash:
                    desk = start_desk(parent)
                    await recover(desk, 0)
                assert shares_at(broker) <= parent.quantity
        assert crashed
    assert shares_at(broker) == parent.quantity == broker.positions["KO"]
    assert desk.ledger.executions.positions(broker.account) == broker.positions
    assert desk.ledger.executions.cash(broker.account).amount == broker.cash
    assert desk.ledger.parents.get("p-KO").state is ParentState.FILLED
    assert desk.ledger.check() == []


def work(desk, broker):
    """One slice: what is due, then what the broker says of it."""
    desk.slice_due(broker.now)
    for ref, order in list(broker.orders.items()):
        if order.remaining and order.status == "Submitted":
            fill = broker.execute(ref, order.remaining, f"{ref}.e.01")
            told = Commission(fill.exec_id, Decimal("0.35"), "USD", None)
            broker.commissions.append(told)
            broker.cash -= told.amount
            broker.events += [fill, told]
            broker.tell(ref, "Filled")
    desk.pump(broker.now)


def shares_at(broker):
    return sum(fill.quantity for fill in broker.fills)


def test_slices_are_never_smaller_than_what_a_commission_is_worth(
    ledger, session_settings, make_parent
):
    def slices(settings, **parent):
        order = make_parent(decision_price=Decimal(50), **parent)
        return slicing_policy(ledger, settings, order).slices

    settings = session_settings.model_copy(update={"slices": 13, "min_child_usd": 2_500.0})
    assert slices(settings, quantity=120) == 2
    assert slices(settings, quantity=1) == 1
    assert slices(settings, quantity=10_000) == 13
    assert slices(session_settings, quantity=1) == session_settings.slices


async def test_a_schedule_that_has_begun_stays_when_the_settings_change(
    start_desk, parent, ledger, session_settings, minute
):
    desk = start_desk(parent)
    note_schedules(ledger, desk.executions, minute(0))
    other = session_settings.model_copy(update={"slices": 1})
    again = restore_session(ledger, parent.session, other)
    assert again[parent.parent_id].policy.slices == session_settings.slices
    note_schedules(ledger, again, minute(1))
    assert ledger.worked.slices(parent.parent_id) == session_settings.slices


async def test_absence_today_proves_nothing_of_an_earlier_day(
    desk, send_into, start_desk, parent, broker
):
    send_into(desk, "before")
    broker.now += timedelta(days=1)
    again = start_desk(parent)
    await recover(again, 0)
    assert again.ledger.children.get(FIRST).order.state is not ChildState.NEVER_SENT
    again.slice_due(broker.now)
    assert broker.sent == []
