"""Codes that leave an order's outcome open, halt, or take an id away; and who may resend at all."""

import logging

import pytest

from models.domain.errors import HaltTrading
from models.domain.orders import ChildState, ParentState
from tasks.broker.protocol import BrokerNotice
from tasks.session.recovery import recover, require_own_client, tell_held

FIRST = "p-KO.1.1"


def notice(code, text="words of the broker", ref=FIRST):
    return BrokerNotice(code, text, ref)


def child(desk, ref=FIRST):
    return desk.ledger.children.get(ref).order


@pytest.mark.parametrize("code", [161, 10147, 10148, 104, 987654])
async def test_an_open_outcome_is_looked_up_and_never_taken_for_an_end(desk, broker, minute, code):
    desk.slice_due(minute(0))
    broker.tell(FIRST, "Submitted")
    broker.events.append(notice(code))
    desk.pump(broker.now)
    assert desk.look_again
    assert child(desk).state is ChildState.ACKED
    reads = broker.reads
    await recover(desk, 0)
    assert broker.reads > reads
    assert not desk.look_again
    assert child(desk).state is ChildState.ACKED


async def test_a_code_that_nobody_knows_is_logged_whole(desk, broker, minute, caplog):
    desk.slice_due(minute(0))
    broker.events.append(notice(987654, "a dialog of the gateway"))
    with caplog.at_level(logging.WARNING):
        desk.pump(broker.now)
    assert "987654" in caplog.text
    assert "a dialog of the gateway" in caplog.text
    assert FIRST in caplog.text


async def test_what_only_a_person_can_mend_halts_for_good(desk, broker, minute):
    told = []
    desk.alert = lambda subject, text: told.append((subject, text))
    broker.events.append(notice(10141, "Paper trading disclaimer must first be accepted", ""))
    with pytest.raises(HaltTrading, match="10141.*disclaimer.*robo resume"):
        desk.pump(broker.now)
    assert "disclaimer" in desk.ledger.halts.current().reason
    assert told[0][0] == "halted"


async def test_an_id_that_was_used_up_is_not_tried_for_ever(desk, broker, minute):
    """The first sending got lost, and the gateway refuses the id for one it has seen since."""
    broker.loses = True
    desk.slice_due(minute(0))
    desk.lose_connection(broker.now)
    await recover(desk, 0)
    assert child(desk).state is ChildState.NEVER_SENT
    desk.slice_due(minute(1))
    assert [c.order_id for c in broker.sent] == [1, 1], "the same intent keeps its id"
    broker.events.append(notice(103, "Duplicate order id", "p-KO.1.2"))
    desk.pump(broker.now)
    assert child(desk, "p-KO.1.2").state is ChildState.SENT, "a code alone ends nothing"
    desk.lose_connection(broker.now)
    await recover(desk, 0)
    assert child(desk, "p-KO.1.2").state is ChildState.REJECTED
    broker.loses = False
    desk.slice_due(minute(11))
    assert broker.sent[-1].order_id not in (None, 1), "an id of its own from now on"


async def test_another_client_id_must_not_resend_what_is_unknown(desk, broker, minute):
    broker.loses = True
    desk.slice_due(minute(0))
    evidence = await broker.collect_evidence()
    require_own_client(desk.ledger, evidence, 11)
    with pytest.raises(HaltTrading, match=rf"{FIRST} by client 11.*ROBO_CLIENT_ID back"):
        require_own_client(desk.ledger, evidence, 77)


async def test_another_client_id_may_work_on_once_the_broker_shows_them(desk, broker, minute):
    desk.slice_due(minute(0))
    require_own_client(desk.ledger, await broker.collect_evidence(), 77)


async def test_a_child_without_room_among_the_messages_waits_and_is_not_lost(desk, broker, minute):
    broker.budget = 0
    assert not desk.slice_due(minute(0))
    assert desk.is_crowded
    assert desk.ledger.children.of_parent("p-KO") == ()
    broker.budget = 1
    desk.slice_due(minute(0))
    assert not desk.is_crowded
    assert [c.order_ref for c in broker.sent] == [FIRST]


async def test_a_parent_that_comes_back_held_is_told_at_once(start_desk, make_parent, minute):
    desk = start_desk(make_parent())
    desk.ledger.parents.set_state("p-KO", ParentState.WORKING, "")
    desk.ledger.parents.set_state("p-KO", ParentState.PAUSED, "two orders carry p-KO.1.1")
    again = start_desk()
    told = []
    again.alert = lambda subject, text: told.append((subject, text))
    tell_held(again)
    assert [subject for subject, _ in told] == ["p-KO PAUSED"]
    assert again.ledger.parents.get("p-KO").state is ParentState.PAUSED
