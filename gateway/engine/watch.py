"""What is looked at every second: triggers, pegged orders and the turns of algorithms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.engine import algos, conditions, triggers
from gateway.engine.checks import PEGS, TRAILS
from gateway.engine.orders import CANCELLED, CONDITION, SUBMITTED, TRIGGER, Order
from gateway.market.book import Book
from gateway.timeline import SECOND

if TYPE_CHECKING:
    from gateway.engine.matching import Matching


def look(matching: Matching, order: Order, book: Book, second: int, moment: int) -> None:
    """Do what an order wants of the second that ends at `moment`, the `second` of its book."""
    if order.conditional and not _passes(matching, order):
        return
    if order.waits == TRIGGER:
        _look_at_trigger(matching, order, book, second, moment)
    elif order.algo:
        _take_turn(matching, order, book, second, moment)
    elif order.kind in PEGS:
        price = triggers.pegged_price(order, book, moment)
        if price != order.limit:
            order.limit = price
            matching.rest(order)


def _passes(matching: Matching, order: Order) -> bool:
    """Say whether an order may go on past its conditions, which start or cancel it."""
    if not conditions.hold(matching.exchange, order):
        return order.waits != CONDITION
    if order.request["conditionsCancelOrder"]:
        matching.end(order, CANCELLED, 202, "Order Canceled - reason:")
        return False
    if order.waits == CONDITION:
        matching.places.leave(order)
        order.conditional, order.waits = False, ""
        matching.place(order)
        return False
    return True


def begin_algo(matching: Matching, order: Order) -> None:
    """Start an algorithm; an Adaptive order joins the touch first."""
    order.status = SUBMITTED
    if order.algo == "Adaptive":
        bid, ask = matching.book(order.column).touch(matching.exchange.now)
        price = bid if order.buy else ask
        if order.cap is not None:
            price = min(price, order.cap) if order.buy else max(price, order.cap)
        order.limit = price
        matching.rest(order)
    matching.places.follow(order)


def _look_at_trigger(
    matching: Matching, order: Order, book: Book, second: int, moment: int
) -> None:
    seen = triggers.watched_range(order, book, second, moment)
    if seen is None:
        return
    if triggers.is_triggered(order, seen):
        matching.places.leave(order)
        triggers.set_off(order)
        matching.place(order)
    elif order.kind in TRAILS and triggers.trail(order, seen):
        matching.places.moved[order.perm_id] = order


def _take_turn(matching: Matching, order: Order, book: Book, second: int, moment: int) -> None:
    adaptive = order.algo == "Adaptive"
    if moment < order.starts or (not adaptive and (moment - order.starts) % algos.EVERY):
        return
    first = max(second - algos.EVERY // SECOND, 0)
    volume = int(book.path.traded[second] - book.path.traded[first])
    if shares := algos.due(order, moment, volume):
        matching.take(order, shares, order.cap)
    done = moment >= (order.starts + algos.patience(order) if adaptive else order.algo_end)
    if done and order.is_working and order.remaining:
        if order.cap is None:
            matching.end(order, CANCELLED, 202, "Order Canceled - reason:")
            return
        matching.places.leave(order)
        order.algo, order.limit = "", order.cap
        matching.rest(order)
