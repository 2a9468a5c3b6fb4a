"""The state of one parent order in execution, and its accounting in shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from models.domain.errors import InvalidInput
from models.domain.orders import ChildOrder, ChildState, Fill, ParentOrder, ParentState
from models.execution.curves import TargetCurve
from models.execution.fills import current_fills, gross_quantity


@dataclass(frozen=True, slots=True)
class SlicingPolicy:
    """How a parent is worked.

    `slices` children over its span; `offset_bps` past the far touch is the most a child pays;
    `catch_up` times the scheduled slice is the most a child sends (the last slice sweeps);
    `last_attempts` is how often the last slice may send until the parent is filled.
    Raises InvalidInput on a value out of range.
    """

    slices: int = 13
    offset_bps: Decimal = Decimal(5)
    catch_up: Decimal = Decimal(2)
    last_attempts: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.slices <= 1000:
            raise InvalidInput(f"slices is {self.slices}; give 1 to 1000")
        if not (self.offset_bps.is_finite() and 0 <= self.offset_bps <= 1000):
            raise InvalidInput(f"offset_bps is {self.offset_bps}; give 0 to 1000 bps")
        if not (self.catch_up.is_finite() and 1 <= self.catch_up <= 100):
            raise InvalidInput(f"catch_up is {self.catch_up}; give 1 to 100 times the slice")
        if not 1 <= self.last_attempts <= 20:
            raise InvalidInput(f"last_attempts is {self.last_attempts}; give 1 to 20")


@dataclass(frozen=True, slots=True)
class ParentExecution:
    """Everything the engine knows of one parent.

    `children` by orderRef, each with `filled` = executions that count + shares the broker reported
    but whose executions have not come yet. `reported` is the highest cumulative count in any
    status message (busts are not taken off it). `fills` holds every revision of every execution, by
    orderRef, sorted by exec id; `explained` the shares ever executed where a complete read proved
    more of them than `fills` has; `orders_of` which of a child's orders are over, by permanent id,
    where the broker has shown more than one. These only grow or move towards the terminal, so that
    the order and the repetition of evidence don't matter.

    `reconciled` is False from a start or a lost connection until the next reconciliation; nothing
    is sent meanwhile. `over` says that no slice can come any more. `quarantine` says what a person
    must look at, and stays empty as long as the broker contradicts nothing.
    """

    parent: ParentOrder
    curve: TargetCurve
    policy: SlicingPolicy
    state: ParentState = ParentState.NEW
    children: Mapping[str, ChildOrder] = field(default_factory=dict[str, ChildOrder])
    reported: Mapping[str, int] = field(default_factory=dict[str, int])
    fills: Mapping[str, tuple[Fill, ...]] = field(default_factory=dict[str, tuple[Fill, ...]])
    explained: Mapping[str, int] = field(default_factory=dict[str, int])
    orders_of: Mapping[str, Mapping[int, bool]] = field(
        default_factory=dict[str, Mapping[int, bool]]
    )
    cancels_asked: frozenset[str] = frozenset()
    reconciled: bool = False
    over: bool = False
    closed: bool = False
    quarantine: str = ""
    reason: str = ""
    last_rejection: str = ""
    # Worked out when first asked for: a state never changes, and every check of a send asks again.
    _filled: int | None = field(default=None, init=False, repr=False, compare=False)
    _exposure: int | None = field(default=None, init=False, repr=False, compare=False)
    _rejects: int | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def executions(self) -> tuple[Fill, ...]:
        """The executions that count, corrections applied and busts removed."""
        return current_fills(fill for fills in self.fills.values() for fill in fills)

    @property
    def filled(self) -> int:
        """Shares done, by executions that count."""
        known = self._filled
        if known is None:
            known = sum(fill.quantity for fill in self.executions)
            object.__setattr__(self, "_filled", known)
        return known

    @property
    def rejects(self) -> int:
        """Children that the broker refused."""
        known = self._rejects
        if known is None:
            known = sum(c.state is ChildState.REJECTED for c in self.children.values())
            object.__setattr__(self, "_rejects", known)
        return known

    @property
    def leaves(self) -> int:
        """Shares that may still fill, or did without their execution having come yet."""
        return self.exposure - self.filled

    @property
    def exposure(self) -> int:
        """Worst-case shares: filled plus the leaves of every child that is not proven dead.

        A one-cancels-all group counts once: its largest living child, or what it has filled. A
        second order under a child's name counts in full beside it.
        """
        known = self._exposure
        if known is None:
            known = _exposure(self.children.values()) + self._second
            object.__setattr__(self, "_exposure", known)
        return known

    @property
    def _second(self) -> int:
        total = 0
        for order_ref, orders in self.orders_of.items():
            child, alive = self.children[order_ref], sum(not over for over in orders.values())
            total += max(0, alive * child.quantity - child.leaves)
        return total

    @property
    def unallocated(self) -> int:
        """Shares that no child has done or may still do; never negative unless quarantined."""
        return self.parent.quantity - self.exposure

    def work_out(self) -> None:
        """Work out now what the checks of every further send will ask for."""
        _ = self.leaves, self.rejects

    def gross_of(self, order_ref: str) -> int:
        """Return the shares that a child ever executed, whatever was busted since."""
        known = gross_quantity(self.fills.get(order_ref, ()))
        return max(known, self.explained.get(order_ref, 0))

    @property
    def is_quiet(self) -> bool:
        """Say whether every child has ended, every order that carries its name included."""
        ended = all(child.state.is_terminal for child in self.children.values())
        return ended and all(all(orders.values()) for orders in self.orders_of.values())

    @property
    def is_settled(self) -> bool:
        """Say whether an execution has come for every share that a status reported as filled."""
        return all(self.gross_of(order_ref) >= count for order_ref, count in self.reported.items())


def _exposure(children: Iterable[ChildOrder]) -> int:
    alone = 0
    groups: dict[str, list[ChildOrder]] = {}
    for child in children:
        if child.oca_group:
            groups.setdefault(child.oca_group, []).append(child)
        else:
            alone += child.filled + child.leaves
    return alone + sum(_group_exposure(group) for group in groups.values())


def _group_exposure(group: list[ChildOrder]) -> int:
    alive = max((c.quantity for c in group if not c.state.is_terminal), default=0)
    return max(alive, sum(c.filled for c in group))
