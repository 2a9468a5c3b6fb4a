"""A cancel reaches its own order, and is asked for until it is heard."""

import asyncio

import pytest

from tasks.broker.protocol import BrokerNotice, OrderStatus
from tasks.session.cancelling import MOST_ASKED_AGAIN
from tasks.session.recovery import recover


@pytest.fixture
def working(start_desk, broker, parent, minute):
    """Return a desk with one child that the broker shows at work."""
    desk = start_desk(parent)
    asyncio.run(recover(desk, 0.0))
    desk.slice_due(minute(1))
    (child,) = broker.sent
    broker.tell(child.order_ref, "Submitted")
    desk.pump(broker.now)
    return desk


def alerts_of(desk):
    told = []
    desk.cancels.alert = lambda subject, text: told.append(f"{subject}: {text}")
    return told


def refuse(broker, ref, code=10148):
    broker.events.append(BrokerNotice(code, "cannot be cancelled", ref))


@pytest.mark.parametrize("code", [161, 10147, 10148])
def test_a_refused_cancel_is_asked_for_again_while_the_order_works(working, broker, code):
    (child,) = working.working_children()
    working.cancel_working()
    assert broker.cancels == [child.order_id]
    refuse(broker, child.order_ref, code)
    working.pump(broker.now)
    assert working.look_again
    asyncio.run(recover(working, 0.0))
    assert broker.cancels == [child.order_id] * 2
    asyncio.run(recover(working, 0.0))
    assert len(broker.cancels) == 2, "once for each refusal"


def test_an_order_that_ended_meanwhile_is_left_alone(working, broker):
    (child,) = working.working_children()
    working.cancel_working()
    refuse(broker, child.order_ref)
    broker.tell(child.order_ref, "Cancelled")
    working.pump(broker.now)
    asyncio.run(recover(working, 0.0))
    assert broker.cancels == [child.order_id]


def test_an_order_that_refuses_every_cancel_is_told_to_a_person(working, broker):
    told = alerts_of(working)
    (child,) = working.working_children()
    working.cancel_working()
    for _ in range(MOST_ASKED_AGAIN + 2):
        refuse(broker, child.order_ref)
        working.pump(broker.now)
        asyncio.run(recover(working, 0.0))
    assert len(broker.cancels) == 1 + MOST_ASKED_AGAIN
    assert any("by hand" in text and "cancel it in TWS" in text for text in told)


def test_an_order_is_cancelled_by_the_id_that_the_broker_shows(working, broker):
    """A restarted gateway has given it another one."""
    (child,) = working.working_children()
    broker.tell(child.order_ref, "Submitted", order_id=500)
    working.pump(broker.now)
    working.cancel_working()
    assert broker.cancels == [500]


def test_an_id_that_went_to_another_order_cancels_nothing(start_desk, working, broker):
    """After a reconnect the broker shows another order under the child's id, and not the child."""
    (child,) = working.working_children()
    broker.orders.pop(child.order_ref)
    desk = start_desk()
    told = alerts_of(desk)
    broker.orders["other"] = OrderStatus(
        "other", child.order_id, 7777, broker.client_id, "PEP", "Submitted", 0, 10
    )
    asyncio.run(recover(desk, 0.0))
    desk.cancel_working()
    assert broker.cancels == []
    assert any("order id" in text and "by hand" in text for text in told)


def test_an_order_of_another_client_is_for_a_person(working, broker):
    told = alerts_of(working)
    (child,) = working.working_children()
    broker.tell(child.order_ref, "Submitted", client_id=99)
    working.pump(broker.now)
    working.cancel_working()
    assert broker.cancels == []
    assert any("API client 99" in text for text in told)
