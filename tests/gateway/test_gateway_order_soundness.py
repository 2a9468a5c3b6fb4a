"""Many orders, new days, restarts and random ones: the books stay sound."""

import random
from decimal import Decimal as D

import pytest

from gateway.engine.orders import Executed, OrderChanged
from gateway.engine.refusal import Refused


def test_thousands_of_orders(open_desk):
    desk = open_desk
    for number in range(2_000):
        desk.place(number % 20, kind="LMT", limit=D("0.05"), shares=1, client_id=number % 8)
    assert len(desk.exchange.open_orders()) == 2_000
    desk.events()
    desk.go_seconds(60)
    assert desk.events() == []
    desk.exchange.cancel_all()
    assert desk.exchange.open_orders() == []
    assert not any(desk.exchange.exposure.values())


def test_a_new_market_day_starts_clean_at_midnight(open_desk):
    desk = open_desk
    desk.place(shares=10)
    gone = desk.place(kind="LMT", limit=D("1.00"))
    desk.exchange.cancel(1, gone.order_id)
    kept = desk.place(kind="LMT", limit=D("1.00"), tif="GTC")
    desk.go("2022-12-30T04:59:59")
    assert len(desk.exchange.orders) == 3
    assert len(desk.exchange.executions) == 1
    desk.go("2022-12-30T05:00:00")
    assert list(desk.exchange.orders.values()) == [kept]
    assert desk.exchange.executions == {}


MIXED = (
    (0, {"kind": "STP", "buy": False, "auxPrice": "-0.30"}),
    (1, {"kind": "TRAIL", "buy": False, "auxPrice": "0.25"}),
    (2, {"kind": "LMT", "limit": "-0.05", "displaySize": 100, "shares": 800}),
    (3, {"kind": "REL", "auxPrice": "0.00", "shares": 2_000}),
    (4, {"kind": "LMT", "limit": "-0.02", "hidden": True, "shares": 700}),
    (5, {"kind": "MKT", "algoStrategy": "Twap", "algoParams": [], "shares": 5_000}),
    (6, {"kind": "MOC"}),
    (7, {"kind": "LMT", "limit": "-0.04", "outsideRth": True, "tif": "GTC", "shares": 3_000}),
    (8, {"kind": "MKT", "goodAfterTime": "20221229 12:00:00 US/Eastern"}),
)


def mixed_orders(desk):
    for column, asked in MIXED:
        fields = dict(asked)
        for name in ("limit", "auxPrice"):
            if name in fields:
                amount = D(fields[name])
                price = desk.dollars(desk.now_cents(column)) + amount
                fields[name] = price if amount < 0 else amount
        desk.place(column, **{"shares": 300, **fields})
    parent = desk.place(9, kind="LMT", limit=desk.dollars(desk.now_cents(9) - 3), transmit=False)
    desk.place(9, kind="LMT", buy=False, limit=D("999"), parentId=parent.order_id, transmit=False)
    desk.place(9, kind="STP", buy=False, auxPrice=D("1"), parentId=parent.order_id)


def told(desk, end):
    desk.go(end)
    events = desk.events()
    executed = [e.execution for e in events if isinstance(e, Executed)]
    states = [
        (e.order.perm_id, e.order.status, e.order.filled)
        for e in events
        if isinstance(e, OrderChanged)
    ]
    return [(e.exec_id, e.at, e.price, e.shares) for e in executed], states


def test_every_kind_fills_the_same_after_a_restart_and_in_any_pieces(tmp_path, closes, desk_class):
    whole = desk_class(tmp_path / "whole", closes)
    whole.go("15:00:00")
    mixed_orders(whole)
    expected, states = told(whole, "2022-12-30T15:00:00")
    assert len(expected) > 100
    broken = desk_class(tmp_path / "broken", closes)
    broken.go("15:00:00")
    mixed_orders(broken)
    got, seen = [], []
    for end in (
        "15:00:01",
        "15:20:00.5",
        "17:00:00",
        "20:59:59.9",
        "21:00:00",
        "2022-12-30T15:00:00",
    ):
        executed, changed = told(broken, end)
        got += executed
        seen += changed
        broken.close()
        broken = desk_class(tmp_path / "broken", closes)
    assert got == expected
    assert seen == states
    assert broken.exchange.account.cash == whole.exchange.account.cash
    whole.close()
    broken.close()


KINDS = ("MKT", "LMT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT", "MIT", "LIT")


AUCTIONS = ("MOC", "LOC", "MOO", "LOO", "REL", "PEG MID")


def any_order(rng, desk, column):
    price = desk.now_cents(column)
    near = lambda: desk.dollars(price + rng.randint(-15, 15))  # noqa: E731
    fields = {
        "kind": rng.choice(KINDS + AUCTIONS),
        "buy": rng.random() < 0.5,
        "shares": rng.randint(1, 3_000),
        "limit": near(),
        "auxPrice": near() if rng.random() < 0.8 else D("0.05"),
        "lmtPriceOffset": D("0.02"),
        "tif": rng.choice(("DAY", "DAY", "DAY", "GTC", "IOC", "FOK", "OPG")),
        "hidden": rng.random() < 0.1,
        "allOrNone": rng.random() < 0.1,
        "outsideRth": rng.random() < 0.3,
        "transmit": rng.random() < 0.9,
    }
    if rng.random() < 0.2:
        fields["displaySize"] = 1 + fields["shares"] // 5
    if rng.random() < 0.2:
        fields |= {"ocaGroup": rng.choice("abcdef"), "ocaType": rng.randint(1, 3)}
    if rng.random() < 0.15:
        fields["algoStrategy"] = rng.choice(("Twap", "Adaptive", "PctVol"))
    if desk.exchange.orders and rng.random() < 0.3:
        fields["parentId"] = rng.choice(list(desk.exchange.orders.values())).order_id
    return fields


def is_sound(desk):
    exposed = dict.fromkeys(range(20), 0)
    shares = dict.fromkeys(range(20), 0)
    for order in desk.exchange.orders.values():
        assert 0 <= order.filled <= order.quantity
        assert order.is_working or not order.waits
        assert (order.status == "Filled") == (order.remaining == 0)
        if order.is_working:
            exposed[order.column] += order.signed_remaining
        shares[order.column] += order.filled if order.buy else -order.filled
    exposure = desk.exchange.exposure
    assert all(exposure.get(column, 0) == signed for column, signed in exposed.items())
    positions = desk.exchange.account.positions
    assert all(n == (positions[c].shares if c in positions else 0) for c, n in shares.items())


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_the_books_stay_sound(desk, seed):
    rng = random.Random(seed)
    desk.exchange.account.cash = 10**13
    refusals = 0
    for _ in range(250):
        column = rng.randrange(4)
        try:
            match rng.random():
                case chance if chance < 0.6:
                    desk.place(column, **any_order(rng, desk, column))
                case chance if chance < 0.75 and desk.exchange.orders:
                    known = rng.choice(list(desk.exchange.orders.values()))
                    changed = {
                        **any_order(rng, desk, known.column),
                        "kind": known.request["orderType"],
                        "buy": known.buy,
                    }
                    desk.place(known.column, order_id=known.order_id, **changed)
                case chance if chance < 0.85 and desk.exchange.orders:
                    desk.exchange.cancel(
                        1, rng.choice(list(desk.exchange.orders.values())).order_id
                    )
                case chance if chance < 0.9:
                    rng.choice((desk.exchange.halt, desk.exchange.resume))(column)
                case _:
                    desk.go_seconds(rng.choice((1, 7, 60, 300)))
        except Refused:
            refusals += 1
        is_sound(desk)
        desk.events()
    assert refusals < 200
    desk.go("2022-12-30T04:59:59")
    is_sound(desk)
