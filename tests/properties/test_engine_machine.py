"""The engine against a broker that delays, reorders, repeats, drops, rejects, busts and vanishes.

Numbers in brackets name the invariants of the execution engine: [1] shares add up, [2] worst case
within the parent, [4] no send out of time, [5] prices within limit and on tick, [6] whole shares,
[8] no orderRef twice, [9] a repeated event changes nothing, [10] same events, same commands, [12] a
cancel converges without sends, [18] paused sends nothing, [19] bounded catch-up, [20] UNKNOWN is
not sent again before it is proven. ([11] and [7] have their own files.)
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.domain.orders import ChildOrder, ChildState, Fill, ParentOrder, ParentState, Quote, Side
from models.execution import events as ev
from models.execution.commands import CancelChild, Command, PlaceChild
from models.execution.engine import restore, step
from models.execution.state import ParentExecution, SlicingPolicy

START = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
END = START + timedelta(minutes=60)
TOUCHES = [Decimal(text) for text in ("0.97", "9.99", "10.00", "10.07")]
BAD = [Decimal(text) for text in ("NaN", "Infinity", "-1", "0")]


@dataclass
class Order:
    """One order as the broker has it."""

    child: ChildOrder
    perm_id: int
    live: bool = True
    rejected: bool = False
    done: int = 0  # gross: what statuses report
    revisions: list[list[Fill]] = field(default_factory=list)

    @property
    def net(self) -> int:
        return sum(history[-1].quantity for history in self.revisions)

    @property
    def state(self) -> ChildState:
        if self.rejected:
            return ChildState.REJECTED
        if self.live:
            return ChildState.PARTIAL if self.done else ChildState.ACKED
        return ChildState.FILLED if self.done == self.child.quantity else ChildState.CANCELLED

    @property
    def worst(self) -> int:
        return self.net + (self.child.quantity - self.done if self.live else 0)


class EngineMachine(RuleBasedStateMachine):
    """One parent, its committed rows, the wire in both directions, and the broker's truth."""

    @initialize(
        quantity=st.integers(1, 400),
        slices=st.integers(1, 6),
        side=st.sampled_from(Side),
        limited=st.booleans(),
        early=st.sampled_from([False, False, False, True]),
        catch_up=st.sampled_from([Decimal(1), Decimal("2.5")]),
    )
    def begin(self, quantity, slices, side, limited, early, catch_up) -> None:
        limit = (Decimal("10.005") if side is Side.BUY else Decimal("9.985")) if limited else None
        self.parent = ParentOrder(
            "2023-01-03.trend.SPY", START.date(), "trend", "SPY", side, quantity, "TWAP",
            START, END, Decimal(10), START, "v1", limit,
        )  # fmt: skip
        self.policy = SlicingPolicy(slices, Decimal(20), catch_up)
        self.now = START - timedelta(minutes=1)
        self.orders: dict[str, Order] = {}
        self.wire_out: list[PlaceChild | CancelChild] = []
        self.limbo: list[PlaceChild | CancelChild] = []
        self.wire_in: list[ev.Event] = []
        self.suspects: dict[str, str] = {}
        self.proven, self.sent = set[str](), set[str]()
        self.connected, self.counter = True, 0
        self.stopped = self.closed = self.busted = False
        self.boot(restore(self.parent, self.policy))
        self.committed = self.engine
        self.reconcile(random.Random(0))
        if not early:
            self.next_slice()

    def boot(self, engine: ParentExecution) -> None:
        self.engine = self.first = engine
        self.log: list[tuple[ev.Event, tuple[Command, ...]]] = []
        self.delivered: list[ev.Event] = []

    def feed(self, event: ev.Event) -> None:
        before = self.engine
        self.engine, commands = step(before, event)
        assert step(self.engine, event) == (self.engine, ()), f"[9] {event}"
        self.log.append((event, commands))
        for command in commands:
            if isinstance(command, PlaceChild):
                self.check_send(before, event, command.child)
                self.committed = self.engine
                self.wire_out.append(command)
                self.feed(ev.ChildSent(command.child.order_ref))
            elif isinstance(command, CancelChild):
                self.wire_out.append(command)
            else:
                assert command.state.is_terminal and command.reason
                if command.state is ParentState.FILLED:
                    assert self.engine.filled == self.parent.quantity

    def check_send(self, before: ParentExecution, event: ev.Event, child: ChildOrder) -> None:
        assert isinstance(event, ev.SliceDue)
        assert event.quote is not None
        assert self.connected, "[20] sent while the connection is down"
        assert not self.stopped, "[4] [12] sent after a cancel or the close"
        assert START <= event.now < END, "[4]"
        assert before.state is ParentState.WORKING, "[18]"
        assert child.quantity >= 1, "[6]"
        assert child.slice_no <= self.policy.slices, "[6]"
        assert child.order_ref not in self.sent, "[8]"
        self.sent.add(child.order_ref)
        assert before.is_quiet, "[20] sent beside a child that is not proven dead"
        earlier = {replace(child, attempt=n).order_ref for n in range(1, child.attempt)}
        if child.slice_no < self.policy.slices:
            assert earlier <= self.proven, "[20]"
        else:  # the last slice tries again, but never beside an attempt that may live
            assert not any(self.orders[ref].live for ref in earlier - self.proven), "[20]"
            assert len(earlier - self.proven) < self.policy.last_attempts, "bounded"
        self.check_price(child, event.quote)
        due = before.curve.due_times()
        if child.slice_no < len(due):
            planned = before.curve.planned(due[child.slice_no])
            assert before.exposure + child.quantity <= planned, "ahead of schedule"
            scheduled = planned - before.curve.planned(due[child.slice_no - 1])
            assert child.quantity <= self.policy.catch_up * max(1, scheduled), "[19]"

    def check_price(self, child: ChildOrder, quote: Quote) -> None:
        price = child.limit_price
        assert price is not None and price.is_finite(), "[5]"
        assert price % (Decimal("0.01") if price >= 1 else Decimal("0.0001")) == 0, "[5]"
        if child.side is Side.BUY:
            assert quote.ask <= price <= quote.ask * Decimal("1.0020"), "[5]"
            assert self.parent.limit_price is None or price <= self.parent.limit_price, "[5]"
        else:
            assert quote.bid * Decimal("0.9980") <= price <= quote.bid, "[5]"
            assert self.parent.limit_price is None or price >= self.parent.limit_price, "[5]"

    @rule(
        minutes=st.sampled_from([0, 0, 1, 3]),
        touch=st.sampled_from(TOUCHES * 3 + BAD),
        spread=st.sampled_from([Decimal("0.01"), Decimal("0.03"), Decimal("-0.02")]),
        symbol=st.sampled_from(["SPY", "SPY", "SPY", "QQQ", ""]),
    )
    def schedule(self, minutes: int, touch: Decimal, spread: Decimal, symbol: str) -> None:
        self.now = self.next_due() if minutes == 0 else self.now + timedelta(minutes=minutes)
        quote = Quote(symbol, touch, touch + spread, 100, 100, self.now)
        self.feed(ev.SliceDue(self.now, quote if symbol else None))

    def next_due(self) -> datetime:
        return next((t for t in self.engine.curve.due_times() if t > self.now), self.now)

    def next_slice(self) -> None:
        self.schedule(0, Decimal("9.99"), Decimal("0.01"), "SPY")

    @rule(fails=st.sampled_from([0, 0, 0, 3, 5, 6]), arrives=st.booleans())
    def slice_opens(self, fails: int, arrives: bool) -> None:
        """Send a slice and, at times, lose the connection or the process while it flies."""
        self.next_slice()
        self.trouble(fails, recovers=False)
        if fails:
            self.recover(arrives)

    @precondition(lambda self: self.connected and self.engine.state is ParentState.WORKING)
    @rule(order=st.randoms(use_true_random=False), slices=st.integers(1, 4), late=st.integers(0, 3))
    def usual_slices(self, order: random.Random, slices: int, late: int) -> None:
        """Slices as on most days, but messages come shuffled, and `late` of them not yet."""
        for _ in range(slices):
            self.next_slice()
            self.all_arrive()
            for live in [each for each in self.orders.values() if each.live]:
                self.trade(live, order.random(), ends=True)
            while len(self.wire_in) > late:
                self.hand_over(order.randrange(len(self.wire_in)))

    @rule(chance=st.integers(0, 39))
    def person(self, chance: int) -> None:
        if chance == 23:  # not at a bound: Hypothesis tries those often
            self.feed(ev.CancelRequested("a person asked"))
            self.stopped = True
        elif chance == 31:
            self.feed(ev.SessionClosed(self.now))
            self.stopped = self.closed = True
        elif 12 <= chance <= 18:
            self.feed(ev.PauseRequested("a person asked"))
        else:
            self.feed(ev.ResumeRequested())

    @precondition(lambda self: self.wire_out)
    @rule(data=st.data())
    def broker_receives(self, data: st.DataObject) -> None:
        self.at_broker(self.wire_out.pop(0), data.draw(st.integers(0, 5)) == 0)

    def all_arrive(self) -> None:
        while self.wire_out:
            self.at_broker(self.wire_out.pop(0), rejects=False)

    def at_broker(self, command: PlaceChild | CancelChild, rejects: bool) -> None:
        if isinstance(command, CancelChild):
            if command.order_ref in self.orders:
                self.end(self.orders[command.order_ref])
            return
        ref = command.child.order_ref
        assert ref not in self.orders, "[8] the broker got an orderRef twice"
        self.counter += 1
        order = self.orders[ref] = Order(command.child, 1000 + self.counter)
        if rejects:
            order.live, order.rejected = False, True
            self.wire_in.append(ev.ChildRejected(ref, "201: no"))
        else:
            self.wire_in.append(ev.ChildAcked(ref, order.perm_id))

    def end(self, order: Order) -> None:
        if order.live:
            order.live = False
            ref = order.child.order_ref
            self.wire_in.append(ev.ChildCancelled(ref, order.done, order.perm_id))

    @precondition(lambda self: any(order.live for order in self.orders.values()))
    @rule(data=st.data(), part=st.floats(0, 1), ends=st.booleans())
    def market_trades(self, data: st.DataObject, part: float, ends: bool) -> None:
        order = data.draw(st.sampled_from([o for o in self.orders.values() if o.live]))
        self.trade(order, part, ends)

    def trade(self, order: Order, part: float, ends: bool) -> None:
        rest = order.child.quantity - order.done
        shares = rest if part > 0.5 else max(1, int(2 * part * rest))
        self.counter += 1
        fill = Fill(
            f"0001.{self.counter}.01", order.child.order_ref, "SPY", self.parent.side, shares,
            order.child.limit_price or Decimal(10), self.now, order.perm_id,
        )  # fmt: skip
        order.revisions.append([fill])
        order.done += shares
        order.live = order.done < order.child.quantity
        self.wire_in.append(ev.ChildFilled(fill))
        self.wire_in.append(ev.ChildAcked(order.child.order_ref, order.perm_id, order.done))
        if ends:
            self.end(order)

    @precondition(lambda self: any(order.revisions for order in self.orders.values()))
    @rule(data=st.data(), bust=st.booleans())
    def exchange_corrects(self, data: st.DataObject, bust: bool) -> None:
        order = data.draw(st.sampled_from([o for o in self.orders.values() if o.revisions]))
        history = data.draw(st.sampled_from(order.revisions))
        last = history[-1]
        corrected = replace(
            last,
            exec_id=f"{last.exec_base}.{last.revision + 1:02d}",
            quantity=0 if bust else last.quantity,
            price=last.price + Decimal("0.01"),
        )
        history.append(corrected)
        self.busted = self.busted or bust
        self.wire_in.append(ev.ChildFilled(corrected))

    @precondition(lambda self: self.wire_in and self.connected)
    @rule(data=st.data(), count=st.integers(1, 4))
    def deliver(self, data: st.DataObject, count: int) -> None:
        for _ in range(min(count, len(self.wire_in))):
            self.hand_over(data.draw(st.integers(0, len(self.wire_in) - 1)))

    def hand_over(self, index: int) -> None:
        event = self.wire_in.pop(index)
        self.feed(event)
        self.delivered.append(event)

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def repeat_old_message(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.delivered))
        assert step(self.engine, event) == (self.engine, ()), "[9]"

    @rule(chance=st.sampled_from([0, 3, 5, 6]), recovers=st.booleans())
    def trouble(self, chance: int, recovers: bool) -> None:
        """Break the connection, or lose the process: rows are of the last intent or all."""
        if chance == 0:
            return
        self.lose_wires()
        if chance == 3:
            self.feed(ev.ConnectionLost(self.now))
        else:
            self.restart(self.engine if chance == 5 else self.committed)
        if recovers:
            self.reconcile(random.Random(chance))

    def lose_wires(self) -> None:
        self.limbo += self.wire_out
        self.wire_out, self.wire_in = [], []
        self.connected = False

    @precondition(lambda self: self.limbo)
    @rule(arrives=st.booleans())
    def limbo_resolves(self, arrives: bool) -> None:
        command = self.limbo.pop(0)
        if arrives:
            self.at_broker(command, rejects=False)

    def restart(self, rows: ParentExecution) -> None:
        fills = [fill for known in rows.fills.values() for fill in known]
        state = self.engine.state
        self.boot(restore(self.parent, self.policy, list(rows.children.values()), fills, state))
        if self.closed:
            self.feed(ev.SessionClosed(self.now))

    @rule(order=st.randoms(use_true_random=False))
    def reconcile(self, order: random.Random) -> None:
        self.connected = True
        self.feed(self.evidence(order))
        for ref, child in self.engine.children.items():
            if child.state is not ChildState.UNKNOWN:
                continue
            assert ref not in self.orders
            if self.suspects.get(ref) == "quiet":
                self.proven.add(ref)
                self.feed(ev.ProvenNeverSent(ref))
                self.committed = self.engine
            else:
                self.suspects[ref] = "once"

    def evidence(self, order: random.Random) -> ev.Reconciled:
        all_ = self.orders.values()
        found = [ev.ChildEvidence(o.child.order_ref, o.state, o.done, o.perm_id) for o in all_]
        fills = [fill for o in all_ for history in o.revisions for fill in history]
        order.shuffle(found)
        order.shuffle(fills)
        return ev.Reconciled(self.now, tuple(found), tuple(fills))

    @rule(arrives=st.booleans())
    def recover(self, arrives: bool) -> None:
        """Reconcile around a quiet period: what was sent has arrived by then, or never will."""
        self.reconcile(random.Random(0))
        self.all_arrive()
        while self.limbo:
            self.limbo_resolves(arrives)
        self.suspects = dict.fromkeys(self.suspects, "quiet")
        self.reconcile(random.Random(1))

    @invariant()
    def shares_add_up(self) -> None:
        e = self.engine
        assert e.filled + e.leaves + e.unallocated == self.parent.quantity, "[1]"
        assert min(e.filled, e.leaves, e.unallocated) >= 0, "[1]"

    @invariant()
    def worst_case_is_within_the_parent(self) -> None:
        worst = sum(order.worst for order in self.orders.values())
        flying = (*self.wire_out, *self.limbo)
        worst += sum(c.child.quantity for c in flying if isinstance(c, PlaceChild))
        assert worst <= self.parent.quantity, "[2]"
        assert not self.engine.quarantine, "an honest broker is never quarantined"

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        self.replay_is_identical()
        self.cancel_converges()

    def replay_is_identical(self) -> None:
        engine = self.first
        for event, commands in self.log:
            engine, again = step(engine, event)
            assert again == commands, "[10]"
        assert engine == self.engine, "[10]"

    def cancel_converges(self) -> None:
        """[12] Without a send, whatever was going on, and with the broker's exact shares."""
        self.feed(ev.CancelRequested("the test ends"))
        self.stopped = True
        for _ in range(3):
            self.recover(arrives=self.counter % 2 == 0)
        for event in self.wire_in:
            self.feed(event)
        assert self.engine.state.is_terminal, "[12]"
        assert self.engine.filled == sum(order.net for order in self.orders.values()), "[2]"
        if not self.busted:
            full = self.engine.filled == self.parent.quantity
            assert (self.engine.state is ParentState.FILLED) == full


EngineMachine.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestEngineMachine = EngineMachine.TestCase
