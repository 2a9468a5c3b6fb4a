"""Every order type and attribute against the simulated book, in market time."""

import random
from datetime import date
from decimal import Decimal as D

import pytest

from gateway.engine.orders import Executed, Notice, OrderChanged
from gateway.engine.refusal import Refused
from gateway.timeline import SECOND

APPLE, RANGE = 0, 16


def fills(desk):
    return [(e.price, e.shares, e.order_id) for e in desk.exchange.executions.values()]


def dollars(cents):
    return D(cents) / 100


def path_cents(desk, column=APPLE):
    book = desk.exchange.market.book_of(column, desk.exchange.span)
    return [round(float(mid) * 100) for mid in book.path.mid]


def now_cents(desk, column=APPLE):
    return desk.exchange.mark(column)


def second_of(desk):
    return desk.exchange.span.second(desk.exchange.now)


def go_seconds(desk, seconds):
    desk.exchange.advance(desk.exchange.now + seconds * SECOND)


@pytest.fixture
def open_desk(desk):
    desk.go("15:00:00")
    return desk


def test_a_stop_waits_for_its_price_and_then_takes_the_market(open_desk):
    desk = open_desk
    ahead = path_cents(desk)[second_of(desk) :]
    stop = min(ahead) + 10
    order = desk.place(kind="STP", buy=False, auxPrice=dollars(stop), shares=100)
    assert (order.status, order.waits) == ("PreSubmitted", "trigger")
    desk.go("20:59:00")
    assert order.status == "Filled"
    (execution,) = desk.exchange.executions.values()
    assert abs(execution.price - stop) <= 15
    assert execution.passive is False


def test_a_stop_that_is_never_reached_expires(open_desk):
    order = open_desk.place(kind="STP", buy=True, auxPrice=D("999.00"), shares=100)
    open_desk.go("21:00:00")
    assert (order.status, order.filled) == ("Cancelled", 0)


def test_a_stop_limit_becomes_a_limit_order(open_desk):
    desk = open_desk
    ahead = path_cents(desk)[second_of(desk) :]
    stop = max(ahead) - 5
    order = desk.place(
        kind="STP LMT", auxPrice=dollars(stop), limit=dollars(min(ahead) - 100), shares=100
    )
    desk.go("20:59:59")
    assert (order.kind, order.waits, order.status) == ("LMT", "", "Submitted")
    assert order.filled == 0


def test_a_trailing_stop_follows_the_market_one_way_only(open_desk):
    desk = open_desk
    order = desk.place(kind="TRAIL", buy=False, auxPrice=D("0.50"), shares=100)
    stops = []
    while order.is_working and second_of(desk) < 23_000:
        go_seconds(desk, 60)
        stops.append(order.stop)
    assert stops == sorted(stops)
    assert stops[-1] > stops[0]
    assert order.status == "Filled"
    (execution,) = desk.exchange.executions.values()
    assert execution.price <= order.stop + 5


def test_a_trailing_percentage_keeps_its_distance(open_desk):
    order = open_desk.place(kind="TRAIL", buy=True, trailingPercent=D(3), shares=10)
    go_seconds(open_desk, 30)
    assert order.stop == pytest.approx(now_cents(open_desk) * 1.03, rel=0.005)


def test_if_touched_orders_wait_on_the_better_side(open_desk):
    desk = open_desk
    ahead = path_cents(desk)[second_of(desk) :]
    order = desk.place(kind="MIT", buy=True, auxPrice=dollars(min(ahead) + 20), shares=10)
    assert order.waits == "trigger"
    desk.go("20:59:00")
    assert order.status == "Filled"


def test_on_close_orders_trade_at_the_close_itself(open_desk):
    desk = open_desk
    ordinal = desk.exchange.market.closes.ordinal(date(2022, 12, 29))
    close = desk.exchange.market.close_cents(APPLE, ordinal)
    small = desk.place(kind="MOC", shares=1)
    low = desk.place(kind="LOC", limit=dollars(close - 50), shares=1)
    good = desk.place(kind="LOC", limit=dollars(close + 50), shares=1)
    desk.go("20:59:59")
    assert {small.status, low.status, good.status} == {"PreSubmitted"}
    desk.go("21:00:00")
    assert (small.status, low.status, good.status) == ("Filled", "Cancelled", "Filled")
    assert small.last_price == good.last_price == close
    assert desk.exchange.closing_mark(APPLE) == close


def test_a_large_on_close_order_moves_the_close_that_it_gets(open_desk):
    desk = open_desk
    desk.exchange.account.cash = 10**13
    ordinal = desk.exchange.market.closes.ordinal(date(2022, 12, 29))
    close = desk.exchange.market.close_cents(RANGE, ordinal)
    order = desk.place(RANGE, kind="MOC", shares=2_000_000)
    desk.go("21:00:00")
    assert order.status == "Filled"
    assert order.last_price > close
    assert desk.exchange.closing_mark(RANGE) == order.last_price


def test_on_close_orders_are_refused_after_the_cutoff(open_desk):
    open_desk.go("20:50:01")
    with pytest.raises(Refused) as raised:
        open_desk.place(kind="MOC", shares=1)
    assert raised.value.code == 201


def test_on_open_orders_trade_at_the_opening_price(desk):
    market = desk.place(kind="MKT", tif="OPG", shares=100)
    limited = desk.place(kind="LMT", tif="OPG", limit=D("1.00"), shares=100)
    desk.go("14:29:59")
    assert market.waits == limited.waits == "auction"
    desk.go("14:30:00")
    assert (market.status, limited.status) == ("Filled", "Cancelled")
    opening = path_cents(desk)[0]
    assert abs(market.last_price - opening) <= 1


def test_an_on_open_order_in_the_session_is_for_the_next_one(open_desk):
    order = open_desk.place(kind="MOO", shares=100)
    notices = [e for e in open_desk.events() if isinstance(e, Notice)]
    assert [n.code for n in notices] == [399]
    assert "2022-12-30" in notices[0].text
    open_desk.go("2022-12-30T14:30:00")
    assert order.status == "Filled"


def test_relative_orders_follow_the_quote_to_their_cap(open_desk):
    desk = open_desk
    book = desk.exchange.book(RANGE)
    cap = book.touch(desk.exchange.now)[0]
    free = desk.place(RANGE, kind="REL", shares=10**5)
    held = desk.place(RANGE, kind="REL", limit=dollars(cap), shares=10**5, client_id=2)
    limits = set()
    for _ in range(300):
        go_seconds(desk, 1)
        bid, ask = desk.exchange.book(RANGE).touch(desk.exchange.now)
        assert free.limit == min(bid, ask - 1)
        assert held.limit == min(bid, cap)
        limits.add(free.limit)
    assert len(limits) > 2


def test_midpoint_orders_trade_inside_the_spread_unseen(open_desk):
    desk = open_desk
    book = desk.exchange.book(APPLE)
    before = book.top(desk.exchange.now)
    order = desk.place(kind="PEG MID", shares=100)
    assert desk.exchange.book(APPLE).top(desk.exchange.now) == before
    go_seconds(desk, 30)
    assert order.status == "Filled"
    assert all(e.passive for e in desk.exchange.executions.values())


def test_a_good_till_date_order_ends_at_its_moment(open_desk):
    order = open_desk.place(
        kind="LMT", limit=D("1.00"), tif="GTD", goodTillDate="20221229 11:30:00 US/Eastern"
    )
    open_desk.go("16:29:59")
    assert order.is_working
    open_desk.go("16:30:00")
    assert order.status == "Cancelled"


def test_an_order_good_after_a_time_begins_then(open_desk):
    order = open_desk.place(shares=100, goodAfterTime="20221229 11:30:00 US/Eastern")
    open_desk.go("16:29:59")
    assert (order.status, order.filled) == ("PreSubmitted", 0)
    open_desk.go("16:30:00")
    assert order.status == "Filled"


def bracket(desk, limit, take, stop, shares=100):
    parent = desk.place(kind="LMT", limit=limit, shares=shares, transmit=False)
    ids = {"parentId": parent.order_id, "buy": False, "shares": shares}
    profit = desk.place(kind="LMT", limit=take, transmit=False, **ids)
    loss = desk.place(kind="STP", auxPrice=stop, **ids)
    return parent, profit, loss


def test_a_brackets_children_wait_for_their_parent(open_desk):
    desk = open_desk
    price = now_cents(desk)
    parent, profit, loss = bracket(desk, D("1.00"), D("1.01"), D("0.50"))
    assert parent.status == "Submitted"
    assert {profit.waits, loss.waits} == {"parent"}
    go_seconds(desk, 600)
    assert fills(desk) == []  # the take-profit is far through the market and must not trade
    desk.exchange.cancel(1, parent.order_id)
    assert {o.status for o in (parent, profit, loss)} == {"Cancelled"}
    assert desk.exchange.exposure == {APPLE: 0}
    assert price > 101


def test_a_filled_parent_wakes_its_children_and_one_cancels_the_other(open_desk):
    desk = open_desk
    price = now_cents(desk)
    ahead = path_cents(desk)[second_of(desk) :]
    parent, profit, loss = bracket(
        desk, dollars(price + 50), dollars(max(ahead) - 10), D("1.00"), shares=10
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
    parent, profit, loss = bracket(desk, dollars(ask), D("999.00"), D("1.00"), shares=size + 900)
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
    taker = desk.place(kind="LMT", limit=dollars(ask), shares=2 * size, **group)
    assert taker.filled == size
    if kind == 1:
        assert (resting.status, other.status) == ("Cancelled", "Cancelled")
    else:
        assert (resting.quantity, other.quantity) == (50, 25)
        desk.place(kind="LMT", limit=dollars(ask + 500), shares=2 * size, order_id=taker.order_id)
        assert taker.status == "Filled"
        assert (resting.status, other.status) == ("Cancelled", "Cancelled")
    with pytest.raises(Refused) as raised:
        desk.place(kind="LMT", limit=D("1.00"), **group)
    assert raised.value.code == 201
    assert desk.exchange.exposure[APPLE] == (taker.remaining if kind == 1 else 0)


def test_an_iceberg_shows_its_tip_and_goes_to_the_back_for_more(open_desk):
    desk = open_desk
    book = desk.exchange.book(RANGE)
    bid = book.touch(desk.exchange.now)[0]
    before = book.depth(desk.exchange.now, True, 1)[0][1]
    order = desk.place(RANGE, kind="LMT", limit=dollars(bid), shares=1_000, displaySize=100)
    assert desk.exchange.book(RANGE).depth(desk.exchange.now, True, 1)[0] == (bid, before + 100)
    places = set()
    while order.filled < 400 and second_of(desk) < 23_000:
        go_seconds(desk, 1)
        places.add(order.seq)
        assert order.shown <= 100
    assert order.filled >= 400
    assert len(places) > 2


def test_a_hidden_order_is_not_shown(open_desk):
    desk = open_desk
    at, book = desk.exchange.now, desk.exchange.book(APPLE)
    bid = book.touch(at)[0]
    before = book.depth(at, True, 10)
    order = desk.place(kind="LMT", limit=dollars(bid), shares=500, hidden=True)
    assert desk.exchange.book(APPLE).depth(at, True, 10) == before
    assert order.status == "Submitted"


def test_minimum_quantity_and_all_or_none(open_desk):
    desk = open_desk
    ask, size = desk.exchange.book(APPLE).depth(desk.exchange.now, False, 1)[0]
    least = desk.place(kind="LMT", limit=dollars(ask), shares=2 * size, minQty=size + 1, tif="IOC")
    assert (least.status, least.filled) == ("Cancelled", 0)
    whole = desk.place(kind="LMT", limit=dollars(ask), shares=size + 1, allOrNone=True)
    assert (whole.status, whole.filled) == ("Submitted", 0)
    some = desk.place(kind="LMT", limit=dollars(ask), shares=2 * size, minQty=size, tif="IOC")
    assert some.filled == size
    desk.go("20:59:59")
    assert whole.filled in {0, whole.quantity}


def test_less_quantity_keeps_the_place_and_a_new_price_loses_it(open_desk):
    desk = open_desk
    bid = desk.exchange.book(RANGE).touch(desk.exchange.now)[0]
    first = desk.place(RANGE, kind="LMT", limit=dollars(bid), shares=500, order_id=1)
    second = desk.place(RANGE, kind="LMT", limit=dollars(bid), shares=500, order_id=2)
    place, queue = first.seq, list(first.queue)
    desk.place(RANGE, kind="LMT", limit=dollars(bid), shares=400, order_id=1)
    assert (first.seq, first.queue, first.quantity) == (place, queue, 400)
    desk.place(RANGE, kind="LMT", limit=dollars(bid), shares=600, order_id=1)
    assert first.seq > second.seq


def test_clients_trade_with_each_other_in_price_time_priority(open_desk):
    desk = open_desk
    bid, ask = desk.exchange.book(RANGE).touch(desk.exchange.now)
    assert ask - bid == 1
    queue = desk.exchange.book(RANGE).depth(desk.exchange.now, True, 1)[0][1]
    first = desk.place(RANGE, kind="LMT", limit=dollars(bid), shares=100, client_id=2)
    second = desk.place(RANGE, kind="LMT", limit=dollars(bid), shares=100, client_id=3)
    seller = desk.place(RANGE, kind="LMT", buy=False, limit=dollars(bid), shares=queue + 150)
    assert (first.filled, second.filled) == (100, 50)
    assert (seller.filled, seller.status) == (queue + 150, "Filled")
    assert {e.price for e in desk.exchange.executions.values()} == {bid}
    assert desk.exchange.account.positions[RANGE].shares == 150 - seller.filled


def test_outside_regular_hours_only_those_that_want_to_trade(desk):
    desk.go("13:59:00")
    book = desk.exchange.book(APPLE)
    bid, ask = book.touch(desk.exchange.now)
    assert ask - bid >= 2
    inside = desk.place(kind="LMT", limit=dollars(ask + 100), shares=10)
    market = desk.place(kind="MKT", shares=10, outsideRth=True)
    outside = desk.place(kind="LMT", limit=dollars(ask + 100), shares=10, outsideRth=True)
    assert (inside.status, market.status, outside.status) == (
        "PreSubmitted",
        "PreSubmitted",
        "Filled",
    )
    desk.go("14:30:00")
    assert (inside.status, market.status) == ("Filled", "Filled")


def test_an_after_market_order_lives_until_eight(desk):
    desk.go("15:00:00")
    order = desk.place(kind="LMT", limit=D("1.00"), outsideRth=True)
    desk.go("21:30:00")
    late = desk.place(kind="LMT", limit=D("1.00"), outsideRth=True)
    assert (order.status, late.status) == ("Submitted", "Submitted")
    desk.go("2022-12-30T00:59:59")
    assert order.is_working
    desk.go("2022-12-30T01:00:00")
    assert (order.status, late.status) == ("Cancelled", "Cancelled")


def test_an_overnight_outside_order_begins_at_four(desk):
    order = desk.place(kind="LMT", limit=D("999.00"), shares=10, outsideRth=True)
    desk.go("21:00:00")
    assert order.status == "Filled"
    desk.go("2022-12-30T08:00:00")
    late = desk.place(kind="LMT", limit=D("999.00"), shares=10, outsideRth=True)
    assert late.status == "PreSubmitted"
    desk.go("2022-12-30T09:00:00")
    assert late.status == "Filled"


def test_a_halt_stops_everything_until_trading_resumes(open_desk):
    desk = open_desk
    resting = desk.place(kind="LMT", limit=dollars(min(path_cents(desk)[1_800:]) + 20), shares=10)
    desk.exchange.halt(APPLE)
    order = desk.place(shares=10)
    assert (order.status, order.waits) == ("PreSubmitted", "halt")
    other = desk.place(RANGE, shares=10)
    assert other.status == "Filled"
    desk.go("20:58:00")
    assert (order.filled, resting.filled) == (0, 0)
    desk.exchange.resume(APPLE)
    assert order.status == "Filled"


@pytest.mark.parametrize("algo", ["Twap", "Vwap", "ArrivalPx"])
def test_a_schedule_algorithm_trades_evenly_over_its_window(open_desk, algo):
    desk = open_desk
    window = [
        {"tag": "startTime", "value": "10:30:00 US/Eastern"},
        {"tag": "endTime", "value": "11:30:00 US/Eastern"},
    ]
    order = desk.place(shares=6_000, algoStrategy=algo, algoParams=window)
    desk.go("15:29:00")
    assert order.filled == 0
    desk.go("16:00:00")
    assert 2_900 <= order.filled <= 3_200
    desk.go("16:30:00")
    assert order.status == "Filled"
    assert len(desk.exchange.executions) >= 100


def test_a_share_of_volume_algorithm_trades_its_share(open_desk):
    desk = open_desk
    rate = [{"tag": "pctVol", "value": "0.05"}]
    desk.exchange.account.cash = 10**13
    order = desk.place(RANGE, shares=10**6, algoStrategy="PctVol", algoParams=rate)
    path = desk.exchange.book(RANGE).path
    began = second_of(desk)
    desk.go("17:00:00")
    passed = int(path.traded[second_of(desk)] - path.traded[began])
    assert order.filled == pytest.approx(passed * 0.05 / 0.95, rel=0.03)


def test_an_adaptive_order_is_patient_and_then_takes(open_desk):
    order = open_desk.place(
        RANGE,
        shares=50_000,
        algoStrategy="Adaptive",
        algoParams=[{"tag": "adaptivePriority", "value": "Patient"}],
    )
    assert order.status == "Submitted"
    go_seconds(open_desk, 59)
    assert 0 < order.filled < 50_000
    go_seconds(open_desk, 3)
    assert order.status == "Filled"
    assert any(e.passive for e in open_desk.exchange.executions.values())


def conditions(*asked, cancels=False):
    fields = {"conditionCount": len(asked), "conditionsCancelOrder": cancels}
    for place, values in enumerate(asked):
        fields |= {f"condition{place}{name}": value for name, value in values.items()}
    return fields


AT_ELEVEN = {"Type": 3, "Conjunction": "a", "Ismore": "1", "Time": "20221229 11:00:00 US/Eastern"}
CHEAP = {"Type": 1, "Conjunction": "a", "Ismore": "0", "Price": "1.0", "Conid": "700000001"}


def test_conditions_start_an_order_or_cancel_it(open_desk):
    desk = open_desk
    timed = desk.place(shares=10, **conditions(AT_ELEVEN))
    both = desk.place(shares=10, **conditions(AT_ELEVEN, CHEAP))
    either = desk.place(shares=10, **conditions(AT_ELEVEN | {"Conjunction": "o"}, CHEAP))
    ended = desk.place(kind="LMT", limit=D("1.00"), **conditions(AT_ELEVEN, cancels=True))
    assert ended.status == "Submitted"
    desk.go("15:59:59")
    assert [o.filled for o in (timed, both, either)] == [0, 0, 0]
    desk.go("16:00:01")
    assert [o.status for o in (timed, both, either)] == ["Filled", "PreSubmitted", "Filled"]
    assert ended.status == "Cancelled"
    with pytest.raises(Refused) as raised:
        desk.place(shares=10, **conditions(CHEAP | {"Conid": "5"}))
    assert raised.value.code == 321


def test_ten_thousand_orders(open_desk):
    desk = open_desk
    for number in range(10_000):
        desk.place(number % 20, kind="LMT", limit=D("0.05"), shares=1, client_id=number % 8)
    assert len(desk.exchange.open_orders()) == 10_000
    desk.events()
    go_seconds(desk, 60)
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
                price = dollars(now_cents(desk, column)) + amount
                fields[name] = price if amount < 0 else amount
        desk.place(column, **{"shares": 300, **fields})
    parent = desk.place(9, kind="LMT", limit=dollars(now_cents(desk, 9) - 3), transmit=False)
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
    price = now_cents(desk, column)
    near = lambda: dollars(price + rng.randint(-15, 15))  # noqa: E731
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
                    go_seconds(desk, rng.choice((1, 7, 60, 300)))
        except Refused:
            refusals += 1
        is_sound(desk)
        desk.events()
    assert refusals < 200
    desk.go("2022-12-30T04:59:59")
    is_sound(desk)
