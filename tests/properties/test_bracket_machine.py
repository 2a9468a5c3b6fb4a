"""A bracket, stop and target in one group, through delay, loss, repetition and crash.

Numbers in brackets are those of `test_engine_machine.py`, for a parent whose two orders count once.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from delayed_engine import DelayedEngine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from models.domain.orders import ParentOrder, Side
from models.execution import events as ev
from models.execution.bracket import bracket_children, is_broken
from models.execution.commands import CancelChild, PlaceChild
from models.execution.engine import placed, restore, step
from models.execution.state import SlicingPolicy

START = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
STOP, TARGET = Decimal("9.50"), Decimal("10.80")


class BracketMachine(DelayedEngine):
    """One exit order: its pair is sent, trades, ends, and goes again if it never went."""

    policy = SlicingPolicy(slices=1, last_attempts=1)

    @initialize(quantity=st.integers(1, 300), side=st.sampled_from(Side))
    def begin(self, quantity: int, side: Side) -> None:
        self.parent = ParentOrder(
            "20230103-exit-SPY-1", START.date(), "exits", "SPY", side, quantity, "EXIT",
            START, START + timedelta(days=90), STOP, START, "exit-rules/bull",
        )  # fmt: skip
        self.now = START
        self.open_wires()
        self.sent = set[str]()
        self.stopped = False
        self.boot(restore(self.parent, self.policy))
        self.committed = self.engine
        self.reconcile(random.Random(0))
        self.place(both=True)

    def feed(self, event: ev.Event) -> None:
        self.engine, commands = step(self.engine, event)
        assert step(self.engine, event) == (self.engine, ()), f"[9] {event}"
        for command in commands:
            assert not isinstance(command, PlaceChild), "a bracket has no schedule"
            if isinstance(command, CancelChild):
                self.wire_out.append(command)

    @precondition(lambda self: self.connected and not self.stopped)
    @rule(both=st.booleans())
    def place(self, both: bool) -> None:
        """Commit and send what the bracket lacks, as the keeper of exits does; or die between."""
        if self.engine.state.is_terminal or is_broken(self.engine):
            return
        for child in bracket_children(self.engine, STOP, TARGET)[: None if both else 1]:
            assert child.order_ref not in self.sent, "[8]"
            self.sent.add(child.order_ref)
            self.engine = placed(self.engine, child)
            self.committed = self.engine
            self.wire_out.append(PlaceChild(child))
            self.feed(ev.ChildSent(child.order_ref))

    @rule(chance=st.integers(0, 19))
    def position_changes(self, chance: int) -> None:
        if chance == 7:
            self.feed(ev.CancelRequested("the position is gone"))
            self.stopped = True

    @invariant()
    def the_pair_counts_once(self) -> None:
        e = self.engine
        assert e.filled + e.leaves + e.unallocated == self.parent.quantity, "[1]"
        assert min(e.filled, e.leaves, e.unallocated) >= 0, "[1]"
        assert self.worst_case() <= self.parent.quantity, "[2]"
        assert not e.quarantine, "an honest broker is never quarantined"

    @invariant()
    def no_third_order_lives(self) -> None:
        slices = [o.child.slice_no for o in self.orders.values()]
        assert len(slices) == len(set(slices)), "[20] a stop or target reached the broker twice"
        assert {o.child.oca_group for o in self.orders.values()} <= {self.parent.parent_id}


BracketMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestBracketMachine = BracketMachine.TestCase
