"""How an order meets the book: at once when it arrives, and second by second while it rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.engine import triggers
from gateway.engine.checks import PEGS, STOPS, TRAILS
from gateway.engine.fills import book_commission, book_end, book_fill, tell, warn
from gateway.engine.groups import CANCEL_TEXT, Groups
from gateway.engine.orders import (
    AUCTION,
    CANCELLED,
    CONDITION,
    HALT,
    PARENT,
    PRE_SUBMITTED,
    SUBMITTED,
    TIME,
    TRIGGER,
    WATCHED,
    Execution,
    Order,
)
from gateway.engine.places import Places
from gateway.engine.resting import Offer, merged
from gateway.engine.watch import begin_algo, look
from gateway.market.book import Book
from gateway.market.universe import INSTRUMENTS
from gateway.timeline import SECOND, Span, new_york

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange


class Matching:
    """Works the orders of one exchange; `executed` counts executions since the first start."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.groups = Groups(self)
        self.places = Places(exchange)
        self._seq = 0
        self.executed = 0

    def take_moved(self) -> dict[int, Order]:
        """Return, once, the orders whose place in the queue has changed, by permanent id."""
        moved, self.places.moved = self.places.moved, {}
        return moved

    def order(self, perm_id: int) -> Order | None:
        """Return an order of today by its permanent id."""
        return self.exchange.orders.get(perm_id)

    def book(self, column: int) -> Book:
        """Return the book that trades now (or would next), with the clients' orders in it."""
        return self.places.dressed(column, self.exchange.book(column))

    # -- places --------------------------------------------------------------------------------

    def restore(self, order: Order) -> None:
        """Put an order of the journal back to where it was."""
        self._seq = max(self._seq, order.seq)
        if not order.is_working:
            self.groups.note_done(order)
            return
        self.groups.join(order)
        self.exchange.schedule(order)
        if order.held or order.idle:
            return
        followed = order.algo or order.kind in PEGS or order.conditional
        if order.waits in WATCHED or (not order.waits and followed):
            self.places.follow(order)
        if not order.waits and order.limit is not None and order.seq:
            self.places.enter(order)

    # -- arrival -------------------------------------------------------------------------------

    def start(self, order: Order) -> None:
        """Work a new order, or let it wait for what it needs first."""
        if self.exchange.edge.hold(order):  # a fault keeps it from the exchange for a while
            order.held = True
            self.exchange.touch(order)
            tell(self.exchange, order)
        else:
            self.place(order)

    def place(self, order: Order) -> None:
        """Work an order that nothing keeps back, as its kind and the hour allow."""
        exchange = self.exchange
        exchange.touch(order)
        if order.waits == PARENT:
            order.status = PRE_SUBMITTED
        elif order.starts > exchange.now and not order.algo:
            order.waits = TIME
        elif order.conditional and not order.request["conditionsCancelOrder"]:
            order.waits = CONDITION
            self.places.follow(order)
        elif order.auction:
            self._await_auction(order)
            return
        elif order.kind in STOPS or order.kind in TRAILS:
            order.waits = TRIGGER
            self.places.follow(order)
        elif not exchange.is_open(order):
            self._await_open(order)
            return
        elif order.column in exchange.halted:
            order.waits = HALT
        elif order.algo:
            begin_algo(self, order)
        elif order.kind in PEGS:
            order.limit = triggers.pegged_price(order, self.book(order.column), exchange.now)
            self.places.follow(order)
            self.work(order)
            return
        else:
            self.work(order)
            return
        tell(exchange, order)

    def _await_open(self, order: Order) -> None:
        order.held = True
        self._warn_opening(order, self.exchange.span.open)

    def _await_auction(self, order: Order) -> None:
        order.waits = AUCTION
        if order.auction == "open":
            self._warn_opening(order, self.exchange.next_auction())
        else:
            tell(self.exchange, order)

    def _warn_opening(self, order: Order, opening: int) -> None:
        exchange = self.exchange
        tell(exchange, order)
        action, instrument = "BUY" if order.buy else "SELL", INSTRUMENTS[order.column]
        text = (
            f"Order Message:\n{action} {order.quantity} {instrument.symbol} {instrument.listing}\n"
            "Warning: Your order will not be placed at the exchange until "
            f"{new_york(opening):%Y-%m-%d %H:%M:%S} US/Eastern."
        )
        warn(exchange, order, 399, text)
        tell(exchange, order)

    def work(self, order: Order) -> None:
        """Match an order against the book, then let the rest of it rest or end."""
        exchange = self.exchange
        order.status = PRE_SUBMITTED if order.kind == "MKT" else SUBMITTED
        exchange.touch(order)
        tell(exchange, order)
        self.take(order, order.remaining, order.limit)
        if order.remaining == 0 or not order.is_working:
            return
        if order.tif in {"IOC", "FOK"} or order.kind == "MKT":
            self.end(order, CANCELLED, 202, CANCEL_TEXT)
            return
        self.rest(order)

    def rest(self, order: Order) -> None:
        """Put an order into the book at its limit, behind all that is there."""
        assert order.limit is not None
        self._seq += 1
        order.seq = self._seq
        order.queue = self.book(order.column).queue(self.exchange.now, order.buy, order.limit)
        self._show(order)
        self.places.unrest(order)
        self.places.enter(order)
        if order.conditional:  # to be cancelled when its conditions hold
            self.places.follow(order)
        self.exchange.touch(order)

    def _show(self, order: Order) -> None:
        quiet = order.hidden or order.all_or_none or order.kind == "PEG MID"
        order.shown = 0 if quiet else min(order.display or order.remaining, order.remaining)

    def take(self, order: Order, shares: int, limit: int | None) -> None:
        """Take up to `shares` out of the book, not beyond `limit` cents."""
        offers = self._offers(order, shares, limit)
        wanted = self.exchange.edge.thin(order, [(price, size) for price, size, _ in offers])
        if len(wanted) != len(offers) or any(
            w != o[:2] for w, o in zip(wanted, offers, strict=True)
        ):
            offers = [(price, size, None) for price, size in wanted]
        total = sum(size for _, size, _ in offers)
        if total < self._least(order):
            return
        background = [(price, size) for price, size, owner in offers if owner is None]
        if background:
            self.book(order.column).take(self.exchange.now, order.buy, background)
            self.note_book(order.column)
        for price, size, owner in offers:
            got = min(size, order.remaining)
            if got <= 0 or not order.is_working:
                return
            if owner is not None:
                got = min(got, owner.remaining)
                self.fill(owner, price, got, passive=True)
                self._reload(owner)
            self.fill(order, price, got, passive=False)

    def _least(self, order: Order) -> int:
        if order.tif == "FOK" or order.all_or_none:
            return order.remaining
        return order.min_quantity if order.filled < order.min_quantity else 0

    def _offers(self, order: Order, shares: int, limit: int | None) -> list[Offer]:
        """Return what the background and other clients' resting orders offer, best first."""
        book, now = self.book(order.column), self.exchange.now
        offers: list[Offer] = [
            (price, size, None) for price, size in book.walk(now, order.buy, shares, limit)
        ]
        resting = self.places.resting.get(order.column)
        best = resting.best(not order.buy) if resting else None
        if resting is None or best is None:
            return offers
        worst = offers[-1][0] if limit is None and offers else limit or best
        mine = [o for o in resting.reached(not order.buy, worst) if o is not order]
        if mine:
            offers = merged(offers, mine, order.buy)
        left, cut = shares, []
        for price, size, owner in offers:
            if left <= 0:
                break
            cut.append((price, min(size, left), owner))
            left -= size
        return cut

    # -- seconds -------------------------------------------------------------------------------

    def step(self, moment: int, live: Span, regular: bool) -> None:
        """Serve waiting orders with the market of the second that ends at `moment`."""
        second = (moment - live.open) // SECOND
        for column in self.places.columns():
            if column in self.exchange.halted:
                continue
            book = self.places.dressed(column, self.exchange.book_in(column, live))
            if column in self.places.resting:
                self._serve_side(column, book, second, regular)
            for order in list(self.places.active.get(column, {}).values()):
                if order.is_working and (regular or order.outside):
                    look(self, order, book, second, moment)

    def _serve_side(self, column: int, book: Book, second: int, regular: bool) -> None:
        bid, ask = touch = book.touch(self.exchange.now)
        resting = self.places.resting[column]
        for buy, worst in ((True, bid), (False, ask)):
            best = resting.best(buy)
            if best is None or ((best < worst) if buy else (best > worst)):
                continue
            flow = book.second_flow(second, buy)
            for order in resting.reached(buy, worst):
                if order.is_working and (regular or order.outside):
                    flow -= self._serve(order, book, touch, flow)

    def _serve(self, order: Order, book: Book, touch: tuple[int, int], flow: int) -> int:
        """Give a resting order what reaches it of `flow`; return the shares filled."""
        assert order.limit is not None
        bid, ask = touch
        now, before = self.exchange.now, order.filled
        crossed = (ask <= order.limit) if order.buy else (bid >= order.limit)
        got = int(flow * triggers.PEG_SHARE) if order.kind == "PEG MID" else flow
        if crossed:
            got += sum(n for _, n in book.walk(now, order.buy, order.remaining, order.limit))
            order.queue = []
        elif order.limit == (bid if order.buy else ask):
            got = self._behind(order, book, got)
        if got < self._least(order):
            return 0
        while got > 0 and order.is_working and order.remaining:
            shares = min(got, order.shown or order.remaining)
            book.give(now, order.buy, shares)
            self.note_book(order.column)
            self.fill(order, order.limit, shares, passive=True)
            got -= shares
            if order.is_working and self._reload(order) and not crossed:
                got = self._behind(order, book, got)
        return order.filled - before

    def _behind(self, order: Order, book: Book, flow: int) -> int:
        """Return what is left of `flow` once the queue before an order has had its share."""
        queue, passed = order.queue, self.exchange.now - book.span.open
        if order.hidden and order.limit is not None:  # what is shown goes before what is hidden
            queue = order.queue = book.queue(self.exchange.now, order.buy, order.limit)
        while queue and (flow > 0 or queue[0][0] <= passed):
            goes, size = queue[0]
            self.places.moved[order.perm_id] = order
            if goes <= passed or size <= flow:
                flow -= 0 if goes <= passed else size
                queue.pop(0)
            else:
                queue[0][1] -= flow
                flow = 0
        return flow

    def _reload(self, order: Order) -> bool:
        """Show the next part of an order; an iceberg goes to the back of the queue for it."""
        if not order.is_working:
            return False
        if order.display and order.shown <= 0 and not order.hidden:
            self.rest(order)
            return True
        self.places.note_shown(order)
        return False

    # -- changes -------------------------------------------------------------------------------

    def fill(self, order: Order, price: int, shares: int, passive: bool) -> None:
        """Fill an order, and do what that means for its place and its group."""
        order.shown = max(order.shown - shares, 0)
        book_fill(self.exchange, order, price, shares, passive)
        if order.remaining == 0:
            self.places.leave(order)
        self.groups.after_fill(order, shares)

    def cut(self, order: Order, shares: int) -> None:
        """Take shares off an order that keeps its place; none left cancels it."""
        exchange = self.exchange
        exchange.expose(order.column, -shares if order.buy else shares)
        order.quantity -= shares
        order.shown = min(order.shown, order.remaining)
        if order.remaining <= 0:
            self.end(order, CANCELLED, 202, CANCEL_TEXT)
            return
        if self.places.is_resting(order):
            self.places.note_shown(order)
        tell(exchange, order)
        exchange.touch(order)

    def end(self, order: Order, status: str, code: int, text: str) -> None:
        """End an order without a fill: cancelled, expired or rejected, with its TWS code."""
        self.places.leave(order)
        book_end(self.exchange, order, status, code, text)
        self.groups.after_end(order)

    def report(self, execution: Execution) -> None:
        """Book an execution's commission and report it."""
        book_commission(self.exchange, execution)

    def note_book(self, column: int) -> None:
        """Keep the permanent impact that an instrument has now."""
        market, now = self.exchange.market, self.exchange.now
        impact, offset = market.impact[column], market.disturbance[column].permanent
        if impact.at and impact.at[-1] == now:
            impact.offset[-1] = offset
        else:
            impact.at.append(now)
            impact.offset.append(offset)
        self.exchange.changes.books.add(column)
