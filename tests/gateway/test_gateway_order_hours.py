"""Auctions, hours outside the session, and halts."""

from datetime import date
from decimal import Decimal as D

import pytest

from gateway.engine.orders import Notice
from gateway.engine.refusal import Refused

APPLE, RANGE = 0, 16


def test_on_close_orders_trade_at_the_close_itself(open_desk):
    desk = open_desk
    ordinal = desk.exchange.market.closes.ordinal(date(2022, 12, 29))
    close = desk.exchange.market.close_cents(APPLE, ordinal)
    small = desk.place(kind="MOC", shares=1)
    low = desk.place(kind="LOC", limit=desk.dollars(close - 50), shares=1)
    good = desk.place(kind="LOC", limit=desk.dollars(close + 50), shares=1)
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
    opening = desk.path_cents()[0]
    assert abs(market.last_price - opening) <= 1


def test_an_on_open_order_in_the_session_is_for_the_next_one(open_desk):
    order = open_desk.place(kind="MOO", shares=100)
    notices = [e for e in open_desk.events() if isinstance(e, Notice)]
    assert [n.code for n in notices] == [399]
    assert "2022-12-30" in notices[0].text
    open_desk.go("2022-12-30T14:30:00")
    assert order.status == "Filled"


def test_outside_regular_hours_only_those_that_want_to_trade(desk):
    desk.go("13:59:00")
    book = desk.exchange.book(APPLE)
    bid, ask = book.touch(desk.exchange.now)
    assert ask - bid >= 2
    inside = desk.place(kind="LMT", limit=desk.dollars(ask + 100), shares=10)
    market = desk.place(kind="MKT", shares=10, outsideRth=True)
    outside = desk.place(kind="LMT", limit=desk.dollars(ask + 100), shares=10, outsideRth=True)
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
    resting = desk.place(
        kind="LMT", limit=desk.dollars(min(desk.path_cents()[1_800:]) + 20), shares=10
    )
    desk.exchange.halt(APPLE)
    order = desk.place(shares=10)
    assert (order.status, order.waits) == ("PreSubmitted", "halt")
    other = desk.place(RANGE, shares=10)
    assert other.status == "Filled"
    desk.go("20:58:00")
    assert (order.filled, resting.filled) == (0, 0)
    desk.exchange.resume(APPLE)
    assert order.status == "Filled"
