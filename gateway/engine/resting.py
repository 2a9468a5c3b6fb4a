"""Clients' orders that rest in one instrument's book, in price-time priority."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from gateway.engine.orders import Order

Key = tuple[int, int]
Offer = tuple[int, int, Order | None]  # cents, shares, and the client's order if it is one


def _key(order: Order) -> Key:
    assert order.limit is not None
    return (-order.limit if order.buy else order.limit), order.seq


class RestingOrders:
    """The resting orders of one instrument; every one of them has a limit and a `seq`."""

    def __init__(self) -> None:
        self._keys: dict[bool, list[Key]] = {True: [], False: []}
        self._orders: dict[Key, Order] = {}
        self._places: dict[int, tuple[bool, Key]] = {}
        self._shown: dict[int, tuple[bool, int, int]] = {}
        self._levels: dict[tuple[bool, int], int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, order: Order) -> bool:
        return order.perm_id in self._places

    def add(self, order: Order) -> None:
        """Put an order behind those of its price that came before it."""
        self.remove(order)
        key = _key(order)
        insort(self._keys[order.buy], key)
        self._orders[key] = order
        self._places[order.perm_id] = order.buy, key

    def remove(self, order: Order) -> None:
        """Take an order out, wherever it is now."""
        place = self._places.pop(order.perm_id, None)
        if place is not None:
            buy, key = place
            keys = self._keys[buy]
            del keys[bisect_left(keys, key)]
            del self._orders[key]

    def best(self, buy: bool) -> int | None:
        """Return the best limit of a side in cents."""
        keys = self._keys[buy]
        return abs(keys[0][0]) if keys else None

    def side(self, buy: bool) -> Iterator[Order]:
        """Yield a side's orders, best price first and oldest first at a price."""
        for key in list(self._keys[buy]):
            if (order := self._orders.get(key)) is not None:
                yield order

    def reached(self, buy: bool, worst: int) -> list[Order]:
        """Return a side's orders at `worst` cents or better, in priority."""
        keys = self._keys[buy]
        end = bisect_left(keys, ((-worst if buy else worst) + 1, 0))
        return [self._orders[key] for key in keys[:end]]

    def show(self, order: Order) -> None:
        """Count what an order displays now; nothing once it has left."""
        if (old := self._shown.pop(order.perm_id, None)) is not None:
            self._count(*old[:2], -old[2])
        if order in self and order.shown and order.limit is not None:
            self._shown[order.perm_id] = order.buy, order.limit, order.shown
            self._count(order.buy, order.limit, order.shown)

    def _count(self, buy: bool, price: int, shares: int) -> None:
        left = self._levels.get((buy, price), 0) + shares
        if left:
            self._levels[buy, price] = left
        else:
            del self._levels[buy, price]

    def shown(self) -> list[tuple[bool, int, int]]:
        """Return (buy, cents, shares) of what the orders display at each price."""
        return [(buy, price, shares) for (buy, price), shares in self._levels.items()]


def merged(offers: list[Offer], mine: list[Order], buy: bool) -> list[Offer]:
    """Put clients' orders among the background's offers: better price first, then queue."""
    together: list[Offer] = []
    prices = {price: size for price, size, _ in offers}
    by_price: dict[int, list[Order]] = {}
    for order in mine:
        assert order.limit is not None
        by_price.setdefault(order.limit, []).append(order)
        prices.setdefault(order.limit, 0)
    for price in sorted(prices, reverse=not buy):
        left = prices[price]
        for order in by_price.get(price, []):
            before = min(left, max(order.ahead - (prices[price] - left), 0))
            if before:
                together.append((price, before, None))
                left -= before
            together.append((price, order.remaining, order))
        if left:
            together.append((price, left, None))
    return together
