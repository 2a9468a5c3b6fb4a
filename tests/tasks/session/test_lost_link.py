"""A gateway that has lost Interactive Brokers proves no absence, whenever it says so."""

import pytest

from models.domain.orders import ChildState
from tasks.broker.protocol import BrokerNotice, GatewayUnreachable
from tasks.session.recovery import recover
from tasks.session.session_day import require_link

FIRST = "p-KO.1.1"
LOST = BrokerNotice(1100, "Connectivity between IB and TWS has been lost", "")
BACK = BrokerNotice(1102, "Connectivity has been restored", "")


@pytest.fixture
async def flying(desk, send_into, start_desk, parent):
    """The first child was sent and is not seen at the broker: a restart has to ask."""
    send_into(desk, "lost")
    return start_desk(parent)


def state_of(desk):
    return desk.executions["p-KO"].children[FIRST].state


async def test_a_loss_told_before_the_looks_proves_nothing(flying, broker, minute):
    """Also one that is told while the session connects: nobody has read it yet."""
    broker.events.append(LOST)
    await recover(flying, 0)
    assert state_of(flying) is ChildState.UNKNOWN
    assert flying.is_blind
    flying.slice_due(minute(1))
    assert len(broker.sent) == 1
    await recover(flying, 0)
    assert state_of(flying) is ChildState.UNKNOWN, "still cut"
    broker.events.append(BACK)
    flying.pump(broker.now)
    await recover(flying, 0)
    assert flying.ledger.children.get(FIRST).order.state is ChildState.NEVER_SENT
    flying.slice_due(minute(2))
    assert [c.attempt for c in broker.sent] == [1, 2]


@pytest.mark.parametrize("told", [[LOST], [LOST, BACK], [BACK]])
async def test_a_loss_told_by_the_second_look_proves_nothing(
    flying, broker, minute, monkeypatch, told
):
    real, looks = broker.collect_evidence, []

    async def cut_in_the_second_and_later():
        evidence = await real()
        looks.append(evidence)
        if len(looks) > 1:
            broker.events += told
        return evidence

    broker.collect_evidence = cut_in_the_second_and_later
    await recover(flying, 0)
    assert state_of(flying) is ChildState.UNKNOWN
    flying.slice_due(minute(1))
    assert len(broker.sent) == 1
    broker.collect_evidence = real
    broker.events.append(BACK)
    flying.pump(broker.now)
    await recover(flying, 0)
    flying.slice_due(minute(2))
    assert [c.attempt for c in broker.sent] == [1, 2]


async def test_positions_of_a_gateway_without_its_link_are_no_mismatch(
    start_desk, parent, broker, minute
):
    desk = start_desk(parent)
    broker.positions = {"XOM": 7}
    broker.events.append(LOST)
    await recover(desk, 0)
    desk.slice_due(minute(0))
    assert broker.sent == []
    assert desk.ledger.differences.blocked(broker.account) == {}
    broker.events.append(BACK)
    desk.pump(broker.now)
    await recover(desk, 0)
    assert desk.ledger.differences.blocked(broker.account).keys() == {"XOM"}


@pytest.mark.parametrize("codes", [(1100,), (2110,), (1100, 1101), (1100, 1102)])
async def test_a_link_lost_during_the_two_looks_proves_nothing(
    desk, send_into, start_desk, parent, broker, minute, codes
):
    send_into(desk, "before")
    again = start_desk(parent)
    broker.events.extend(BrokerNotice(code, "connectivity", "") for code in codes)
    await recover(again, 0)
    assert again.ledger.children.get(FIRST).order.state is not ChildState.NEVER_SENT
    again.slice_due(minute(1))
    assert broker.sent == []


@pytest.mark.parametrize(("codes", "is_cut"), [((1100,), True), ((1100, 1102), False), ((), False)])
def test_no_opening_balance_is_taken_from_a_gateway_without_its_link(ledger, codes, is_cut):
    told = [BrokerNotice(code, "connectivity", "") for code in codes]
    if is_cut:
        with pytest.raises(GatewayUnreachable, match="code 1100.*opening balance"):
            require_link(ledger, "SIM0000001", told)
    else:
        require_link(ledger, "SIM0000001", told)


async def test_a_known_account_waits_out_a_lost_link(start_desk, parent):
    desk = start_desk(parent)
    require_link(desk.ledger, desk.book.account, [BrokerNotice(2110, "connectivity", "")])
