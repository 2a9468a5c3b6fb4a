"""A broker that delays, reorders, repeats, drops, rejects, busts and vanishes, for state machines.

It holds the truth that an engine under test must never contradict. Orders of one one-cancels-all
group end when one of them trades, as type 1 has it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from models.domain.orders import ChildOrder, ChildState, Fill, ParentOrder
from models.execution import events as ev
from models.execution.commands import CancelChild, PlaceChild


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


class DelayingBroker:
    """The broker's orders of one parent, and the wire in both directions; a mixin."""

    parent: ParentOrder
    now: datetime

    def open_wires(self) -> None:
        """Begin with nothing sent and nothing under way."""
        self.orders: dict[str, Order] = {}
        self.wire_out: list[PlaceChild | CancelChild] = []
        self.limbo: list[PlaceChild | CancelChild] = []
        self.wire_in: list[ev.Event] = []
        self.connected, self.counter = True, 0
        self.busted = False

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
            return
        self.wire_in.append(ev.ChildAcked(ref, order.perm_id))
        if any(other.done for other in self.siblings(order)):  # its group is over
            self.end(order)

    def end(self, order: Order) -> None:
        if order.live:
            order.live = False
            ref = order.child.order_ref
            self.wire_in.append(ev.ChildCancelled(ref, order.done, order.perm_id))

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
        for other in self.siblings(order):
            self.end(other)
        if ends:
            self.end(order)

    def siblings(self, order: Order) -> list[Order]:
        """Return the others of an order's one-cancels-all group."""
        group = order.child.oca_group
        others = [o for o in self.orders.values() if o.child.oca_group == group != ""]
        return [other for other in others if other is not order]

    def correct(self, history: list[Fill], bust: bool) -> None:
        """Replace the last revision of an execution, by one of no shares when it is busted."""
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

    def lose_wires(self) -> None:
        self.limbo += self.wire_out
        self.wire_out, self.wire_in = [], []
        self.connected = False

    def evidence(self, order: random.Random) -> ev.Reconciled:
        all_ = self.orders.values()
        found = [ev.ChildEvidence(o.child.order_ref, o.state, o.done, o.perm_id) for o in all_]
        fills = [fill for o in all_ for history in o.revisions for fill in history]
        order.shuffle(found)
        order.shuffle(fills)
        return ev.Reconciled(self.now, tuple(found), tuple(fills))

    def worst_case(self) -> int:
        """Return the shares that may be done once everything sent has arrived and filled.

        Of a one-cancels-all group one order can fill: the one that has, or any of them.
        """
        flying = [c.child for c in (*self.wire_out, *self.limbo) if isinstance(c, PlaceChild)]
        each = [(o.child, o.net, o.worst - o.net, o.done > 0) for o in self.orders.values()]
        each += [(child, 0, child.quantity, False) for child in flying]
        groups = {child.oca_group for child, *_ in each}
        return sum(self._worst([one for one in each if one[0].oca_group == g]) for g in groups)

    def _worst(self, group: list[tuple[ChildOrder, int, int, bool]]) -> int:
        done = sum(net for _, net, _, _ in group)
        if not group[0][0].oca_group:
            return done + sum(left for _, _, left, _ in group)
        chosen = [left for _, _, left, has_traded in group if has_traded]
        return done + max(chosen or [left for _, _, left, _ in group])
