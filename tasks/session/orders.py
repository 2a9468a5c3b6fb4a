"""The order desk: broker evidence into ledger and engine, the engine's commands to the broker.

Everything here runs on the one asyncio loop of a session. Each fact is committed to the ledger
before anything follows from it, and each intent before it is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from models.domain.errors import RoboError
from models.domain.orders import ChildOrder, ChildState, Fill, ParentState
from models.execution.commands import CancelChild, FinishParent, PlaceChild
from models.execution.engine import step
from models.execution.events import ChildFilled, ChildSent, ConnectionLost, SessionClosed, SliceDue
from models.risk.gate import check_child
from models.risk.verdict import all_passed, denials
from tasks.books.check_record import record_of
from tasks.broker.pacing import urgency_of
from tasks.broker.protocol import (
    BrokerEvent,
    BrokerNotice,
    Commission,
    ConnectionDown,
    GatewayUnreachable,
    OrderStatus,
)
from tasks.broker.status_events import event_of
from tasks.crash_points import Boundary, pass_by
from tasks.session.broker_notices import take_notice
from tasks.session.cancelling import Cancels
from tasks.session.reissued_ids import OVERDUE, addressed
from tasks.session.send_context import send_context
from tasks.session.send_guard import SendGuard, nothing_told

if TYPE_CHECKING:
    from models.domain.orders import Quote
    from models.domain.sessions import TradingSession
    from models.execution.events import Event
    from models.execution.state import ParentExecution
    from models.risk.context import SendContext
    from models.risk.limits import RiskLimits
    from models.risk.verdict import Verdict
    from tasks.broker.protocol import OrderGateway
    from tasks.session.account import AccountBook
    from tasks.session.guard import SessionGuard
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.leases import Lease

logger = logging.getLogger("robo.orders")

Check = Callable[..., "tuple[Verdict, ...]"]  # check_child, or a gate of the same arguments

RATE_WINDOW = timedelta(minutes=2)  # of sends remembered for the limit of orders a minute


def log_alert(subject: str, text: str) -> None:
    """Log what a person must see; a session also keeps it where `robo status` shows it."""
    logger.error("%s: %s", subject, text)


@dataclass(slots=True)
class OrderDesk:
    """The working parents of one session and the one way their state changes.

    `quote` returns the latest quote of a symbol; `lease` is what makes this process the only one
    that may send; `alert` tells a person at once, by subject and text; `breaker` counts what may
    halt trading; `check` is the gate of every send and `reduce_only` the ledger's. `is_cut` says
    that the gateway has lost Interactive Brokers: nothing is sent and nothing it shows proves an
    absence; `must_reconcile` that the link is back and unread. `resting` holds the exit orders,
    which have no schedule and outlive the session; `guard` remembers for the send-time checks.
    `look_again` says that a message left an order's outcome open, `is_crowded` that children wait
    for room among the messages of a second. Contracts of `doubted` symbols are looked up anew.
    """

    ledger: OrderLedger
    gateway: OrderGateway
    book: AccountBook
    limits: RiskLimits
    session: TradingSession
    quote: Callable[[str], Quote | None]
    lease: Lease
    executions: dict[str, ParentExecution] = field(default_factory=dict)
    denied: dict[str, str] = field(default_factory=dict)
    alert: Callable[[str, str], None] = log_alert
    breaker: SessionGuard | None = None
    check: Check = check_child
    reduce_only: bool = False
    is_cut: bool = False
    must_reconcile: bool = False
    look_again: bool = False
    is_crowded: bool = False
    boundary: Boundary = pass_by
    limits_version: int | None = None
    shortable: Callable[[str], int | None] = nothing_told
    resting: dict[str, ParentExecution] = field(default_factory=dict)
    guard: SendGuard = field(init=False)
    cancels: Cancels = field(init=False)
    rejections: dict[str, str] = field(default_factory=dict)
    inactive: dict[str, OrderStatus] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    _sends: list[datetime] = field(default_factory=list)
    _denied_now: bool = False

    def __post_init__(self) -> None:
        self.cancels = Cancels(self.gateway, self.alert)
        self.guard = SendGuard(
            self.ledger, self.book, self.limits, self.session, self.limits_version, self.shortable
        )

    def feed(self, parent_id: str, event: Event, now: datetime) -> None:
        """Apply one event to one parent, commit what changed, then carry out its commands."""
        parents = self.resting if parent_id in self.resting else self.executions
        before = parents[parent_id]
        after, commands = step(before, event)
        parents[parent_id] = after
        self._commit(before, after)
        for command in commands:
            match command:
                case PlaceChild(child):
                    self._place(before, child, now)
                case CancelChild(order_ref):
                    self._cancel(after.children[order_ref])
                case FinishParent(state, reason):
                    self.ledger.parents.set_state(parent_id, state, reason)
                    logger.info("%s %s: %s", parent_id, state, reason)
        parents[parent_id].work_out()  # behind the socket: the next send would wait for it

    def feed_all(self, event: Event, now: datetime) -> None:
        """Apply one event to every parent: sells first, so that they pay for the buys.

        Exits hear of everything but the close: they rest on.
        """
        exits = () if isinstance(event, SessionClosed) else tuple(self.resting)
        for parent_id in (*exits, *self.order_of_work()):
            self.feed(parent_id, event, now)

    @property
    def everything(self) -> dict[str, ParentExecution]:
        """The scheduled parents and the exits, by id."""
        return self.executions | self.resting

    def child(self, order_ref: str) -> ChildOrder | None:
        """Return a child of a parent at work here."""
        execution = self.everything.get(order_ref.rsplit(".", 2)[0])
        return None if execution is None else execution.children.get(order_ref)

    def slice_due(self, now: datetime) -> bool:
        """Ask every parent for the child that its schedule wants at `now`.

        Return whether a check denied one: it may go once what works has ended.
        """
        self._denied_now = self.is_crowded = False
        self.guard.refresh()
        for parent_id in self.order_of_work():
            execution = self.executions[parent_id]
            if not execution.state.is_terminal:
                self.ask(parent_id, now)
        return self._denied_now

    def ask(self, parent_id: str, now: datetime) -> None:
        """Ask one parent for the child that its schedule wants at `now`."""
        symbol = self.executions[parent_id].parent.symbol
        due = SliceDue(now, self.quote(symbol), self.gateway.market_rule(symbol))
        self.feed(parent_id, due, now)

    def order_of_work(self) -> list[str]:
        """Return the parent ids, sells before buys, by symbol."""
        parents = [execution.parent for execution in self.executions.values()]
        parents.sort(key=lambda parent: (parent.side.sign, parent.symbol, parent.parent_id))
        return [parent.parent_id for parent in parents]

    def take(self, event: BrokerEvent, now: datetime) -> None:
        """Record one piece of broker evidence and let it act; raise when the connection ended."""
        self.boundary("event-before")
        self._take(event, now)
        self.boundary("event-after")

    def _take(self, event: BrokerEvent, now: datetime) -> None:
        match event:
            case Fill():
                self._take_fill(addressed(self, event, now), now)
            case Commission():
                self.ledger.executions.record_commission(
                    event.exec_id, event.amount, event.currency, event.realized_pnl
                )
                self.book.add_commission(event)
            case OrderStatus():
                self.take_status(addressed(self, event, now), now)
            case BrokerNotice():
                take_notice(self, addressed(self, event, now), now)
            case ConnectionDown(reason):
                raise GatewayUnreachable(f"{reason} in the middle of the session")

    def pump(self, now: datetime) -> int:
        """Take all evidence that has arrived; return how many pieces."""
        events = self.gateway.pending_events()
        for event in events:
            self.take(event, now)
        return len(events)

    def lose_connection(self, now: datetime) -> None:
        """Mark what is in flight as unknown: the gateway can no longer say what became of it."""
        self.feed_all(ConnectionLost(now), now)

    def remember_sends(self, now: datetime) -> None:
        """Count what an earlier run sent in the last minute against the limit of this one."""
        earlier = self.ledger.children.sent_since(self.book.account, now - timedelta(minutes=1))
        self._sends = [now] * earlier

    def rejection_of(self, order_ref: str) -> str:
        """Return the code and text with which the broker refused an order, or nothing."""
        return self.rejections.get(order_ref, "")

    def cancel_working(self, symbol: str = "", but: Container[str] = ()) -> list[str]:
        """Ask for the end of every working child (of one symbol), `but` some; return which."""
        asked: list[str] = []
        for child in self.working_children():
            if symbol in ("", child.symbol) and child.order_ref not in but:
                self._cancel(child)
                asked.append(child.order_ref)
        return asked

    def working_children(self) -> list[ChildOrder]:
        """Return every child that the broker has shown and that may still fill."""
        return [
            child
            for execution in self.executions.values()
            for child in execution.children.values()
            if child.leaves and child.perm_id is not None
        ]

    @property
    def is_blind(self) -> bool:
        """Say whether the link was lost, or came back unread: absence then proves nothing."""
        return self.is_cut or self.must_reconcile

    @property
    def is_done(self) -> bool:
        """Say whether every parent has ended."""
        return all(execution.state.is_terminal for execution in self.executions.values())

    @property
    def is_quiet(self) -> bool:
        """Say whether every child that was sent has ended."""
        return all(execution.is_quiet for execution in self.executions.values())

    def _place(self, before: ParentExecution, child: ChildOrder, now: datetime) -> None:
        held = self.book.positions.get(child.symbol, 0)
        if not self.gateway.room(urgency_of(held, child.side.sign * child.quantity)):
            self.executions[child.parent_id] = before
            self.is_crowded = True
            return
        if self.breaker is not None:
            self.breaker.attempted(now)
        quote = self.quote(child.symbol)
        with self.ledger.snapshot():
            context = self.context(before, child.symbol, now)
            context = self.guard.complete(context, child, quote, self.executions)
        verdicts = self.check(child, quote, context, self.limits, now)
        if not all_passed(verdicts):
            self.executions[child.parent_id] = before
            self._deny(child, verdicts, now)
            return
        self.commit_and_send(child, before, verdicts, now)

    def commit_and_send(
        self,
        child: ChildOrder,
        before: ParentExecution,
        verdicts: Sequence[Verdict],
        now: datetime,
    ) -> None:
        """Commit an intent and what let it pass, then send it; uncommitted, all is as `before`."""
        parents = self.resting if child.parent_id in self.resting else self.executions
        try:
            committed = self.ledger.children.commit_intent(
                child,
                self.gateway.client_id,
                self.gateway.account,
                next_valid_id=self.gateway.next_order_id(),
                at=now,
                lease=self.lease,
                reduce_only=self.reduce_only,
                checks=record_of(verdicts),
                urgent=True,
            )
        except RoboError:
            parents[child.parent_id] = before  # no intent, no child
            raise
        self.boundary("send-before")
        self.gateway.send(committed)
        self.boundary("send-after")
        # Behind the socket: an intent without this mark counts as perhaps sent all the same.
        self.ledger.children.mark_sent(committed.order_ref, now)
        self._sends.append(now)
        self.denied.pop(child.order_ref, None)  # it was refused before, for what has ended since
        self.feed(child.parent_id, ChildSent(committed.order_ref, committed.order_id), now)

    def _deny(self, child: ChildOrder, verdicts: tuple[Verdict, ...], now: datetime) -> None:
        """Keep a denial, once per child that was not sent."""
        self._denied_now = True
        if child.order_ref not in self.denied:
            version, ref = self.limits_version, child.order_ref
            self.ledger.parents.record_verdicts(child.parent_id, verdicts, now, version, ref)
            strategy = self.executions[child.parent_id].parent.strategy
            alarm = self.guard.after_denial(child, strategy, verdicts)
            if alarm is not None:
                self.alert(*alarm)
            logger.warning("not sent: %s: %s", child.order_ref, denials(verdicts))
        self.denied[child.order_ref] = denials(verdicts)

    def context(self, before: ParentExecution, symbol: str, now: datetime) -> SendContext:
        """Return account and session now, for `symbol`; `before` stands for its parent."""
        since = now - RATE_WINDOW
        if self._sends and self._sends[0] <= since:
            self._sends = [moment for moment in self._sends if moment > since]
        return send_context(self, before, symbol, tuple(self._sends))

    def unpriced(self, now: datetime) -> set[str]:
        """Return the symbols held without a usable quote, or with one of long ago."""
        since = now - timedelta(seconds=self.limits.halts.max_quote_silence)
        quotes = {symbol: self.quote(symbol) for symbol in self.book.positions}
        return {s for s, q in quotes.items() if q is None or not q.is_sane or q.at < since}

    def _cancel(self, child: ChildOrder) -> None:
        self.boundary("send-before")
        self.cancels.ask(child)
        self.boundary("send-after")

    def _take_fill(self, fill: Fill, now: datetime) -> None:
        parent_id = self._parent_of(fill.order_ref)
        if self.ledger.executions.record(fill, self.gateway.account):
            self.book.add_fill(fill)
        if parent_id is not None:
            self.feed(parent_id, ChildFilled(fill), now)
        elif self.ledger.children.get(fill.order_ref) is None:
            logger.warning(
                "execution %s (%s %d %s) is of no order of this system",
                *(fill.exec_id, fill.side, fill.quantity, fill.symbol),
            )

    def take_status(self, status: OrderStatus, now: datetime) -> None:
        """Record an order status and let it act on its parent, if that is worked here."""
        parent_id = self._parent_of(status.order_ref)
        self.cancels.seen(status)
        if parent_id is None:
            return
        self.ledger.events.append("order_status", status.order_ref, asdict(status), now)
        event = event_of(status, self.rejections)
        if event is not None:
            self.feed(parent_id, event, now)
        elif status.status == "Inactive":
            self.inactive[status.order_ref] = status  # its code may still come

    def _parent_of(self, order_ref: str) -> str | None:
        parent_id = order_ref.rsplit(".", 2)[0]
        return parent_id if parent_id in self.everything else None

    def _commit(self, before: ParentExecution, after: ParentExecution) -> None:
        parent_id = after.parent.parent_id
        for ref, child in after.children.items():
            known = before.children.get(ref)
            if known is child and after.reported is before.reported:
                continue
            if known is None or child.state in (ChildState.INTENT, ChildState.SENT):
                continue
            told, told_before = after.reported.get(ref, 0), before.reported.get(ref, 0)
            if (known.state, known.perm_id, told_before) == (child.state, child.perm_id, told):
                continue
            self.ledger.children.record_status(ref, child.state, told, child.perm_id)
            if known.state is ChildState.NEVER_SENT and not after.quarantine:
                self.alert(f"{ref} arrived late", OVERDUE)
        if after.state is not before.state and not after.state.is_terminal:
            why = after.quarantine or after.reason
            self.ledger.parents.set_state(parent_id, after.state, why)
        if after.quarantine != before.quarantine and after.quarantine:
            self.alert(f"{parent_id} {after.state}", after.quarantine)
        elif after.state is ParentState.PAUSED and before.state is not ParentState.PAUSED:
            self.alert(f"{parent_id} {after.state}", after.reason)
