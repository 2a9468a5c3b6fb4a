"""Stops, trailing stops, if-touched and pegged orders, conditions and times, in market time."""

from decimal import Decimal as D

import pytest

from gateway.engine.refusal import Refused

APPLE, RANGE = 0, 16


def test_a_stop_waits_for_its_price_and_then_takes_the_market(open_desk):
    desk = open_desk
    ahead = desk.path_cents()[desk.second :]
    stop = min(ahead) + 10
    order = desk.place(kind="STP", buy=False, auxPrice=desk.dollars(stop), shares=100)
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
    ahead = desk.path_cents()[desk.second :]
    stop = max(ahead) - 5
    order = desk.place(
        kind="STP LMT",
        auxPrice=desk.dollars(stop),
        limit=desk.dollars(min(ahead) - 100),
        shares=100,
    )
    desk.go("20:59:59")
    assert (order.kind, order.waits, order.status) == ("LMT", "", "Submitted")
    assert order.filled == 0


def test_a_trailing_stop_follows_the_market_one_way_only(open_desk):
    desk = open_desk
    order = desk.place(kind="TRAIL", buy=False, auxPrice=D("0.50"), shares=100)
    stops = []
    while order.is_working and desk.second < 23_000:
        desk.go_seconds(60)
        stops.append(order.stop)
    assert stops == sorted(stops)
    assert stops[-1] > stops[0]
    assert order.status == "Filled"
    (execution,) = desk.exchange.executions.values()
    assert execution.price <= order.stop + 5


def test_a_trailing_percentage_keeps_its_distance(open_desk):
    order = open_desk.place(kind="TRAIL", buy=True, trailingPercent=D(3), shares=10)
    open_desk.go_seconds(30)
    assert order.stop == pytest.approx(open_desk.now_cents() * 1.03, rel=0.005)


def test_if_touched_orders_wait_on_the_better_side(open_desk):
    desk = open_desk
    ahead = desk.path_cents()[desk.second :]
    order = desk.place(kind="MIT", buy=True, auxPrice=desk.dollars(min(ahead) + 20), shares=10)
    assert order.waits == "trigger"
    desk.go("20:59:00")
    assert order.status == "Filled"


def test_relative_orders_follow_the_quote_to_their_cap(open_desk):
    desk = open_desk
    book = desk.exchange.book(RANGE)
    cap = book.touch(desk.exchange.now)[0]
    free = desk.place(RANGE, kind="REL", shares=10**5)
    held = desk.place(RANGE, kind="REL", limit=desk.dollars(cap), shares=10**5, client_id=2)
    limits = set()
    for _ in range(300):
        desk.go_seconds(1)
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
    desk.go_seconds(30)
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
