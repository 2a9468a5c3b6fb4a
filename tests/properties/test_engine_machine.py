"""The engine against a broker that delays, reorders, repeats, drops, rejects, busts and vanishes.

Numbers in brackets name the invariants of the execution engine: [1] shares add up, [2] worst case
within the parent, [4] no send out of time, [5] prices within limit and on tick, [6] whole shares,
[8] no orderRef twice, [9] a repeated event changes nothing, [10] same events, same commands, [12] a
cancel converges without sends, [18] paused sends nothing, [19] bounded catch-up, [20] UNKNOWN is
not sent again before it is proven. ([11] and [7] have their own files.)
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from delayed_engine import DelayedEngine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from models.domain.orders import ChildOrder, ParentOrder, ParentState, Quote, Side
from models.execution import events as ev
from models.execution.commands import CancelChild, Command, PlaceChild
from models.execution.engine import restore, step
from models.execution.state import ParentExecution, SlicingPolicy

START = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
END = START + timedelta(minutes=60)
TOUCHES = [Decimal(text) for text in ("0.97", "9.99", "10.00", "10.07")]
BAD = [Decimal(text) for text in ("NaN", "Infinity", "-1", "0")]


class EngineMachine(DelayedEngine):
    """One parent and its committed rows, beside the broker's truth and its wires."""

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
        self.open_wires()
        self.sent = set[str]()
        self.stopped = self.closed = False
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

    @invariant()
    def shares_add_up(self) -> None:
        e = self.engine
        assert e.filled + e.leaves + e.unallocated == self.parent.quantity, "[1]"
        assert min(e.filled, e.leaves, e.unallocated) >= 0, "[1]"

    @invariant()
    def worst_case_is_within_the_parent(self) -> None:
        assert self.worst_case() <= self.parent.quantity, "[2]"
        assert not self.engine.quarantine, "an honest broker is never quarantined"

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        self.replay_is_identical()
        super().teardown()

    def replay_is_identical(self) -> None:
        engine = self.first
        for event, commands in self.log:
            engine, again = step(engine, event)
            assert again == commands, "[10]"
        assert engine == self.engine, "[10]"


EngineMachine.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestEngineMachine = EngineMachine.TestCase
