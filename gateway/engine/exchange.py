"""The exchange and the broker's books behind it: orders in, fills out, in market time.

Everything here is synchronous and deterministic: the state after a call depends on the seed, the
market time and the calls before it, never on the wall clock. Actions collect events; `commit`
writes them to the journal and only then hands them out.
"""

from __future__ import annotations

import heapq
from typing import Any

from gateway.engine.account import Account
from gateway.engine.checks import Terms, terms_of
from gateway.engine.corrections import drop_superseded
from gateway.engine.edge import Alarms, Edge
from gateway.engine.journal import Journal
from gateway.engine.matching import Matching
from gateway.engine.orders import (
    CANCELLED,
    FILLED,
    INACTIVE,
    Changes,
    Event,
    Execution,
    Order,
    OrderChanged,
)
from gateway.engine.refusal import Refused
from gateway.market.market import Market
from gateway.timeline import SECOND, Span, current_span, new_york, span_after

FIRST_PERM_ID = 1_500_000_000


class Exchange:
    """Market time, orders, account and market of one gateway.

    `exposure` is the signed shares that working orders may still trade, by instrument column.
    """

    def __init__(self, market: Market, journal: Journal, account: Account, now: int) -> None:
        self.market = market
        self.account = account
        self.now = now
        self.orders: dict[int, Order] = {}
        self.executions: dict[str, Execution] = {}
        self.next_ids: dict[int, int] = {}
        self.exposure: dict[int, int] = {}
        self.edge = Edge()
        self.alarms = Alarms()
        self._begin(current_span(now))
        self._journal = journal
        self._perm_id = FIRST_PERM_ID
        self._by_client: dict[tuple[int, int], Order] = {}
        self._lost_ids: set[tuple[int, int]] = set()
        self._changes = Changes()
        self._matching = Matching(self)
        self._commissions: list[tuple[int, str]] = []

    # -- life ----------------------------------------------------------------------------------

    def restore(self) -> None:
        """Load what the journal holds: everything that was ever acknowledged."""
        journal = self._journal
        meta = journal.meta()
        self.account.positions = journal.positions()
        for column, state in journal.books().items():
            self.market.disturbance[column] = state
        for column, at, offset in journal.impact():
            self.market.impact[column].at.append(at)
            self.market.impact[column].offset.append(offset)
        self.next_ids = journal.clients()
        self._perm_id = meta.get("perm_id", FIRST_PERM_ID)
        self._matching.executed = meta.get("executed", 0)
        since = self._midnight()
        for order in journal.orders(since):
            self._remember(order)
            if order.is_working and not order.held and not order.idle:
                self._matching.rest(order)
        for execution in journal.executions(since):
            self.executions[execution.exec_id] = execution
            if not execution.reported:
                heapq.heappush(self._commissions, (execution.due, execution.exec_id))
        drop_superseded(self.executions)

    def commit(self) -> list[Event]:
        """Write what happened to the journal and return its events for delivery."""
        changes, self._changes = self._changes, Changes()
        changes.orders.update(self._matching.take_moved())
        meta = {
            "now": self.now,
            "seed": self.market.seed,
            "cash": self.account.cash,
            "prior_equity": self.account.prior_equity,
            "perm_id": self._perm_id,
            "executed": self._matching.executed,
        }
        touched = {order.client_id for order in changes.orders.values()}
        clients = {client_id: self.next_ids[client_id] for client_id in touched}
        self._journal.save(changes, meta, self.account, self.market.disturbance, clients)
        return changes.events

    @property
    def changes(self) -> Changes:
        """What the running action has touched so far."""
        return self._changes

    # -- time ----------------------------------------------------------------------------------

    @property
    def in_session(self) -> bool:
        """Say whether the regular session is running."""
        return self.span.open <= self.now < self.span.close

    def advance(self, to: int) -> None:
        """Move market time to `to`, working every event on the way in order of market time."""
        while self.now < to:
            moment = min(self._next_moment(), to)
            self.now = moment
            self._work(moment)

    def _next_moment(self) -> int:
        span = self.span
        moment = span.open if self.now < span.open else span.close
        moment = min(moment, max(self.alarms.next, self.now + 1))
        if self._commissions:
            moment = min(moment, max(self._commissions[0][0], self.now + 1))
        if self._matching.busy and self.now >= span.open:
            boundary = span.open + ((self.now - span.open) // SECOND + 1) * SECOND
            moment = min(moment, boundary)
        return moment

    def _work(self, moment: int) -> None:
        span = self.span
        while self._commissions and self._commissions[0][0] <= moment:
            self._matching.report(self.executions[heapq.heappop(self._commissions)[1]])
        if moment == span.open:
            self._open()
        elif span.open < moment <= span.close and (moment - span.open) % SECOND == 0:
            self._matching.step(moment)
        if moment == span.close:
            self._close()
        self.alarms.ring(moment)

    def _open(self) -> None:
        self.account.start_day(self.closing_marks())
        self._changes.positions.update(self.account.positions)
        self._forget_before(self._midnight())
        for order in list(self.orders.values()):
            if order.is_working and order.held:
                order.held = False
                self._matching.work(order)

    def _close(self) -> None:
        for order in list(self.orders.values()):
            if order.is_working and order.expires is not None and order.expires <= self.span.date:
                self._matching.end(order, CANCELLED, 202, "Order Canceled - reason:")
        self._begin(span_after(self.span.date))

    def _begin(self, span: Span) -> None:
        """Look forward to a session, whose closes must be drawn before another thread asks."""
        self.span = span
        self.market.closes.ordinal(span.date)

    def _midnight(self) -> int:
        local = new_york(self.now)
        return self.now - (
            ((local.hour * 60 + local.minute) * 60 + local.second) * SECOND + local.microsecond
        )

    def _forget_before(self, since: int) -> None:
        done = [o for o in self.orders.values() if not o.is_working and o.done_at < since]
        for order in done:
            del self.orders[order.perm_id]
            self._by_client.pop((order.client_id, order.order_id), None)
        old = [e for e in self.executions.values() if e.at < since and e.reported]
        for execution in old:
            del self.executions[execution.exec_id]

    # -- orders --------------------------------------------------------------------------------

    def next_id(self, client_id: int) -> int:
        """Return the next valid order id of a client."""
        return self.next_ids.get(client_id, 1)

    def place(self, client_id: int, order_id: int, column: int, request: dict[str, Any]) -> None:
        """Accept a new order, or a change of one that works; raise Refused with the TWS code."""
        known = self._by_client.get((client_id, order_id))
        if known is not None:
            self._modify(known, column, terms_of(request), request)
            return
        if order_id < self.next_id(client_id) and (client_id, order_id) not in self._lost_ids:
            raise Refused(103, "Duplicate order id")
        terms = terms_of(request)
        self._lost_ids.discard((client_id, order_id))
        self.next_ids[client_id] = max(self.next_id(client_id), order_id + 1)
        self._perm_id += 1
        order = Order(
            client_id=client_id,
            order_id=order_id,
            perm_id=self._perm_id,
            column=column,
            buy=terms.buy,
            quantity=terms.quantity,
            kind=terms.kind,
            limit=terms.limit,
            tif=terms.tif,
            request=request,
            placed_at=self.now,
            idle=terms.idle,
            expires=None if terms.tif == "GTC" else self.span.date,
        )
        self._remember(order)
        if (shortfall := self._shortfall(order)) is not None:
            self._matching.end(order, INACTIVE, 201, shortfall)
        elif not order.idle:
            self._matching.start(order)
        self.touch(order)

    def _modify(self, order: Order, column: int, terms: Terms, request: dict[str, Any]) -> None:
        if order.status == FILLED:
            raise Refused(104, "Cannot modify a filled order.")
        if not order.is_working:
            raise Refused(103, "Duplicate order id")
        same = (column, terms.buy, terms.kind) == (order.column, order.buy, order.kind)
        if not same:
            raise Refused(105, "Order being modified does not match original order")
        if terms.quantity <= order.filled:
            raise Refused(
                201, "Order rejected - reason: the new quantity is not above what has filled"
            )
        change = terms.quantity - order.quantity
        self.expose(order.column, change if order.buy else -change)
        order.quantity, order.limit = terms.quantity, terms.limit
        order.request, order.request_text = request, ""
        if terms.tif != order.tif:
            order.tif = terms.tif
            order.expires = None if terms.tif == "GTC" else self.span.date
        was_idle, order.idle = order.idle, terms.idle and order.idle
        self._matching.leave(order)
        if was_idle and not order.idle:
            self._matching.start(order)
        elif order.held or order.idle:
            self._changes.events.append(OrderChanged.of(order))
        else:
            self._matching.work(order)
        self.touch(order)

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel one order of the asking client; raise Refused with the TWS code."""
        order = self._by_client.get((client_id, order_id))
        if order is None:
            raise Refused(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        if not order.is_working:
            raise Refused(
                10148,
                f"OrderId {order_id} that needs to be cancelled cannot be cancelled, "
                f"state: {order.status}.",
            )
        self._matching.end(order, CANCELLED, 202, "Order Canceled - reason:")

    def cancel_all(self) -> None:
        """Cancel every working order of every client."""
        for order in list(self.orders.values()):
            if order.is_working:
                self._matching.end(order, CANCELLED, 202, "Order Canceled - reason:")

    def what_if(self, column: int, request: dict[str, Any]) -> tuple[Terms, dict[str, int]]:
        """Return what an order would do to the account, in cents, without placing it."""
        return self._matching.what_if(column, terms_of(request))

    def forget_id(self, client_id: int, order_id: int) -> None:
        """Let an order id be used again, as if the broker had lost track of its order."""
        self._by_client.pop((client_id, order_id), None)
        self._lost_ids.add((client_id, order_id))

    def release_held(self, order: Order) -> None:
        """Work an order that the edge has held back; outside the session the open does it."""
        if order.is_working and order.held and self.in_session:
            order.held = False
            self._matching.work(order)
            self.touch(order)

    def _shortfall(self, order: Order) -> str | None:
        if (veto := self.edge.veto(order)) is not None:
            return veto
        available, needed = self._matching.margin(order)
        if needed <= available:
            return None
        return (
            "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED "
            f"POSITION YOUR EQUITY WITH LOAN VALUE [{available / 100:.2f} USD] MUST EXCEED THE "
            f"INITIAL MARGIN [{needed / 100:.2f} USD]"
        )

    def _remember(self, order: Order) -> None:
        self.orders[order.perm_id] = order
        self._by_client[order.client_id, order.order_id] = order
        if order.is_working:
            self.expose(order.column, order.signed_remaining)

    def expose(self, column: int, signed: int) -> None:
        """Count signed shares of working orders, by instrument."""
        self.exposure[column] = self.exposure.get(column, 0) + signed

    def touch(self, order: Order) -> None:
        """Note that an order must be written."""
        self._changes.orders[order.perm_id] = order

    def await_commission(self, execution: Execution) -> None:
        """Report an execution's commission when it is due."""
        self.executions[execution.exec_id] = execution
        heapq.heappush(self._commissions, (execution.due, execution.exec_id))

    def open_orders(self, client_id: int | None = None) -> list[Order]:
        """Return working orders, oldest first; of one client when it is named."""
        return [
            order
            for order in self.orders.values()
            if order.is_working and client_id in {None, order.client_id}
        ]

    # -- marks ---------------------------------------------------------------------------------

    def mark(self, column: int) -> int:
        """Return the present price of an instrument in cents: the mid, or the last close."""
        if self.in_session:
            return max(round(self.market.book_of(column, self.span).mid(self.now) * 100.0), 1)
        return self.closing_mark(column)

    def closing_mark(self, column: int) -> int:
        """Return the close in cents of the last session that has ended."""
        return self.market.close_cents(column, self.market.closes.ordinal(self.span.date) - 1)

    def closing_marks(self) -> dict[int, int]:
        """Return the last closes of what is held."""
        return {column: self.closing_mark(column) for column in self.account.positions}

    def marks(self) -> dict[int, int]:
        """Return the present prices of what is held."""
        return {column: self.mark(column) for column in self.account.positions}
