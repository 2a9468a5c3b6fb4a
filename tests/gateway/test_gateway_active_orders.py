"""The limit of active orders on one side of one contract: validation first, only what is active."""

from decimal import Decimal

import pytest

from gateway.engine.refusal import Refused

FAR = {"kind": "LMT", "limit": Decimal("1.00"), "shares": 1}


@pytest.fixture
def full(open_desk):
    """A desk on which no more buys of KO may become active."""
    open_desk.exchange.most_active = 2
    for _ in range(2):
        open_desk.place(9, **FAR)
    return open_desk


def code(desk, **fields):
    with pytest.raises(Refused) as refusal:
        desk.place(9, **{**FAR, **fields})
    return refusal.value.code


def test_one_too_many_is_refused_on_its_side_of_its_contract_only(full):
    assert code(full) == 201
    full.place(9, **FAR | {"buy": False, "limit": Decimal("900.00")})
    full.place(8, **FAR)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"shares": 0}, 434),
        ({"shares": -5}, 321),
        ({"shares": "1.5"}, 10243),
        ({"limit": Decimal("1.005")}, 110),
        ({"kind": "XYZ"}, 387),
    ],
)
def test_what_is_wrong_with_an_order_is_told_first(full, fields, expected):
    assert code(full, **fields) == expected


def test_an_order_counts_once_it_is_transmitted(full):
    idle = full.place(9, **FAR, transmit=False)
    again = full.order(**FAR, transmit=True)
    with pytest.raises(Refused, match="Maximum of 2"):
        full.exchange.place(1, idle.order_id, 9, again)
    assert idle.idle
    full.exchange.cancel(1, 1)
    full.exchange.place(1, idle.order_id, 9, again)
    assert not idle.idle


def test_a_bracket_counts_by_its_parent(full):
    parent = full.place(9, **FAR, transmit=False)
    child = FAR | {"buy": False, "limit": Decimal("900.00"), "parentId": parent.order_id}
    full.place(9, **child, transmit=False)
    assert code(full, **child) == 201
    assert parent.idle
    full.exchange.cancel(1, 1)
    full.place(9, **child)
    assert not parent.idle
