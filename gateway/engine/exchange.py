"""The exchange and the broker's books behind it: orders in, fills out, in market time.

Everything here is synchronous and deterministic: the state after a call depends on the seed, the
market time and the calls before it, never on the wall clock. Actions collect events; `commit`
writes them to the journal and only then hands them out.
"""

from __future__ import annotations

import heapq
from typing import Any

from gateway.engine import day_trades, intake, manual
from gateway.engine.account import Account
from gateway.engine.auctions import OPEN_CUTOFF, run_auction
from gateway.engine.checks import Terms, terms_of
from gateway.engine.corrections import drop_superseded
from gateway.engine.edge import Alarms, Edge
from gateway.engine.hours import Hours, midnight_of
from gateway.engine.journal import Journal
from gateway.engine.margin import imagined
from gateway.engine.matching import Matching
from gateway.engine.orders import CANCELLED, HALT, Changes, Event, Execution, Order
from gateway.engine.refusal import Refused
from gateway.engine.sizing import sized
from gateway.engine.turns import expire, release, set_alarms
from gateway.market.book import Book
from gateway.market.market import Market
from gateway.timeline import SECOND, Span, current_span, new_york, span_after, to_micros
from models.domain.sessions import at_exchange_time

FIRST_PERM_ID = 1_500_000_000


class Exchange:
    """Market time, orders, account and market of one gateway.

    `executions` are the day's, `past` those of the sessions before it that day trades count in;
    `exposure` is the signed shares that working orders may still trade, by instrument column;
    `halted` are the columns whose trading is halted; `manual` counts the orders entered by hand;
    `most_active` is how many orders may be active on one side of one contract (0: any number).
    """

    def __init__(self, market: Market, journal: Journal, account: Account, now: int) -> None:
        self.market = market
        self.account = account
        self.now = now
        self.orders: dict[int, Order] = {}
        self.executions: dict[str, Execution] = {}
        self.past: dict[str, Execution] = {}
        self.next_ids: dict[int, int] = {}
        self.manual = 0
        self.most_active = 0
        self.exposure: dict[int, int] = {}
        self.halted: set[int] = set()
        self.edge = Edge()
        self.alarms = Alarms()
        self._hours = Hours(now)
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
        self.manual = meta.get("manual", 0)
        mask = meta.get("halted", 0)
        self.halted = {column for column in range(mask.bit_length()) if mask >> column & 1}
        since = midnight_of(self.now)
        for order in journal.orders(since):
            self._remember(order)
            self._matching.restore(order)
        for execution in journal.executions(self._oldest_counted()):
            if execution.at < since and execution.reported:
                self.past[execution.exec_id] = execution
                continue
            self.executions[execution.exec_id] = execution
            if not execution.reported:
                heapq.heappush(self._commissions, (execution.due, execution.exec_id))
        drop_superseded(self.executions)
        drop_superseded(self.past)

    def commit(self) -> list[Event]:
        """Write what happened to the journal and return its events for delivery."""
        changes, self._changes = self._changes, Changes()
        changes.orders.update(self._matching.take_moved())
        meta = {
            "now": self.now,
            "seed": self.market.seed,
            "source": self.market.name,
            "cash": self.account.cash,
            "prior_equity": self.account.prior_equity,
            "perm_id": self._perm_id,
            "executed": self._matching.executed,
            "manual": self.manual,
            "halted": sum(1 << column for column in self.halted),
        }
        touched = {order.client_id for order in changes.orders.values()}
        clients = {client_id: self.next_id(client_id) for client_id in touched}
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

    @property
    def hours(self) -> Hours:
        """The stretch of the day that runs now."""
        return self._hours.at(self.now)

    def _next_moment(self) -> int:
        hours = self.hours
        moment = min(hours.until, max(self.alarms.next, self.now + 1))
        if self._commissions:
            moment = min(moment, max(self._commissions[0][0], self.now + 1))
        if hours.live is not None and self._matching.places.busy(hours.regular):
            moment = min(moment, (self.now // SECOND + 1) * SECOND)
        return moment

    def _work(self, moment: int) -> None:
        while self._commissions and self._commissions[0][0] <= moment:
            self._matching.report(self.executions[heapq.heappop(self._commissions)[1]])
        hours = self._hours  # as it was before this moment
        if hours.live is not None and (moment - hours.live.open) % SECOND == 0:
            self._matching.step(moment, hours.live, hours.regular)
        if moment >= hours.until:
            self._turn(hours.live, hours.regular)
        self.alarms.ring(moment)

    def _turn(self, ended: Span | None, regular: bool) -> None:
        """Pass from one stretch of the day to the next."""
        hours = self.hours
        if regular:
            run_auction(self._matching, "close")
            expire(self, self._matching, outside=False)
            self._matching.places.forget_queues()
            self._begin(span_after(self.span.date))
        elif ended is not None and not hours.regular:
            expire(self, self._matching, outside=True)
        if hours.regular:
            self._open()
        elif hours.live is not None and not regular:
            release(self, self._matching, outside=True)
        if hours.live is None and midnight_of(self.now) == self.now:
            self._forget_before(self.now)
            self._matching.groups.full.clear()

    def _open(self) -> None:
        self.account.start_day(self.closing_marks())
        self._changes.positions.update(self.account.positions)
        self._matching.places.forget_queues()
        run_auction(self._matching, "open")
        release(self, self._matching, outside=False)

    def _begin(self, span: Span) -> None:
        """Look forward to a session, whose closes must be drawn before another thread asks."""
        self.span = span
        self.market.closes.ordinal(span.date)

    def _forget_before(self, since: int) -> None:
        done = [o for o in self.orders.values() if not o.is_working and o.done_at < since]
        for order in done:
            del self.orders[order.perm_id]
            self._by_client.pop((order.client_id, order.order_id), None)
        old = [e for e in self.executions.values() if e.at < since and e.reported]
        for execution in old:
            self.past[execution.exec_id] = self.executions.pop(execution.exec_id)
        counted = self._oldest_counted()
        self.past = {name: one for name, one in self.past.items() if one.at >= counted}

    def _oldest_counted(self) -> int:
        first = day_trades.window(new_york(self.now).date())[0]
        return to_micros(at_exchange_time(first, 0))

    def day_trades_remaining(self, equity: int) -> int:
        """Return the day trades that the account has left at `equity` (cents), -1 for no limit."""
        executions = [*self.past.values(), *self.executions.values()]
        held = {column: one.shares for column, one in self.account.positions.items()}
        return day_trades.remaining(executions, held, equity, new_york(self.now).date())

    # -- orders --------------------------------------------------------------------------------

    def next_id(self, client_id: int) -> int:
        """Return the next valid order id of a client."""
        return self.next_ids.get(client_id, 1)

    def place(self, client_id: int, order_id: int, column: int, request: dict[str, Any]) -> None:
        """Accept a new order, or a change of one that works; raise Refused with the TWS code."""
        known = self.order_of(client_id, order_id)
        if known is not None:
            if known.column != column:
                raise Refused(105, "Order being modified does not match original order")
            intake.modify(self, self._matching, known, request)
            return
        if order_id < self.next_id(client_id) and (client_id, order_id) not in self._lost_ids:
            raise Refused(103, "Duplicate order id")
        order = self.take((client_id, order_id, column), request)
        self._lost_ids.discard((client_id, order_id))
        self.next_ids[client_id] = max(self.next_id(client_id), order_id + 1)
        intake.accept(self, self._matching, order)
        self.touch(order)

    def take(self, names: tuple[int, int, int], request: dict[str, Any]) -> Order:
        """Return a new order of (client, order id, column) that is known, but not worked yet."""
        client_id, order_id, column = names
        named = (client_id, order_id, self._perm_id + 1, column)
        order = intake.new_order(self, self._matching, named, request)
        self._perm_id += 1
        self._remember(order)
        self._matching.groups.join(order)
        return order

    def enter(self, column: int, request: dict[str, Any], bound: bool) -> Order:
        """Accept an order entered by hand; raise Refused with the TWS code."""
        return manual.enter(self, self._matching, column, request, bound)

    def cancel_by_hand(self, perm_id: int) -> Order:
        """Cancel any order by hand; raise Refused with the TWS code."""
        return manual.cancel(self, self._matching, perm_id)

    def order_of(self, client_id: int, order_id: int) -> Order | None:
        """Return an order by the id that its client knows it by."""
        order = self._by_client.get((client_id, order_id))
        return order if order is not None and order.told_id == order_id else None

    def schedule(self, order: Order) -> None:
        """Set the alarms of an order that begins or ends at a moment of its own."""
        set_alarms(self, self._matching, order)

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel one order of the asking client; raise Refused with the TWS code."""
        intake.cancel(self._matching, self.order_of(client_id, order_id), order_id)

    def cancel_all(self) -> None:
        """Cancel every working order of every client."""
        for order in list(self.orders.values()):
            if order.is_working:
                self._matching.end(order, CANCELLED, 202, "Order Canceled - reason:")

    def what_if(self, column: int, request: dict[str, Any]) -> tuple[Terms, dict[str, int]]:
        """Return what an order would do to the account, in cents, without placing it."""
        terms = terms_of(sized(self, column, request))
        intake.check_cutoff(self, terms)
        return terms, imagined(self, column, terms)

    def halt(self, column: int) -> None:
        """Halt trading of an instrument: nothing fills, orders wait."""
        self.halted.add(column)

    def resume(self, column: int) -> None:
        """Resume trading of a halted instrument and work what has waited."""
        self.halted.discard(column)
        for order in self.open_orders():
            if order.column == column and order.waits == HALT:
                order.waits = ""
                self._matching.place(order)

    def forget_id(self, client_id: int, order_id: int) -> None:
        """Let an order id be used again, as if the broker had lost track of its order."""
        self._by_client.pop((client_id, order_id), None)
        self._lost_ids.add((client_id, order_id))

    def release_held(self, order: Order) -> None:
        """Work an order that the edge has held back; outside the session the open does it."""
        if order.is_working and order.held and self.in_session:
            order.held = False
            self._matching.place(order)

    def _remember(self, order: Order) -> None:
        self.orders[order.perm_id] = order
        self._by_client[order.client_id, order.order_id] = order
        if order.is_working:
            self.expose(order.column, order.signed_remaining)

    def next_execution(self) -> int:
        """Count an execution and return its number since the first start."""
        self._matching.executed += 1
        return self._matching.executed

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

    # -- market --------------------------------------------------------------------------------

    def is_open(self, order: Order) -> bool:
        """Say whether an order may trade now: in the session, or outside of it if it wants to."""
        if self.in_session:
            return True
        return order.outside and order.kind != "MKT" and self.hours.live is not None

    def next_auction(self) -> int:
        """Return the open of the first opening auction that can still be joined."""
        span = self.span
        if self.now <= span.open - OPEN_CUTOFF:
            return span.open
        return span_after(span.date).open

    def book(self, column: int) -> Book:
        """Return the book that trades now; outside all hours, that of the session to come."""
        return self.book_in(column, self.hours.live or self.span)

    def book_in(self, column: int, live: Span) -> Book:
        """Return the book of a session, or of a stretch before or after one."""
        return self.market.book_of(column, live)

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
