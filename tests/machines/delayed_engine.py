"""What happens between any engine and the broker: delay, loss, repetition, crash and recovery.

A machine inherits these rules; it brings the parent, its own decisions and `feed`.
"""

from __future__ import annotations

import random

from delaying_broker import DelayingBroker
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from models.domain.orders import ChildState, ParentState
from models.execution import events as ev
from models.execution.engine import restore, step
from models.execution.state import ParentExecution, SlicingPolicy


class DelayedEngine(DelayingBroker, RuleBasedStateMachine):
    """An engine behind slow, lossy wires, in a process that dies; `committed` is what it stored."""

    policy: SlicingPolicy
    engine: ParentExecution
    committed: ParentExecution
    delivered: list[ev.Event]
    stopped: bool = False
    closed: bool = False

    def open_wires(self) -> None:
        super().open_wires()
        self.suspects: dict[str, str] = {}
        self.proven = set[str]()

    def boot(self, engine: ParentExecution) -> None:
        self.engine = engine
        self.delivered = []

    def feed(self, event: ev.Event) -> None:
        raise AssertionError("a machine says what an event does")

    @precondition(lambda self: self.wire_out)
    @rule(data=st.data())
    def broker_receives(self, data: st.DataObject) -> None:
        self.at_broker(self.wire_out.pop(0), data.draw(st.integers(0, 5)) == 0)

    @precondition(lambda self: any(order.live for order in self.orders.values()))
    @rule(data=st.data(), part=st.floats(0, 1), ends=st.booleans())
    def market_trades(self, data: st.DataObject, part: float, ends: bool) -> None:
        order = data.draw(st.sampled_from([o for o in self.orders.values() if o.live]))
        self.trade(order, part, ends)

    @precondition(lambda self: any(order.revisions for order in self.orders.values()))
    @rule(data=st.data(), bust=st.booleans())
    def exchange_corrects(self, data: st.DataObject, bust: bool) -> None:
        order = data.draw(st.sampled_from([o for o in self.orders.values() if o.revisions]))
        self.correct(data.draw(st.sampled_from(order.revisions)), bust)

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

    @rule(arrives=st.booleans())
    def recover(self, arrives: bool) -> None:
        """Reconcile around a quiet period: what was sent has arrived by then, or never will."""
        self.reconcile(random.Random(0))
        self.all_arrive()
        while self.limbo:
            self.limbo_resolves(arrives)
        self.suspects = dict.fromkeys(self.suspects, "quiet")
        self.reconcile(random.Random(1))

    def teardown(self) -> None:
        """[12] A cancel ends it with the broker's exact shares, whatever was going on."""
        if not hasattr(self, "engine"):
            return
        self.stopped = True  # from here on a send fails
        self.feed(ev.CancelRequested("the test ends"))
        for _ in range(3):
            self.recover(arrives=self.counter % 2 == 0)
        for event in self.wire_in:
            self.feed(event)
        assert self.engine.state.is_terminal, "[12]"
        assert self.engine.filled == sum(order.net for order in self.orders.values()), "[2]"
        if not self.busted:
            full = self.engine.filled == self.parent.quantity
            assert (self.engine.state is ParentState.FILLED) == full
