"""Cancels overtake, new orders leave room: the gateway never has to complain."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tasks.broker.ibkr import EvidenceIB, PacedClient
from tasks.broker.pacing import A_SECOND, Urgency, room


@given(used=st.integers(0, 200))
def test_the_more_urgent_always_has_more_room(used):
    new, reducing, cancel = (room(used, urgency) for urgency in Urgency)
    assert 0 <= new <= reducing <= cancel <= A_SECOND
    assert used + cancel <= max(A_SECOND, used)


@given(asked=st.lists(st.sampled_from(list(Urgency)), max_size=300))
def test_within_a_second_no_more_goes_than_the_client_sends(asked):
    """[14] Whatever asks in whatever order, cancels find room as long as others asked first."""
    used = dict.fromkeys(Urgency, 0)
    for urgency in asked:
        if room(sum(used.values()), urgency):
            used[urgency] += 1
    assert sum(used.values()) <= A_SECOND
    assert used[Urgency.NEW] <= 25
    assert used[Urgency.NEW] + used[Urgency.REDUCING] <= 35


class Socket:
    def __init__(self):
        self.sent = []
        self.whole = []

    def sendMsg(self, message):
        self.sent.append(message[4:].split(b"\0")[0])
        self.whole.append(message[4:])


async def test_a_cancel_overtakes_everything_that_waits():
    client: PacedClient = EvidenceIB().client
    client.conn = Socket()
    client.RequestsInterval = 0.5
    for _ in range(60):
        client.sendMsg("49\x001\x00")
    assert len(client.conn.sent) == A_SECOND
    client.sendMsg("4\x001\x0077\x00")
    assert client.used == 61
    await asyncio.sleep(0.7)
    assert client.conn.sent[A_SECOND] == b"4", "the first after the pause"
    assert len(client.conn.sent) == 61


async def crowded_client():
    client: PacedClient = EvidenceIB().client
    client.conn = Socket()
    client.RequestsInterval = 0.5
    for _ in range(A_SECOND):
        client.sendMsg("49\x001\x00")
    for order_id in (77, 78):
        client.sendMsg(f"3\x00{order_id}\x00")
    return client


async def test_a_cancel_does_not_overtake_its_own_order():
    client = await crowded_client()
    client.sendMsg("4\x001\x0077\x00")
    await asyncio.sleep(0.7)
    assert client.conn.whole[A_SECOND:] == [b"3\x0077\x00", b"4\x001\x0077\x00", b"3\x0078\x00"]


async def test_a_cancel_of_everything_goes_first_and_again_behind_the_orders_that_waited():
    client = await crowded_client()
    client.sendMsg("58\x001\x00")
    await asyncio.sleep(0.7)
    assert client.conn.sent[A_SECOND:] == [b"58", b"3", b"3", b"58"]
