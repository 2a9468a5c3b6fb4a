"""Orders that hang together: brackets (parents and their children) and one-cancels-all groups.

A child waits until its parent has filled; it is cancelled with a parent that ends unfilled, and is
cut to what a partly filled one has traded. The children of one parent are an OCA group of type 3,
as the broker makes them. OCA type 1 cancels the others at the first fill; types 2 and 3 cut them in
proportion and cancel them once the order is full. Fills happen one after another here, so that the
overfill protection of types 1 and 2 (`with block`) always holds, for type 3 as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gateway.engine.fills import tell
from gateway.engine.orders import CANCELLED, FILLED, PARENT, Order

if TYPE_CHECKING:
    from gateway.engine.matching import Matching

CANCEL_TEXT = "Order Canceled - reason:"


class Groups:
    """Knows the working orders of every parent and every OCA group."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching
        self._children: dict[int, dict[int, Order]] = {}
        self._oca: dict[str, dict[int, Order]] = {}
        self.full: set[str] = set()

    def join(self, order: Order) -> None:
        """Note an order's parent and group."""
        if order.parent:
            self._children.setdefault(order.parent, {})[order.perm_id] = order
        if order.oca:
            self._oca.setdefault(order.oca, {})[order.perm_id] = order

    def note_done(self, order: Order) -> None:
        """Note that an order of the journal has filled its group."""
        if order.oca and (order.status == FILLED or (order.oca_type == 1 and order.filled)):
            self.full.add(order.oca)

    def leave(self, order: Order) -> None:
        """Forget an order that is done."""
        if order.parent in self._children:
            self._children[order.parent].pop(order.perm_id, None)
        if order.oca in self._oca:
            self._oca[order.oca].pop(order.perm_id, None)
            if not self._oca[order.oca]:
                del self._oca[order.oca]

    def children(self, parent: int) -> list[Order]:
        """Return the working children of an order."""
        return list(self._children.get(parent, {}).values())

    def after_fill(self, order: Order, shares: int) -> None:
        """Wake the children of an order that is full, and cut or cancel the rest of its group."""
        matching = self._matching
        if order.oca:
            self._cut(order, shares, list(self._oca.get(order.oca, {}).values()))
        if order.status == FILLED:
            self.leave(order)
            for child in self.children(order.perm_id):
                if child.waits == PARENT and not child.idle:
                    child.waits = ""
                    matching.start(child)

    def _cut(self, order: Order, shares: int, group: Iterable[Order]) -> None:
        left = order.remaining + shares
        done = order.status == FILLED
        if done or order.oca_type == 1:
            self.full.add(order.oca)
        for other in group:
            if other is order or not other.is_working:
                continue
            if done or order.oca_type == 1:
                self._matching.end(other, CANCELLED, 202, CANCEL_TEXT)
            else:
                cut = other.remaining * shares // left
                if cut:
                    self._matching.cut(other, cut)

    def after_end(self, order: Order) -> None:
        """Cancel the children of an order that ended, or wake what its fills have earned."""
        self.leave(order)
        for child in self.children(order.perm_id):
            if not child.is_working or child.waits not in {PARENT, ""} or child.filled:
                continue
            if child.waits == "" and not child.idle:
                continue
            if order.filled == 0:
                self._matching.end(child, CANCELLED, 202, CANCEL_TEXT)
                continue
            if child.remaining > order.filled:
                self._matching.cut(child, child.remaining - order.filled)
            child.idle, child.waits = False, ""
            self._matching.start(child)

    def transmit(self, child: Order) -> None:
        """Send a child's parent and siblings with it: the last of a bracket transmits all."""
        matching = self._matching
        siblings = [one for one in self.children(child.parent) if one is not child and one.idle]
        for order in siblings:
            order.idle = False
            matching.exchange.touch(order)
            if order.waits == PARENT:
                tell(matching.exchange, order)
            else:
                matching.start(order)
        parent = matching.order(child.parent)
        if parent is not None and parent.is_working and parent.idle:
            parent.idle = False
            matching.start(parent)
