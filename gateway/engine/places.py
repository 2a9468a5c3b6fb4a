"""Where the orders of one exchange are that follow the market, and what their books show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.engine.orders import Order
from gateway.engine.resting import RestingOrders
from gateway.market.book import Book

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange


class Places:
    """Orders by instrument: `resting` in the book, `active` ones (triggers, pegs, algorithms).

    An algorithm or a pegged order that rests is in both.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.resting: dict[int, RestingOrders] = {}
        self.active: dict[int, dict[int, Order]] = {}
        self.moved: dict[int, Order] = {}
        self._shown: dict[int, list[tuple[bool, int, int]]] = {}
        self._outside: set[int] = set()

    def busy(self, regular: bool) -> bool:
        """Say whether any order follows the market, in the regular session or outside of it."""
        return bool(self.resting or self.active) if regular else bool(self._outside)

    def columns(self) -> list[int]:
        """Return the instruments with such orders, in order."""
        return sorted({*self.resting, *self.active})

    def dressed(self, column: int, book: Book) -> Book:
        """Return a book with the clients' orders in it."""
        book.own = self._shown.setdefault(column, [])
        return book

    def enter(self, order: Order) -> None:
        """Put an order into its book, behind those of its price."""
        self.resting.setdefault(order.column, RestingOrders()).add(order)
        self.note_shown(order)
        if order.outside:
            self._outside.add(order.perm_id)

    def follow(self, order: Order) -> None:
        """Look at an order every second."""
        self.active.setdefault(order.column, {})[order.perm_id] = order
        if order.outside:
            self._outside.add(order.perm_id)

    def leave(self, order: Order) -> None:
        """Take an order out of everything."""
        self._outside.discard(order.perm_id)
        self.unrest(order)
        active = self.active.get(order.column, {})
        if active.pop(order.perm_id, None) is not None and not active:
            del self.active[order.column]

    def unrest(self, order: Order) -> None:
        """Take an order out of its book."""
        resting = self.resting.get(order.column)
        if resting is not None and order in resting:
            resting.remove(order)
            self.note_shown(order)
            if not resting:
                del self.resting[order.column]

    def is_resting(self, order: Order) -> bool:
        """Say whether an order is in its book."""
        resting = self.resting.get(order.column)
        return resting is not None and order in resting

    def note_shown(self, order: Order) -> None:
        """Show what an order displays now, in the book of its instrument."""
        column = order.column
        resting = self.resting.get(column)
        if resting is not None:
            resting.show(order)
        self._shown.setdefault(column, [])[:] = resting.shown() if resting is not None else []
        self.dressed(column, self._exchange.book(column))

    def forget_queues(self) -> None:
        """Begin a new book: what was before a resting order has gone with the old one."""
        for resting in self.resting.values():
            for buy in (True, False):
                for order in resting.side(buy):
                    if order.queue:
                        order.queue = []
                        self.moved[order.perm_id] = order
