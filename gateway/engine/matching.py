"""How an order meets the book: at once when it arrives, and second by second while it rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.engine.account import INITIAL_MARGIN, MAINTENANCE_MARGIN, commission_for
from gateway.engine.checks import Terms
from gateway.engine.orders import (
    CANCELLED,
    FILLED,
    PRE_SUBMITTED,
    SUBMITTED,
    CommissionCharged,
    Executed,
    Execution,
    Notice,
    Order,
    OrderChanged,
)
from gateway.market.book import ENDLESS, Book, reaching
from gateway.market.universe import INSTRUMENTS
from gateway.timeline import SECOND, new_york

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange

COMMISSION_DELAY = 200_000  # microseconds of market time after the execution


class Matching:
    """Works the orders of one exchange; `executed` counts executions since the first start."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._resting: dict[int, list[Order]] = {}
        self._bests: dict[int, tuple[int, int]] = {}
        self._moved: dict[int, Order] = {}
        self.executed = 0

    @property
    def busy(self) -> bool:
        """Say whether any order rests in a book."""
        return bool(self._resting)

    def take_moved(self) -> dict[int, Order]:
        """Return, once, the orders whose place in the queue has changed, by permanent id."""
        moved, self._moved = self._moved, {}
        return moved

    def rest(self, order: Order) -> None:
        """Put an order into its instrument's queue."""
        self._resting.setdefault(order.column, []).append(order)
        self._bests.pop(order.column, None)

    def leave(self, order: Order) -> None:
        """Take an order out of its queue, if it is in one."""
        queue = self._resting.get(order.column, [])
        if order in queue:
            queue.remove(order)
            self._bests.pop(order.column, None)
            if not queue:
                del self._resting[order.column]

    def start(self, order: Order) -> None:
        """Work a new order, or hold it for the open."""
        exchange = self._exchange
        if exchange.edge.hold(order):  # a fault keeps it from the exchange for a while
            order.held = True
            self._tell(order)
            return
        if exchange.in_session:
            self.work(order)
            return
        order.held = True
        opening = new_york(exchange.span.open)
        action = "BUY" if order.buy else "SELL"
        symbol = INSTRUMENTS[order.column].symbol
        self._tell(order)
        exchange.changes.events.append(
            Notice(
                order.client_id,
                order.order_id,
                399,
                f"Order Message:\n{action} {order.quantity} {symbol}\nWarning: Your order will "
                f"not be placed at the exchange until {opening:%Y-%m-%d %H:%M:%S} US/Eastern.",
            )
        )
        self._tell(order)

    def work(self, order: Order) -> None:
        """Match an order against the book, then let the rest of it rest or end."""
        exchange, now = self._exchange, self._exchange.now
        book = self._book(order.column)
        order.status = PRE_SUBMITTED if order.kind == "MKT" else SUBMITTED
        self._tell(order)
        fills = book.walk(now, order.buy, order.remaining, order.limit)
        fills = exchange.edge.thin(order, fills)
        if order.tif == "FOK" and sum(size for _, size in fills) < order.remaining:
            fills = []
        if fills:
            book.take(now, order.buy, fills)
            self._note_book(order.column)
            for price, shares in fills:
                self._fill(order, price, shares, passive=False)
        if order.remaining == 0:
            return
        if order.tif in {"IOC", "FOK"} or order.kind == "MKT":
            self.end(order, CANCELLED, 202, "Order Canceled - reason:")
            return
        if order.limit is not None:
            order.ahead = book.ahead(now, order.buy, order.limit)
        self.rest(order)
        exchange.touch(order)

    def step(self, moment: int) -> None:
        """Serve resting orders with the market of the second that ends at `moment`."""
        second = (moment - self._exchange.span.open) // SECOND
        for column in sorted(self._resting):
            book = self._book(column)
            bid, ask = touch = book.touch(moment)
            best_buy, best_sell = self._best(column)
            if best_buy < bid and best_sell > ask:
                continue
            flows = {buy: book.second_flow(second, buy) for buy in (True, False)}
            for order in list(self._resting[column]):
                self._serve(order, book, touch, flows)

    def _serve(
        self, order: Order, book: Book, touch: tuple[int, int], flows: dict[bool, int]
    ) -> None:
        assert order.limit is not None
        got, ahead = reaching(touch, order.buy, order.limit, order.ahead, flows[order.buy])
        if ahead != order.ahead:
            order.ahead = ahead
            self._moved[order.perm_id] = order
        shares = min(got, order.remaining)
        if shares > 0:
            flows[order.buy] = max(flows[order.buy] - shares, 0)
            book.give(self._exchange.now, order.buy, shares)
            self._note_book(order.column)
            self._fill(order, order.limit, shares, passive=True)

    def _best(self, column: int) -> tuple[int, int]:
        """Return the highest resting buy limit and the lowest sell limit of an instrument."""
        best = self._bests.get(column)
        if best is None:
            queue = self._resting[column]
            buys = [order.limit for order in queue if order.buy and order.limit]
            sells = [order.limit for order in queue if not order.buy and order.limit]
            best = (max(buys, default=0), min(sells, default=ENDLESS))
            self._bests[column] = best
        return best

    def end(self, order: Order, status: str, code: int, text: str) -> None:
        """End an order without a fill: cancelled, expired or rejected, with its TWS code."""
        exchange = self._exchange
        self.leave(order)
        if order.is_working:
            exchange.expose(order.column, -order.signed_remaining)
        order.status, order.done_at, order.reason, order.held = status, exchange.now, text, False
        notice = Notice(order.client_id, order.order_id, code, text)
        exchange.changes.events.append(notice)
        self._tell(order)
        exchange.touch(order)

    def report(self, execution: Execution) -> None:
        """Book an execution's commission and report it."""
        exchange = self._exchange
        closed = execution.realized is not None
        exchange.account.charge(execution.column, execution.commission, closed)
        if execution.realized is not None:
            execution.realized -= execution.commission
        execution.reported = True
        changes = exchange.changes
        changes.executions[execution.exec_id] = execution
        changes.positions.add(execution.column)
        changes.events.append(CommissionCharged(execution))

    def margin(self, order: Order) -> tuple[int, int]:
        """Return equity and the initial margin (cents) if this and every open order filled."""
        exchange = self._exchange
        shares = {c: p.shares for c, p in exchange.account.positions.items()}
        before = dict(shares)
        for column, signed in exchange.exposure.items():
            shares[column] = shares.get(column, 0) + signed
        marks = {column: exchange.mark(column) for column in {*shares, order.column}}
        equity = exchange.account.equity(marks)
        held = sum(abs(count) * marks[column] for column, count in before.items())
        after = sum(abs(count) * marks[column] for column, count in shares.items())
        return equity, round(after * INITIAL_MARGIN) if after > held else 0

    def what_if(self, column: int, terms: Terms) -> tuple[Terms, dict[str, int]]:
        """Return the terms and the margins, equity and commission (cents) of an imagined order."""
        exchange = self._exchange
        marks = {**exchange.marks(), column: exchange.mark(column)}
        equity, gross = exchange.account.equity(marks), exchange.account.gross(marks)
        position = exchange.account.positions.get(column)
        held = position.shares if position else 0
        target = held + (terms.quantity if terms.buy else -terms.quantity)
        changed = (abs(target) - abs(held)) * marks[column]
        price = terms.limit or marks[column]
        return terms, {
            "initial_before": round(gross * INITIAL_MARGIN),
            "initial_change": round(changed * INITIAL_MARGIN),
            "maintenance_before": round(gross * MAINTENANCE_MARGIN),
            "maintenance_change": round(changed * MAINTENANCE_MARGIN),
            "equity": equity,
            "commission": commission_for(terms.quantity, terms.quantity * price),
        }

    def _fill(self, order: Order, price: int, shares: int, passive: bool) -> None:
        exchange = self._exchange
        exchange.expose(order.column, -shares if order.buy else shares)
        order.filled += shares
        order.value += shares * price
        order.last_price = price
        charged = commission_for(order.filled, order.value)
        commission, order.commission = charged - order.commission, charged
        self.executed += 1
        execution = Execution(
            exec_id=f"0000e0d5.{self.executed:08x}.01.01",
            perm_id=order.perm_id,
            client_id=order.client_id,
            order_id=order.order_id,
            column=order.column,
            buy=order.buy,
            shares=shares,
            price=price,
            at=exchange.now,
            cumulative=order.filled,
            average=order.average,
            order_ref=order.request["orderRef"],
            passive=passive,
            commission=commission,
            due=exchange.now + COMMISSION_DELAY,
            realized=exchange.account.trade(order.column, order.buy, shares, price),
        )
        if order.remaining == 0:
            order.status, order.done_at = FILLED, exchange.now
            self.leave(order)
        exchange.await_commission(execution)
        exchange.edge.filled(execution)
        changes = exchange.changes
        changes.executions[execution.exec_id] = execution
        changes.positions.add(order.column)
        changes.events.append(Executed(execution))
        exchange.touch(order)
        self._tell(order)

    def _book(self, column: int) -> Book:
        return self._exchange.market.book_of(column, self._exchange.span)

    def _note_book(self, column: int) -> None:
        market, now = self._exchange.market, self._exchange.now
        impact, offset = market.impact[column], market.disturbance[column].permanent
        if impact.at and impact.at[-1] == now:
            impact.offset[-1] = offset
        else:
            impact.at.append(now)
            impact.offset.append(offset)
        self._exchange.changes.books.add(column)

    def _tell(self, order: Order) -> None:
        self._exchange.changes.events.append(OrderChanged.of(order))
