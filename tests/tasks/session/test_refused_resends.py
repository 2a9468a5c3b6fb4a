"""A late order whose resend was refused: it works under its own name, and counts."""

import pytest

from models.domain.orders import ChildState
from tasks.broker.protocol import BrokerNotice
from tasks.session.recovery import recover

EARLY, AGAIN = "p-KO.1.1", "p-KO.1.2"


@pytest.fixture
def told():
    return []


@pytest.fixture
async def refused(desk, send_into, start_desk, parent, broker, minute, told):
    """A desk that gave the first attempt up and whose resend was refused without a trace."""

    async def start(code):
        send_into(desk, "lost")
        again = start_desk(parent)
        again.alert = lambda subject, text: told.append((subject, text))
        await recover(again, 0)
        broker.loses = True
        again.slice_due(minute(1))
        assert broker.sent[-1].order_ref == AGAIN
        assert broker.sent[-1].order_id == broker.sent[0].order_id
        broker.events.append(BrokerNotice(code, "refused", AGAIN))
        again.pump(broker.now)
        again.lose_connection(broker.now)
        await recover(again, 0)
        broker.loses = False
        assert again.ledger.children.get(EARLY).order.state is ChildState.NEVER_SENT
        assert again.ledger.children.get(AGAIN).order.state is ChildState.REJECTED
        return again

    return start


@pytest.mark.parametrize("code", [103, 201])
async def test_it_counts_again_and_the_parent_is_not_overfilled(
    refused, broker, minute, told, code
):
    desk = await refused(code)
    broker.arrive(broker.sent[0])
    broker.tell(EARLY, "Submitted")
    desk.pump(broker.now)
    execution = desk.executions["p-KO"]
    assert execution.children[EARLY].state is ChildState.ACKED
    assert execution.exposure == 30 and not execution.quarantine
    ((subject, _),) = told
    assert subject == f"{EARLY} arrived late"
    for due in (11, 21, 29):
        desk.slice_due(minute(due))
        desk.pump(broker.now)
    assert sum(order.remaining for order in broker.orders.values()) <= 90
    broker.events.append(broker.execute(EARLY, 30, "e.01"))
    desk.pump(broker.now)
    await recover(desk, 0)
    assert desk.executions["p-KO"].children[EARLY].filled == 30
    assert desk.ledger.halts.current() is None


async def test_a_full_look_adopts_it_under_its_own_name(refused, broker):
    desk = await refused(201)
    broker.arrive(broker.sent[0])
    await recover(desk, 0)
    assert desk.ledger.children.get(EARLY).order.state is ChildState.ACKED
    assert desk.executions["p-KO"].exposure == 30


async def test_two_orders_under_one_id_pause_and_nobody_is_calmed(
    desk, send_into, start_desk, parent, broker, minute, told
):
    send_into(desk, "lost")
    again = start_desk(parent)
    again.alert = lambda subject, text: told.append((subject, text))
    await recover(again, 0)
    again.slice_due(minute(1))
    broker.tell(AGAIN, "Submitted")
    again.pump(broker.now)
    broker.arrive(broker.sent[0])  # under a permanent id of its own
    await recover(again, 0)
    assert again.executions["p-KO"].quarantine
    assert not [subject for subject, _ in told if "arrived late" in subject]
