"""Brackets and one-cancels-all groups."""

from decimal import Decimal as D

import pytest

from gateway.engine.refusal import Refused

APPLE = 0


def bracket(desk, limit, take, stop, shares=100):
    parent = desk.place(kind="LMT", limit=limit, shares=shares, transmit=False)
    ids = {"parentId": parent.order_id, "buy": False, "shares": shares}
    profit = desk.place(kind="LMT", limit=take, transmit=False, **ids)
    loss = desk.place(kind="STP", auxPrice=stop, **ids)
    return parent, profit, loss


def test_a_brackets_children_wait_for_their_parent(open_desk):
    desk = open_desk
    price = desk.now_cents()
    parent, profit, loss = bracket(desk, D("1.00"), D("1.01"), D("0.50"))
    assert parent.status == "Submitted"
    assert {profit.waits, loss.waits} == {"parent"}
    desk.go_seconds(600)
    assert desk.fills() == []  # the take-profit is far through the market and must not trade
    desk.exchange.cancel(1, parent.order_id)
    assert {o.status for o in (parent, profit, loss)} == {"Cancelled"}
    assert desk.exchange.exposure == {APPLE: 0}
    assert price > 101


def test_a_filled_parent_wakes_its_children_and_one_cancels_the_other(open_desk):
    desk = open_desk
    price = desk.now_cents()
    ahead = desk.path_cents()[desk.second :]
    parent, profit, loss = bracket(
        desk, desk.dollars(price + 50), desk.dollars(max(ahead) - 10), D("1.00"), shares=10
    )
    assert parent.status == "Filled"
    assert (profit.status, loss.status) == ("Submitted", "PreSubmitted")
    assert profit.oca == loss.oca == str(parent.perm_id)
    desk.go("20:59:00")
    assert (profit.status, loss.status) == ("Filled", "Cancelled")
    assert desk.exchange.account.positions[APPLE].shares == 0


def test_a_parent_cut_short_leaves_children_for_what_it_filled(open_desk):
    desk = open_desk
    ask, size = desk.exchange.book(APPLE).depth(desk.exchange.now, False, 1)[0]
    parent, profit, loss = bracket(
        desk, desk.dollars(ask), D("999.00"), D("1.00"), shares=size + 900
    )
    assert parent.filled == size
    desk.exchange.cancel(1, parent.order_id)
    assert (profit.status, loss.status) == ("Submitted", "PreSubmitted")
    assert (profit.quantity, loss.quantity) == (size, size)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_one_cancels_all(open_desk, kind):
    desk = open_desk
    group = {"ocaGroup": "pair", "ocaType": kind}
    resting = desk.place(kind="LMT", limit=D("1.00"), shares=100, **group)
    other = desk.place(kind="LMT", limit=D("1.01"), shares=50, client_id=2, **group)
    ask, size = desk.exchange.book(APPLE).depth(desk.exchange.now, False, 1)[0]
    taker = desk.place(kind="LMT", limit=desk.dollars(ask), shares=2 * size, **group)
    assert taker.filled == size
    if kind == 1:
        assert (resting.status, other.status) == ("Cancelled", "Cancelled")
    else:
        assert (resting.quantity, other.quantity) == (50, 25)
        desk.place(
            kind="LMT", limit=desk.dollars(ask + 500), shares=2 * size, order_id=taker.order_id
        )
        assert taker.status == "Filled"
        assert (resting.status, other.status) == ("Cancelled", "Cancelled")
    with pytest.raises(Refused) as raised:
        desk.place(kind="LMT", limit=D("1.00"), **group)
    assert raised.value.code == 201
    assert desk.exchange.exposure[APPLE] == (taker.remaining if kind == 1 else 0)
