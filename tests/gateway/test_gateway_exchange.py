"""Orders against the simulated book: life cycles, codes, impact, and time in any pieces."""

import random
from datetime import date
from decimal import Decimal as D

import pytest

from gateway.engine.orders import CommissionCharged, Executed, Notice, OrderChanged
from gateway.engine.refusal import Refused
from gateway.timeline import SECOND

APPLE, RANGE = 0, 16


def names(events):
    words = []
    for event in events:
        match event:
            case OrderChanged(order):
                words.append(order.status)
            case Notice(code=code):
                words.append(code)
            case Executed():
                words.append("fill")
            case CommissionCharged():
                words.append("commission")
    return words


def refused(call, *args, **fields):
    with pytest.raises(Refused) as raised:
        call(*args, **fields)
    return raised.value.code


def test_a_market_order_walks_the_book_at_worse_and_worse_prices(desk):
    desk.go("15:00:00")
    desk.events()
    order = desk.place(APPLE, shares=5_000)
    desk.go("15:00:01")
    words = names(desk.events())
    assert words[0] == "PreSubmitted"
    assert words.count("fill") == words.count("commission") >= 3
    assert order.status == "Filled"
    prices = [e.price for e in desk.exchange.executions.values()]
    assert prices == sorted(prices)
    assert prices[0] < prices[-1]
    assert sum(e.shares * e.price for e in desk.exchange.executions.values()) == order.value
    assert sum(e.commission for e in desk.exchange.executions.values()) == 2_500
    assert desk.exchange.account.cash == 1_000_000_000 - order.value - 2_500


def test_commission_comes_after_its_execution(desk):
    desk.go("15:00:00")
    desk.place(APPLE, shares=10)
    assert "commission" not in names(desk.events())
    cash = desk.exchange.account.cash
    desk.exchange.advance(desk.exchange.now + 199_999)
    assert names(desk.events()) == []
    desk.exchange.advance(desk.exchange.now + 1)
    assert names(desk.events()) == ["commission"]
    assert desk.exchange.account.cash == cash - 100


def test_buying_leaves_a_hole_that_refills_and_an_impact_that_stays(desk):
    desk.go("15:00:00")
    book = desk.exchange.market.book_of(RANGE, desk.exchange.span)
    at = desk.exchange.now
    calm, before = book.mid(at), book.top(at)
    desk.place(RANGE, shares=20_000, buy=True, order_id=1)
    after = book.top(at)
    assert after.ask > before.ask + 5
    later = at + 600 * SECOND
    undisturbed = float(book.path.mid[book.span.second(later)])
    assert book.mid(at) > calm
    temporary, permanent = book.mid(at) / calm, book.mid(later) / undisturbed
    assert 1.0 < permanent < temporary
    assert book._gone(later, buy=True) == 0


def test_ioc_takes_what_there_is_and_fok_all_or_nothing(desk):
    desk.go("15:00:00")
    book = desk.exchange.market.book_of(APPLE, desk.exchange.span)
    top = book.top(desk.exchange.now)
    limit = f"{top.ask / 100:.2f}"
    fok = desk.place(APPLE, kind="LMT", limit=D(limit), shares=top.ask_size + 1, tif="FOK")
    assert names(desk.events()) == ["Submitted", 202, "Cancelled"]
    assert fok.filled == 0
    ioc = desk.place(APPLE, kind="LMT", limit=D(limit), shares=top.ask_size + 1, tif="IOC")
    assert names(desk.events()) == ["Submitted", "fill", "Submitted", 202, "Cancelled"]
    assert (ioc.filled, ioc.remaining) == (top.ask_size, 1)


def test_a_resting_order_fills_at_its_limit_when_the_market_gets_there(desk):
    desk.go("15:00:00")
    book = desk.exchange.market.book_of(APPLE, desk.exchange.span)
    second = book.span.second(desk.exchange.now)
    low = float(book.path.mid[second:].min())
    limit = D(f"{low + 0.05:.2f}")
    order = desk.place(APPLE, kind="LMT", limit=limit, shares=100, tif="DAY")
    assert order.status == "Submitted"
    assert order.filled == 0
    desk.go("21:00:00")
    assert order.status == "Filled"
    assert {e.price for e in desk.exchange.executions.values()} == {int(limit * 100)}
    assert all(e.passive for e in desk.exchange.executions.values())


def test_a_resting_order_waits_behind_the_queue(desk):
    desk.go("15:00:00")
    book = desk.exchange.market.book_of(RANGE, desk.exchange.span)
    top = book.top(desk.exchange.now)
    order = desk.place(RANGE, kind="LMT", limit=D(top.bid) / 100, shares=100)
    assert order.ahead == top.bid_size
    better = desk.place(RANGE, kind="LMT", limit=D(top.bid - 1) / 100, shares=100)
    assert better.ahead > 0
    assert desk.exchange.exposure == {RANGE: 200}


def test_day_orders_expire_at_the_close_and_gtc_orders_stay(desk):
    desk.go("15:00:00")
    day = desk.place(APPLE, kind="LMT", limit=D("1.00"), tif="DAY")
    gtc = desk.place(APPLE, kind="LMT", limit=D("1.00"), tif="GTC")
    desk.events()
    desk.go("20:59:59")
    assert names(desk.events()) == []
    desk.go("21:00:00")
    assert names(desk.events()) == [202, "Cancelled"]
    assert (day.status, gtc.status) == ("Cancelled", "Submitted")
    desk.go("2022-12-30T21:00:00")
    assert gtc.status == "Submitted"


def test_orders_before_the_open_are_held_with_399_and_work_at_the_open(desk):
    order = desk.place(APPLE, shares=50)
    assert names(desk.events()) == ["PreSubmitted", 399, "PreSubmitted"]
    desk.go("14:29:59")
    assert names(desk.events()) == []
    desk.go("14:30:00")
    assert names(desk.events()) == ["PreSubmitted", "fill", "Filled"]
    (execution,) = desk.exchange.executions.values()
    assert execution.at == desk.exchange.span.open
    assert order.filled == 50


def test_orders_after_the_close_are_for_the_next_session(desk):
    desk.go("21:00:00")
    order = desk.place(APPLE, kind="LMT", limit=D("1.00"))
    assert order.expires == date(2022, 12, 30)
    (_, notice, _) = desk.events()
    assert "2022-12-30 09:30:00" in notice.text
    assert notice.text.splitlines()[1].endswith(" AAPL NASDAQ.NMS")
    desk.go("2022-12-30T20:59:59")
    assert order.is_working
    desk.go("2022-12-30T21:00:00")
    assert order.status == "Cancelled"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (434, {"shares": 0}),
        (321, {"shares": -5}),
        (10243, {"shares": 1.5}),
        (201, {"shares": 10**12}),
        (387, {"kind": "VOL"}),
        (321, {"kind": "STP"}),
        (321, {"kind": "TRAIL"}),
        (321, {"kind": "MKT", "minQty": 200}),
        (439, {"algoStrategy": "Magic"}),
        (
            441,
            {
                "algoStrategy": "Adaptive",
                "algoParams": [{"tag": "adaptivePriority", "value": "XX"}],
            },
        ),
        (10244, {"cashQty": D(500)}),
        (10006, {"parentId": 77}),
        (321, {"tif": "GTX"}),
        (321, {"kind": "LMT", "limit": None}),
        (110, {"kind": "LMT", "limit": "10.005"}),
        (321, {"kind": "LMT", "limit": "-1"}),
        (321, {"account": "DU1"}),
        (321, {"action": "HOLD"}),
    ],
)
def test_orders_that_cannot_be_are_refused_with_the_real_code(desk, code, fields):
    fields = dict(fields)
    shares = D(str(fields.pop("shares", 100)))
    limit = fields.pop("limit", None)
    limit = None if limit is None else D(limit)
    order = desk.order(**fields, limit=limit) | {"totalQuantity": shares}
    order |= {key: value for key, value in fields.items() if key != "kind"}
    assert refused(desk.exchange.place, 1, 1, 0, order) == code
    assert desk.exchange.orders == {}
    assert desk.events() == []


def test_order_ids_rise_within_a_client(desk):
    desk.place(order_id=10)
    assert refused(desk.place, order_id=9) == 103
    assert desk.exchange.next_id(1) == 11
    assert desk.exchange.next_id(2) == 1
    desk.place(order_id=9, client_id=2)
    assert len({order.perm_id for order in desk.exchange.orders.values()}) == 2


def test_changing_an_order(desk):
    desk.go("15:00:00")
    order = desk.place(APPLE, kind="LMT", limit=D("1.00"), shares=100, order_id=1)
    desk.events()
    desk.place(APPLE, kind="LMT", limit=D("1.01"), shares=50, order_id=1)
    assert names(desk.events()) == ["Submitted"]
    assert (order.limit, order.quantity) == (101, 50)
    assert refused(desk.place, APPLE, kind="MOC", order_id=1) == 329
    assert refused(desk.place, APPLE, kind="LMT", limit=D("1.01"), buy=False, order_id=1) == 105
    ask = desk.exchange.market.book_of(APPLE, desk.exchange.span).top(desk.exchange.now).ask
    desk.place(APPLE, kind="LMT", limit=D(ask + 100) / 100, shares=50, order_id=1)
    assert order.status == "Filled"
    assert refused(desk.place, APPLE, kind="LMT", limit=D("1.01"), order_id=1) == 104
    assert len(desk.exchange.orders) == 1


def test_cancelling(desk):
    desk.go("15:00:00")
    desk.place(APPLE, kind="LMT", limit=D("1.00"), order_id=1)
    assert refused(desk.exchange.cancel, 2, 1) == 10147
    desk.exchange.cancel(1, 1)
    assert names(desk.events()) == ["Submitted", 202, "Cancelled"]
    assert refused(desk.exchange.cancel, 1, 1) == 10148
    for client in (1, 2):
        desk.place(APPLE, kind="LMT", limit=D("1.00"), client_id=client)
    desk.events()
    desk.exchange.cancel_all()
    assert desk.exchange.open_orders() == []
    assert desk.exchange.exposure == {APPLE: 0}
    assert names(desk.events()) == [202, "Cancelled"] * 2


def test_an_order_beyond_the_margin_is_201_then_inactive(tmp_path, closes, desk_class):
    desk = desk_class(tmp_path, closes, cash=10_000_000)
    desk.go("15:00:00")
    order = desk.place(APPLE, shares=10_000)
    assert names(desk.events()) == [201, "Inactive"]
    assert order.filled == 0
    smaller = desk.place(APPLE, shares=1_400)
    assert smaller.status == "Filled"
    closing = desk.place(APPLE, shares=1_400, buy=False)
    assert closing.status == "Filled"
    desk.close()


def test_an_untransmitted_order_waits_for_its_transmission(desk):
    desk.go("15:00:00")
    order = desk.place(APPLE, shares=10, order_id=1, transmit=False)
    desk.go("15:01:00")
    assert (order.filled, order.is_working) == (0, True)
    desk.place(APPLE, shares=10, order_id=1)
    assert order.status == "Filled"


def scenario(desk, moments, pieces):
    """Trade at fixed market times, letting time run in pieces of any length."""
    rng = random.Random(pieces)
    told = []
    for moment, column, fields in moments:
        while desk.exchange.now < moment:
            step = moment if pieces is None else desk.exchange.now + rng.randint(1, 900 * SECOND)
            desk.exchange.advance(min(step, moment))
            told += desk.events()
        desk.place(column, **fields)
        told += desk.events()
    return [
        (e.execution.exec_id, e.execution.at, e.execution.price, e.execution.shares)
        for e in told
        if isinstance(e, Executed)
    ], desk.exchange.account.cash


def moments_of(desk):
    rng = random.Random(3)
    opened = desk.exchange.span.open
    moments = []
    for step in range(30):
        at = opened + step * 640 * SECOND + 123_456
        column = rng.choice([0, 2, 16])
        close = desk.exchange.market.closes.close(8312, column)
        limit = D(f"{close * rng.uniform(0.985, 1.02):.2f}")
        kind = rng.choice(["MKT", "LMT"])
        fields = {"kind": kind, "limit": limit if kind == "LMT" else None}
        fields |= {"buy": rng.random() < 0.6, "shares": rng.randint(1, 300)}
        moments.append((at, column, fields))
    return moments


def test_the_same_actions_at_the_same_market_times_fill_the_same_to_the_cent(
    tmp_path, closes, desk_class
):
    results = []
    for run, pieces in enumerate((None, 1, 2)):
        desk = desk_class(tmp_path / str(run), closes)
        results.append(scenario(desk, moments_of(desk), pieces))
        desk.close()
    assert len(results[0][0]) > 20
    assert results[0] == results[1] == results[2]


def test_a_restart_in_the_middle_changes_nothing(tmp_path, closes, desk_class):
    through = desk_class(tmp_path / "through", closes)
    moments = moments_of(through)
    fills, cash = scenario(through, moments, None)
    first = desk_class(tmp_path / "broken", closes)
    before, _ = scenario(first, moments[:17], None)
    first.close()
    second = desk_class(tmp_path / "broken", closes)
    after, ending = scenario(second, moments[17:], 5)
    assert before + after == fills
    assert ending == cash
    book, other = (d.exchange.market.disturbance[0] for d in (through, second))
    assert book == other
    bars = [d.exchange.market.impact[2] for d in (through, second)]
    assert bars[0] == bars[1]
    for desk in (through, second):
        desk.close()
