"""Orders that wait for a price: stops, if-touched orders and trailing stops, and those that follow.

A stop looks at the trades of each second (trigger method 0 and 2: last), at the far side of the
quote (1, 4: double bid/ask and bid/ask), or at the mid (8). A pegged order follows the quote of
each second; it joins the back of the queue at every new price.
"""

from __future__ import annotations

from gateway.engine.orders import Order
from gateway.market.book import Book

FOLLOWS_QUOTE = frozenset({1, 4})
MID_POINT = 8
LEVELS_AFTER = {"STP": "MKT", "MIT": "MKT", "TRAIL": "MKT"}
LIMITS_AFTER = {"STP LMT": "LMT", "LIT": "LMT", "TRAIL LIMIT": "LMT"}
PEG_SHARE = 0.2  # of each second's volume that trades at the mid


def watched_range(order: Order, book: Book, second: int, now: int) -> tuple[int, int] | None:
    """Return the lowest and highest price (cents) that an order's trigger saw in this second."""
    method = order.request.get("triggerMethod") or 0
    if method in FOLLOWS_QUOTE:
        bid, ask = book.touch(now)
        return (ask, ask) if order.buy else (bid, bid)
    if method == MID_POINT:
        mid = round(book.mid(now) * book.units)
        return mid, mid
    return book.traded_range(second)


def trail(order: Order, seen: tuple[int, int]) -> bool:
    """Let a trailing stop follow the best price seen; say whether it moved."""
    low, high = seen
    best = low if order.buy else high
    if order.percent is not None:
        amount = max(round(best * order.percent / 100.0), 1)
    else:
        amount = order.aux or 1
    stop = best + amount if order.buy else max(best - amount, 1)
    if order.stop is None or (stop < order.stop if order.buy else stop > order.stop):
        order.stop = stop
        return True
    return False


def is_triggered(order: Order, seen: tuple[int, int]) -> bool:
    """Say whether what was seen sets an order off."""
    low, high = seen
    if order.stop is None:
        return False
    above = order.buy != (order.kind in {"MIT", "LIT"})  # stops buy above, if-touched buy below
    return high >= order.stop if above else low <= order.stop


def set_off(order: Order) -> None:
    """Make a triggered order the market or limit order that it stood for."""
    if order.kind == "TRAIL LIMIT":
        assert order.stop is not None
        offset = order.offset or 0
        order.limit = max(order.stop + offset if order.buy else order.stop - offset, 1)
    order.kind = LEVELS_AFTER.get(order.kind) or LIMITS_AFTER[order.kind]
    order.waits = ""


def pegged_price(order: Order, book: Book, now: int) -> int:
    """Return the limit in cents that a pegged order has at this quote, its cap included."""
    bid, ask = book.touch(now)
    if order.kind == "PEG MID":
        price = (bid + ask) // 2 if order.buy else -(-(bid + ask) // 2)
    else:
        offset = order.aux or 0
        price = bid + offset if order.buy else ask - offset
        price = min(price, ask - 1) if order.buy else max(price, bid + 1)
    if order.cap is not None:
        price = min(price, order.cap) if order.buy else max(price, order.cap)
    return max(price, 1)
