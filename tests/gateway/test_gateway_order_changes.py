"""Every kind of order changed while it waits or works, and orders by an amount of money."""

from decimal import Decimal as D

import pytest

from gateway.engine.orders import Notice
from gateway.engine.refusal import Refused

RANGE = 16


def refused(call):
    with pytest.raises(Refused) as raised:
        call()
    return raised.value.code


# Each kind: what it is placed with, what is changed of it, and where the change shows.
CHANGES = {
    "LMT": ({"limit": D("1.00")}, {"limit": D("1.10")}, ("limit", 110)),
    "STP": ({"auxPrice": D("999")}, {"auxPrice": D("998")}, ("stop", 99_800)),
    "STP LMT": (
        {"auxPrice": D("999"), "limit": D("999")},
        {"auxPrice": D("999"), "limit": D("998")},
        ("limit", 99_800),
    ),
    "TRAIL": ({"trailingPercent": D(50)}, {"trailingPercent": D(40)}, ("percent", 40.0)),
    "TRAIL LIMIT": (
        {"auxPrice": D("30"), "lmtPriceOffset": D("0.10")},
        {"auxPrice": D("30"), "lmtPriceOffset": D("0.20")},
        ("offset", 20),
    ),
    "MIT": ({"auxPrice": D("1.00")}, {"auxPrice": D("1.20")}, ("stop", 120)),
    "LIT": (
        {"auxPrice": D("1.00"), "limit": D("1.00")},
        {"auxPrice": D("1.00"), "limit": D("1.30")},
        ("limit", 130),
    ),
    "MOC": ({}, {"shares": 70}, ("quantity", 70)),
    "LOC": ({"limit": D("1.00")}, {"limit": D("1.10")}, ("limit", 110)),
    "MOO": ({}, {"shares": 70}, ("quantity", 70)),
    "LOO": ({"limit": D("1.00")}, {"limit": D("1.10")}, ("limit", 110)),
    "REL": ({"limit": D("1.00")}, {"limit": D("1.10")}, ("cap", 110)),
    "PEG MID": ({"limit": D("1.00")}, {"limit": D("1.10")}, ("cap", 110)),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_every_kind_can_be_changed_and_cancelled(open_desk, kind):
    desk = open_desk
    fields, change, (name, value) = CHANGES[kind]
    order = desk.place(kind=kind, **fields)
    permanent, exposure = order.perm_id, desk.exchange.exposure[0]
    assert order.is_working
    desk.place(kind=kind, order_id=order.order_id, **{"shares": 100, **change})
    assert getattr(order, name) == value
    assert (order.is_working, order.perm_id) == (True, permanent)
    assert desk.exchange.exposure[0] == exposure - 100 + order.quantity
    other = "MOC" if kind != "MOC" else "MOO"
    assert refused(lambda: desk.place(kind=other, order_id=order.order_id)) == 329
    assert (
        refused(lambda: desk.place(kind=kind, buy=False, order_id=order.order_id, **fields)) == 105
    )
    desk.exchange.cancel(1, order.order_id)
    assert (order.status, desk.exchange.exposure[0]) == ("Cancelled", 0)
    assert refused(lambda: desk.place(kind=kind, order_id=order.order_id, **fields)) == 103


def test_a_limit_order_becomes_a_market_order_under_its_ids(open_desk):
    desk = open_desk
    order = desk.place(kind="LMT", limit=D("1.00"))
    desk.place(kind="MKT", order_id=order.order_id)
    assert (order.status, order.kind, order.perm_id) == ("Filled", "MKT", 1_500_000_001)
    assert desk.exchange.exposure[0] == 0


def test_a_waiting_market_order_becomes_a_limit_order(desk):
    order = desk.place(kind="MKT")
    desk.place(kind="LMT", limit=D("1.00"), order_id=order.order_id)
    desk.go("15:00:00")
    assert (order.status, order.kind, order.limit) == ("Submitted", "LMT", 100)
    assert refused(lambda: desk.place(kind="STP", auxPrice=D(2), order_id=order.order_id)) == 329


def test_time_in_force_and_hours_can_be_changed(open_desk):
    desk = open_desk
    order = desk.place(kind="LMT", limit=D("1.00"))
    desk.place(kind="LMT", limit=D("1.00"), tif="GTC", order_id=order.order_id)
    desk.go("21:00:01")
    assert order.is_working
    until = {"tif": "GTD", "goodTillDate": "20221230 11:00:00 US/Eastern"}
    desk.place(kind="LMT", limit=D("1.00"), order_id=order.order_id, **until)
    desk.go("2022-12-30T15:59:59")
    assert order.is_working
    desk.go("2022-12-30T16:00:00")
    assert order.status == "Cancelled"


def test_a_change_beyond_reason_leaves_the_order_as_it_was(open_desk):
    desk = open_desk
    order = desk.place(kind="LMT", limit=D("1.00"))
    for code, fields in (
        (110, {"limit": D("1.005")}),
        (434, {"limit": D("1.00"), "shares": 0}),
        (321, {"limit": D("1.00"), "tif": "SOON"}),
        (321, {"limit": D("1.00"), "ocaType": 9}),
    ):
        change = {"kind": "LMT", "order_id": order.order_id, **fields}
        assert refused(lambda change=change: desk.place(**change)) == code
    assert (order.limit, order.quantity, order.status) == (100, 100, "Submitted")


def test_a_cash_quantity_buys_whole_shares_for_it(open_desk):
    desk = open_desk
    limited = desk.place(kind="LMT", limit=D("1.50"), shares=0, cashQty=D(100))
    assert (limited.quantity, limited.request["cashQty"]) == (66, D(100))
    _, ask = desk.exchange.book(RANGE).touch(desk.exchange.now)
    market = desk.place(RANGE, kind="MKT", shares=0, cashQty=D(1_000))
    assert market.quantity == 100_000 // ask
    assert market.status == "Filled"
    assert market.value <= 100_500
    desk.place(kind="LMT", limit=D("1.50"), shares=0, cashQty=D(300), order_id=limited.order_id)
    assert limited.quantity == 200
    again = {"shares": 200, "cashQty": D(300), "limit": D("1.40")}  # as openOrder told it back
    desk.place(kind="LMT", order_id=limited.order_id, **again)
    assert (limited.quantity, limited.limit) == (200, 140)
    assert refused(lambda: desk.place(kind="STP", auxPrice=D(9), shares=0, cashQty=D(5))) == 10244
    assert refused(lambda: desk.place(shares=1, cashQty=D(500))) == 10244
    assert refused(lambda: desk.place(shares=0, cashQty=D("0.50"))) == 201


def test_a_half_day_closes_auctions_and_day_orders_at_one(desk):
    desk.go("2023-07-03T15:00:00")
    market = desk.place(kind="MOC", shares=10)
    rests = desk.place(kind="LMT", limit=D("1.00"))
    late = desk.place(kind="LMT", limit=D("1.00"), outsideRth=True)
    desk.go("2023-07-03T16:50:01")
    assert refused(lambda: desk.place(kind="MOC", shares=10)) == 201
    desk.go("2023-07-03T16:59:59")
    assert (market.status, rests.status) == ("PreSubmitted", "Submitted")
    desk.go("2023-07-03T17:00:00")
    assert (market.status, rests.status, late.status) == ("Filled", "Cancelled", "Submitted")
    desk.go("2023-07-03T21:00:00")
    assert late.status == "Cancelled"
    order = desk.place(kind="LMT", limit=D("1.00"))
    notices = [e.text for e in desk.events() if isinstance(e, Notice) and e.code == 399]
    assert order.held
    assert "2023-07-05 09:30:00" in notices[-1]  # the fourth is a holiday
