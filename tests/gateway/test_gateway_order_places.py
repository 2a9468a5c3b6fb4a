"""What an order shows, how little it takes, and whom it stands behind; algorithms."""

import pytest

APPLE, RANGE = 0, 16


def test_an_iceberg_shows_its_tip_and_goes_to_the_back_for_more(open_desk):
    desk = open_desk
    book = desk.exchange.book(RANGE)
    bid = book.touch(desk.exchange.now)[0]
    before = book.depth(desk.exchange.now, True, 1)[0][1]
    order = desk.place(RANGE, kind="LMT", limit=desk.dollars(bid), shares=1_000, displaySize=100)
    assert desk.exchange.book(RANGE).depth(desk.exchange.now, True, 1)[0] == (bid, before + 100)
    places = set()
    while order.filled < 400 and desk.second < 23_000:
        desk.go_seconds(1)
        places.add(order.seq)
        assert order.shown <= 100
    assert order.filled >= 400
    assert len(places) > 2


def test_a_hidden_order_is_not_shown(open_desk):
    desk = open_desk
    at, book = desk.exchange.now, desk.exchange.book(APPLE)
    bid = book.touch(at)[0]
    before = book.depth(at, True, 10)
    order = desk.place(kind="LMT", limit=desk.dollars(bid), shares=500, hidden=True)
    assert desk.exchange.book(APPLE).depth(at, True, 10) == before
    assert order.status == "Submitted"


def test_minimum_quantity_and_all_or_none(open_desk):
    desk = open_desk
    ask, size = desk.exchange.book(APPLE).depth(desk.exchange.now, False, 1)[0]
    least = desk.place(
        kind="LMT", limit=desk.dollars(ask), shares=2 * size, minQty=size + 1, tif="IOC"
    )
    assert (least.status, least.filled) == ("Cancelled", 0)
    whole = desk.place(kind="LMT", limit=desk.dollars(ask), shares=size + 1, allOrNone=True)
    assert (whole.status, whole.filled) == ("Submitted", 0)
    some = desk.place(kind="LMT", limit=desk.dollars(ask), shares=2 * size, minQty=size, tif="IOC")
    assert some.filled == size
    desk.go("20:59:59")
    assert whole.filled in {0, whole.quantity}


def test_less_quantity_keeps_the_place_and_a_new_price_loses_it(open_desk):
    desk = open_desk
    bid = desk.exchange.book(RANGE).touch(desk.exchange.now)[0]
    first = desk.place(RANGE, kind="LMT", limit=desk.dollars(bid), shares=500, order_id=1)
    second = desk.place(RANGE, kind="LMT", limit=desk.dollars(bid), shares=500, order_id=2)
    place, queue = first.seq, list(first.queue)
    desk.place(RANGE, kind="LMT", limit=desk.dollars(bid), shares=400, order_id=1)
    assert (first.seq, first.queue, first.quantity) == (place, queue, 400)
    desk.place(RANGE, kind="LMT", limit=desk.dollars(bid), shares=600, order_id=1)
    assert first.seq > second.seq


def test_clients_trade_with_each_other_in_price_time_priority(open_desk):
    desk = open_desk
    bid, ask = desk.exchange.book(RANGE).touch(desk.exchange.now)
    assert ask - bid == 1
    queue = desk.exchange.book(RANGE).depth(desk.exchange.now, True, 1)[0][1]
    first = desk.place(RANGE, kind="LMT", limit=desk.dollars(bid), shares=100, client_id=2)
    second = desk.place(RANGE, kind="LMT", limit=desk.dollars(bid), shares=100, client_id=3)
    seller = desk.place(RANGE, kind="LMT", buy=False, limit=desk.dollars(bid), shares=queue + 150)
    assert (first.filled, second.filled) == (100, 50)
    assert (seller.filled, seller.status) == (queue + 150, "Filled")
    assert {e.price for e in desk.exchange.executions.values()} == {bid}
    assert desk.exchange.account.positions[RANGE].shares == 150 - seller.filled


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
    began = desk.second
    desk.go("17:00:00")
    passed = int(path.traded[desk.second] - path.traded[began])
    assert order.filled == pytest.approx(passed * 0.05 / 0.95, rel=0.03)


def test_an_adaptive_order_is_patient_and_then_takes(open_desk):
    order = open_desk.place(
        RANGE,
        shares=50_000,
        algoStrategy="Adaptive",
        algoParams=[{"tag": "adaptivePriority", "value": "Patient"}],
    )
    assert order.status == "Submitted"
    open_desk.go_seconds(59)
    assert 0 < order.filled < 50_000
    open_desk.go_seconds(3)
    assert order.status == "Filled"
    assert any(e.passive for e in open_desk.exchange.executions.values())
