"""The order book: price-time priority, and the stylised facts of its background flow."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from gateway.market.book import Book, Disturbance
from gateway.market.flow import Flow, mixed, split
from gateway.session.depth_requests import DELETE, INSERT, changed_rows
from gateway.timeline import SECOND

APPLE, RANGE = 0, 16


@pytest.fixture(scope="module")
def book(market):
    ordinal = market.closes.ordinal(date(2022, 12, 29))
    return Book(market.span(ordinal), market.path(APPLE, ordinal), 0.02, Disturbance())


@pytest.fixture(scope="module")
def tops(book):
    return [book.top(book.span.open + second * SECOND) for second in range(23_400)]


def correlation(values, lag):
    values = values - values.mean()
    return float((values[lag:] * values[:-lag]).mean() / (values * values).mean())


def test_the_flow_is_the_same_in_any_order_of_asking():
    one, other = Flow(99, 200.0), Flow(99, 200.0)
    moments = [3_600_000_000 + step * 777_777 for step in range(400)]
    forwards = [one.queue(True, 10_000, at) for at in moments]
    backwards = [other.queue(True, 10_000, at) for at in reversed(moments)]
    assert forwards == backwards[::-1]
    assert Flow(98, 200.0).queue(True, 10_000, moments[0]) != forwards[0]


def test_the_shares_at_a_price_are_those_of_who_rests_there():
    flow, other = Flow(7, 200.0), Flow(7, 200.0)
    for at in range(0, 300 * SECOND, 700_001):
        queue = other.queue(True, 9_999, at)
        assert flow.shares(True, 9_999, at) == sum(o.size for o in queue)
        bold = sum(order.size for order in queue if order.shy <= 0.5)
        assert flow.bold(True, 9_999, at, 0.5) == bold


def test_what_is_kept_of_one_moment_is_not_told_of_another(market):
    ordinal = market.closes.ordinal(date(2022, 12, 29))
    path, state = market.path(APPLE, ordinal), Disturbance()
    kept = Book(market.span(ordinal), path, 0.02, state)
    moments = [kept.span.open + second * SECOND for second in (600, 601, 600, 5_000, 601)]
    for shares in (0, 50_000, -80_000, 0):
        kept.press(moments[0], shares)
        for at in moments:
            fresh = Book(kept.span, path, 0.02, state)
            assert (kept.top(at), kept.last(at)) == (fresh.top(at), fresh.last(at))
            assert (kept.day(at), kept.depth(at, True, 10)) == (
                fresh.day(at),
                fresh.depth(at, True, 10),
            )
            assert kept.trades(at - SECOND, at) == fresh.trades(at - SECOND, at)


def test_a_queue_is_oldest_first_and_orders_come_and_go_once():
    flow, seen = Flow(5, 200.0), {}
    for at in range(0, 600 * SECOND, SECOND // 4):
        queue = flow.queue(False, 12_345, at)
        assert [order.came for order in queue] == sorted(order.came for order in queue)
        for order in queue:
            assert order.came <= at < order.goes
            assert order.size % 100 == 0
            seen.setdefault(order, []).append(at)
    assert len(seen) > 300
    for order, moments in seen.items():
        assert np.diff(moments).max(initial=0) <= SECOND // 4, order


def test_trades_of_a_second_add_up_to_its_volume():
    for total in (0, 1, 99, 100, 150, 1_234, 56_789):
        for seed in range(20):
            parts = split(total, mixed(seed, total))
            assert sum(parts) == total
            assert all(part > 0 for part in parts)


def test_trades_print_at_the_touch_and_sum_to_the_path(book):
    since, until = book.span.open, book.span.open + 600 * SECOND
    trades = book.trades(since, until)
    assert sum(trade.size for trade in trades) == book.path.traded[600]
    assert [trade.at for trade in trades] == sorted(trade.at for trade in trades)
    for trade in trades[:200]:
        bid, ask = book.touch(trade.at)
        assert trade.price == (ask if trade.buy else bid)
    pieces = [book.trades(at, at + 7_300_000) for at in range(since, until - 7_300_000, 7_300_000)]
    assert [t for piece in pieces for t in piece] == trades[: sum(map(len, pieces))]


def test_depth_is_ten_levels_that_do_not_cross(book):
    for second in range(0, 23_400, 997):
        at = book.span.open + second * SECOND
        bids, asks = book.depth(at, True, 10), book.depth(at, False, 10)
        assert bids[0][0] < asks[0][0]
        assert [price for price, _ in bids] == sorted({p for p, _ in bids}, reverse=True)
        assert [price for price, _ in asks] == sorted({p for p, _ in asks})
        assert book.top(at) == (bids[0][0], asks[0][0], bids[0][1], asks[0][1])
        assert len(bids) >= 9
        assert all(size > 0 for _, size in bids + asks)


def test_stylised_facts(book, tops):
    """Spread, depth, memory of returns and of their sizes, volume over the day, order flow."""
    spread = np.array([top.ask - top.bid for top in tops])
    assert 1.2 < spread.mean() < 3.0
    sizes = np.array([[top.bid_size, top.ask_size] for top in tops])
    assert 300 < sizes.mean() < 3_000
    assert abs(sizes[:, 0].mean() / sizes[:, 1].mean() - 1.0) < 0.15
    returns = np.diff(np.log(book.path.mid))
    memory = [correlation(returns, lag) for lag in (1, 2, 5, 10, 30, 60)]
    assert max(map(abs, memory)) < 0.06
    bursts = [correlation(np.abs(returns), lag) for lag in (1, 5, 10, 60)]
    assert min(bursts) > 0.03
    assert bursts[0] > 0.15
    volume = book.path.volume[1:].reshape(13, 1_800).sum(axis=1)
    assert min(volume[0], volume[-1]) > 1.2 * volume[5:8].mean()
    flow, moved = order_flow(tops), np.diff([(top.bid + top.ask) / 2 for top in tops])
    every = 10 * (len(moved) // 10)
    flow, moved = (v[:every].reshape(-1, 10).sum(axis=1) for v in (flow, moved))
    slope, _ = np.polyfit(flow, moved, 1)
    assert slope > 0
    assert np.corrcoef(flow, moved)[0, 1] ** 2 > 0.4


def order_flow(tops):
    """Order flow imbalance of each second (Cont, Kukanov & Stoikov, 2014, equation 4)."""
    flow = []
    for old, new in pairwise(tops):
        shares = new.bid_size * (new.bid >= old.bid) - old.bid_size * (new.bid <= old.bid)
        shares -= new.ask_size * (new.ask <= old.ask) - old.ask_size * (new.ask >= old.ask)
        flow.append(shares)
    return np.array(flow)


def test_what_clients_take_leaves_a_hole_in_the_depth(market):
    ordinal = market.closes.ordinal(date(2022, 12, 29))
    path = market.path(APPLE, ordinal)
    book = Book(market.span(ordinal), path, 0.02, Disturbance())
    at = book.span.open + 5_000 * SECOND
    best, size = book.depth(at, False, 1)[0]
    book.take(at, True, book.walk(at, True, size, best))
    assert book.state.taken_ask == size
    assert book.depth(at, False, 1)[0][0] > best
    temporary = book.mid(at)
    assert temporary > path.mid[5_000]
    later = at + 600 * SECOND
    assert 1.0 < book.mid(later) / path.mid[5_600] < temporary / path.mid[5_000]


def test_a_clients_order_shows_in_the_top_and_in_the_depth(book):
    at = book.span.open + 9_000 * SECOND
    bid, ask = book.touch(at)
    size = book.depth(at, True, 1)[0][1]
    book.own = [(True, bid, 700), (False, ask + 2, 50)]
    try:
        assert book.top(at).bid_size == size + 700
        assert dict(book.depth(at, False, 10))[ask + 2] >= 50
        book.own = [(True, bid + 1, 300)]
        assert (book.top(at).bid, book.top(at).bid_size) == (bid + 1, 300)
    finally:
        book.own = []


def shifted(rows, told):
    rows = list(rows)
    for place, operation, row in told:
        if operation == INSERT:
            rows.insert(place, row)
        elif operation == DELETE:
            del rows[place]
        else:
            rows[place] = row
    return rows


def overwritten(rows, told):
    rows = dict(enumerate(rows))
    for place, operation, row in told:
        if operation == DELETE:
            del rows[place]
        else:
            rows[place] = row
    return list(rows.values())


def test_rows_of_depth_become_what_they_should_be(book):
    before = []
    for second in range(600):
        now = book.depth(book.span.open + second * SECOND, True, 10)
        told = changed_rows(before, now)
        assert shifted(before, told) == overwritten(before, told) == now
        before = now
    assert shifted(before, changed_rows(before, before[:4])) == before[:4]
    assert changed_rows(before, before) == []
