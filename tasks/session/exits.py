"""Stops and targets of what is held: brackets that rest at the broker, or exits that are watched.

An exit is a parent order of strategy `exits` whose children are committed before they are sent, as
all are. It outlives the session: a restart finds it in the ledger and at the broker alike. None of
this needs Prefect, MLflow or the warehouse.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from models.domain.orders import ChildState, ParentOrder, ParentState, exit_parent_id
from models.execution.bracket import bracket_children, filled_since, is_broken, levels_of
from models.execution.engine import placed, restore
from models.execution.events import CancelRequested, Reconciled
from models.execution.state import ParentExecution, SlicingPolicy
from models.portfolio.entries import average_entry
from models.portfolio.lots import Split, Transfer
from models.risk.exit_gate import check_exit
from models.risk.exits import ExitLevels, exit_levels, tightened
from models.risk.verdict import all_passed, denials
from tasks.broker.pacing import urgency_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.domain.orders import ChildOrder
    from models.portfolio.lots import Adjustment
    from models.risk.verdict import Verdict
    from tasks.session.orders import OrderDesk

logger = logging.getLogger("robo.exits")

STRATEGY = "exits"
ALGO = "EXIT"
LIFE = timedelta(days=90)  # of a good-till-cancelled order; it is placed anew after that
ONE_SLICE = SlicingPolicy(slices=1, last_attempts=1)
_ENDING = frozenset({ParentState.CANCELLING, ParentState.PAUSED})


@dataclass(slots=True)
class ExitKeeper:
    """Keeps every position of the desk's account covered by exits of its size, and never more."""

    desk: OrderDesk
    _levels: dict[str, tuple[int, ExitLevels]] = field(default_factory=dict)
    _unprotected: set[str] = field(default_factory=set)
    _denied: dict[str, str] = field(default_factory=dict)

    def load(self) -> None:
        """Take up every exit that the ledger knows as not ended, of whatever session."""
        ledger = self.desk.ledger
        for record in ledger.parents.open_exits():
            order = record.order
            self.desk.resting[order.parent_id] = restore(
                order,
                ONE_SLICE,
                ledger.children.of_parent(order.parent_id),
                ledger.executions.revisions_of(order.parent_id),
                record.state,
            )

    @property
    def is_idle(self) -> bool:
        """Say whether there is nothing to keep: exits are off, and none is left of earlier days."""
        return self.desk.limits.exits.mode == "off" and not self._open()

    @property
    def is_settling(self) -> bool:
        """Say whether an exit waits for its end, so that another can take its place."""
        return any(not e.state.is_terminal and not self._is_kept(e) for e in self._open())

    def rests(self, symbol: str) -> bool:
        """Say whether exits of the symbol rest at the broker; refused too often, they don't."""
        refused = sum(
            child.state is ChildState.REJECTED
            for execution in self.desk.resting.values()
            if execution.parent.symbol == symbol
            for child in execution.children.values()
        )
        limits = self.desk.limits
        return limits.exits.mode == "resting" and refused < limits.max_rejects

    def keep(self, now: datetime) -> None:
        """Cancel exits that no longer fit, place those that are missing; again later is safe.

        With the desk left crowded, an exit waits for room among the messages of a second.
        """
        desk = self.desk
        desk.is_crowded = False
        if self.is_idle or desk.is_blind or desk.ledger.halts.current() is not None:
            return
        symbols = {*desk.book.positions, *(e.parent.symbol for e in desk.everything.values())}
        for symbol in sorted(symbols):
            self._end_entries(symbol, now)
            self._keep_symbol(symbol, now)

    def wanted(self, symbol: str) -> int:
        """Return the shares that exits should cover: the position less what is being closed.

        Where the broker holds fewer than the ledger, the position is what both hold.
        """
        if self.desk.limits.exits.mode == "off":
            return 0
        shares = self.desk.book.agreed(symbol)
        closing = sum(
            execution.parent.quantity - execution.filled
            for execution in self._scheduled(symbol)
            if execution.parent.side.sign * shares < 0
        )
        return max(abs(shares) - closing, 0)

    def levels(self, symbol: str) -> ExitLevels | None:
        """Return stop and target of the present position, or None (and an alert) without a basis.

        While a position does not grow, its stop is never moved away.
        """
        shares = self.desk.book.positions.get(symbol, 0)
        known = self._levels.get(symbol)
        if known is not None and known[0] == shares:
            return known[1]
        found = self._fresh_levels(symbol, shares)
        if found is None:
            if symbol not in self._unprotected:
                self._unprotected.add(symbol)
                why = "the last plan noted no true range or regime of it: ingest and rebalance"
                self.desk.alert(f"{symbol} has no stop", why)
            return None
        before = known or self._resting_levels(symbol)
        if before is not None and abs(shares) <= abs(before[0]):
            found = tightened(before[1], found)
        self._levels[symbol] = (shares, found)
        return found

    def new_order(
        self, symbol: str, quantity: int, levels: ExitLevels, now: datetime
    ) -> ParentOrder:
        """Return a new exit order; nothing is stored or sent."""
        desk = self.desk
        number = 1 + len(desk.ledger.parents.of_session(desk.session.date, STRATEGY))
        return ParentOrder(
            parent_id=exit_parent_id(desk.session.date, symbol, number),
            session=desk.session.date,
            strategy=STRATEGY,
            symbol=symbol,
            side=levels.side,
            quantity=quantity,
            algo=ALGO,
            start=now,
            end=now + LIFE,
            decision_price=levels.stop,
            decided_at=now,
            model_version=f"exit-rules/{levels.regime}",
        )

    def store(self, order: ParentOrder, now: datetime) -> None:
        """Put a new exit order into the ledger and on the desk."""
        desk = self.desk
        desk.ledger.parents.add([order], desk.limits_version)
        desk.resting[order.parent_id] = restore(order, ONE_SLICE)
        desk.feed(order.parent_id, Reconciled(now), now)

    def has_room(self, children: Sequence[ChildOrder]) -> bool:
        """Say whether all orders of an exit can go out now without one having to wait."""
        desk = self.desk
        return all(
            desk.gateway.room(
                urgency_of(
                    desk.book.positions.get(child.symbol, 0), child.side.sign * child.quantity
                )
            )
            >= len(children)
            for child in children
        )

    def send(self, parent_id: str, children: Sequence[ChildOrder], now: datetime) -> bool:
        """Check, commit and send the orders of one exit; return whether they went."""
        desk = self.desk
        alone = desk.resting[parent_id]
        judged = [
            (child, self.judge(child, alone, now, ahead)) for ahead, child in enumerate(children)
        ]
        for child, verdicts in judged:
            if not all_passed(verdicts):
                self._keep_denial(child, verdicts, now)
                return False
        for child, verdicts in judged:
            before = desk.resting[parent_id]
            desk.resting[parent_id] = placed(before, child)
            desk.commit_and_send(child, before, verdicts, now)
        return True

    def judge(
        self, child: ChildOrder, alone: ParentExecution, now: datetime, ahead: int = 0
    ) -> tuple[Verdict, ...]:
        """Return the verdicts on one exit order; `alone` is its parent without it.

        `ahead` orders go out with it, before it, and count against the rate.
        """
        desk, quote = self.desk, self.desk.quote(child.symbol)
        context = desk.context(without_leaves(alone), child.symbol, now)
        context = desk.guard.with_reference(context, quote)
        sends = (*context.recent_sends, *[now] * ahead)
        agreed = desk.book.agreed(child.symbol) if child.symbol in desk.book.gaps else None
        context = replace(context, recent_sends=sends, agreed=agreed)
        return check_exit(child, quote, context, desk.limits, now)

    def _keep_symbol(self, symbol: str, now: datetime) -> None:
        desk, wanted = self.desk, self.wanted(symbol)
        fitting: ParentExecution | None = None
        for execution in self._open(symbol):
            if self._is_kept(execution) and fitting is None:
                fitting = execution
            else:
                reason = f"{wanted} shares of {symbol} are to be protected"
                desk.feed(execution.parent.parent_id, CancelRequested(reason), now)
        if any(not self._is_kept(execution) for execution in self._open(symbol)):
            return  # its end comes as evidence, and then the next look places what is missing
        if wanted == 0 or not self.rests(symbol) or not desk.session.contains(now):
            return
        levels = self.levels(symbol)
        if levels is None:
            return
        if fitting is None:
            order = self.new_order(symbol, wanted, levels, now)
            self.store(order, now)
        else:
            order = fitting.parent
        execution = desk.resting[order.parent_id]
        rule, side = desk.gateway.market_rule(symbol), order.side
        stop, target = levels_of(execution) or (levels.stop, levels.target)
        stop, target = rule.rounded(stop, side), rule.rounded(target, side)
        children = bracket_children(execution, stop, target)
        if self.has_room(children):
            self.send(order.parent_id, children, now)
        else:
            desk.is_crowded = True

    def _is_kept(self, execution: ParentExecution) -> bool:
        """Say whether an exit may rest on: of the right side and size, whole, and not ending."""
        symbol, parent = execution.parent.symbol, execution.parent
        if execution.state in _ENDING or not self.rests(symbol) or is_broken(execution):
            return False
        shares = self.desk.book.positions.get(symbol, 0)
        if parent.side.sign * shares >= 0 or execution.quarantine:
            return False
        left, wanted = parent.quantity - execution.filled, self.wanted(symbol)
        grows = any(e.parent.side is not parent.side for e in self._scheduled(symbol))
        return left == wanted or (left < wanted and grows)

    def _end_entries(self, symbol: str, now: datetime) -> None:
        """Stop buying what an exit has just sold: end the entry whose position was given up."""
        exits = [e for e in self.desk.resting.values() if e.parent.symbol == symbol]
        for entry in self._scheduled(symbol):
            parent = entry.parent
            if any(
                e.parent.side is not parent.side and filled_since(e, parent.start) for e in exits
            ):
                reason = f"an exit of {symbol} has traded: its entry is not worked further"
                self.desk.feed(parent.parent_id, CancelRequested(reason), now)

    def _open(self, symbol: str = "") -> list[ParentExecution]:
        """Return the brackets that have not ended; exits sent by the watch end by themselves."""
        return [
            execution
            for execution in self.desk.resting.values()
            if not execution.state.is_terminal
            and symbol in ("", execution.parent.symbol)
            and all(child.oca_group for child in execution.children.values())
        ]

    def _scheduled(self, symbol: str) -> list[ParentExecution]:
        return [
            execution
            for execution in self.desk.executions.values()
            if execution.parent.symbol == symbol and not execution.state.is_terminal
        ]

    def _fresh_levels(self, symbol: str, shares: int) -> ExitLevels | None:
        desk = self.desk
        facts = desk.guard.facts.get(symbol)
        if facts is None or facts.atr is None or facts.regime is None:
            return None
        account, ledger = desk.book.account, desk.ledger
        opening = ledger.accounts.opening(account)
        if opening is None:
            return None
        held = Transfer(symbol, opening.at, Fraction(opening.positions.get(symbol, 0)))
        fills = [f for f in ledger.executions.fills_of_account(account) if f.symbol == symbol]
        entry = average_entry(fills, held, facts.close, self._changes(symbol))
        if entry is None:
            return None
        rule = desk.gateway.market_rule(symbol)
        return exit_levels(
            shares, entry, facts.atr, facts.regime, desk.limits.exits, market_rule=rule
        )

    def _changes(self, symbol: str) -> list[Adjustment]:
        """Return the splits and transfers of a symbol that were booked."""
        changes = self.desk.ledger.position_changes(self.desk.book.account)
        return [change for change in changes if change.symbol == symbol]

    def _resting_levels(self, symbol: str) -> tuple[int, ExitLevels] | None:
        """Return what an exit of an earlier run rests at, with the signed shares it is for.

        One from before a split is of other shares, at prices of then.
        """
        splits = [change.at for change in self._changes(symbol) if isinstance(change, Split)]
        for execution in self._open(symbol):
            found, parent = levels_of(execution), execution.parent
            if any(moment >= parent.decided_at for moment in splits):
                continue
            facts = self.desk.guard.facts.get(symbol)
            if found is not None and facts is not None and facts.regime is not None:
                levels = ExitLevels(parent.side, found[0], found[1], facts.regime)
                return -parent.side.sign * parent.quantity, levels
        return None

    def _keep_denial(self, child: ChildOrder, verdicts: Sequence[Verdict], now: datetime) -> None:
        """Keep a denial, once per order and reason: it is tried again at every look."""
        why = denials(verdicts)
        if self._denied.get(child.order_ref) == why:
            return
        self._denied[child.order_ref] = why
        desk = self.desk
        desk.ledger.parents.record_verdicts(
            child.parent_id, verdicts, now, desk.limits_version, child.order_ref
        )
        logger.warning("exit not sent: %s: %s", child.order_ref, why)


def without_leaves(execution: ParentExecution) -> ParentExecution:
    """Return an exit as if its living orders were not there: its group can fill once only."""
    ended = {ref: c for ref, c in execution.children.items() if c.state.is_terminal}
    return replace(execution, children=ended)
