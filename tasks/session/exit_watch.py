"""Exits that the session watches itself, and exits that have vanished from the broker."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.orders import ChildOrder
from models.execution.engine import restore
from models.execution.events import ChildCancelled
from models.execution.pricing import marketable_limit
from models.risk.exits import is_hit
from models.risk.verdict import all_passed, denials
from tasks.books.adoption import readdressed
from tasks.session.exits import ONE_SLICE
from tasks.session.recovery import compare

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.broker.protocol import Evidence
    from tasks.session.exits import ExitKeeper
    from tasks.session.orders import OrderDesk

logger = logging.getLogger("robo.exits")


@dataclass(slots=True)
class ExitWatch:
    """Sends an exit when the market reaches a level and no bracket rests there for it."""

    keeper: ExitKeeper
    _told: dict[str, str] = field(default_factory=dict)

    def look(self, now: datetime) -> None:
        """Look at every position that no bracket protects; a sent exit is waited for."""
        desk = self.keeper.desk
        if desk.limits.exits.mode == "off" or desk.is_blind:
            return
        watched = [symbol for symbol in desk.book.positions if not self.keeper.rests(symbol)]
        if not watched or desk.ledger.halts.current() is not None:
            return
        for symbol in watched:
            if not self._is_under_way(symbol):
                self._look_at(symbol, now)

    def _look_at(self, symbol: str, now: datetime) -> None:
        keeper, desk = self.keeper, self.keeper.desk
        levels, quote = keeper.levels(symbol), desk.quote(symbol)
        wanted = keeper.wanted(symbol)
        if levels is None or quote is None or not quote.is_sane or wanted == 0:
            return
        desk.guard.observe(quote)
        hit = is_hit(levels, quote.bid, quote.ask)
        offset = Decimal(repr(float(desk.limits.price_collar_bps))) / 2
        rule = desk.gateway.market_rule(symbol)
        price = marketable_limit(levels.side, quote, offset, None, rule)
        if not hit or price is None:
            return
        order = keeper.new_order(symbol, wanted, levels, now)
        child = ChildOrder(
            order.parent_id, 1, 1, symbol, levels.side, wanted, limit_price=price, tif="IOC"
        )
        verdicts = keeper.judge(child, restore(order, ONE_SLICE), now)
        if not all_passed(verdicts):
            why = denials(verdicts)
            if self._told.get(symbol) != why:
                logger.warning("the %s of %s is reached, not sent: %s", hit, symbol, why)
            self._told[symbol] = why
            return
        if not keeper.has_room((child,)):
            return  # the next look is a second away
        desk.alert(f"{symbol} reached its {hit}", f"{levels.side} {wanted} shares at {price} USD")
        keeper.store(order, now)
        keeper.send(order.parent_id, (child,), now)

    def _is_under_way(self, symbol: str) -> bool:
        resting = self.keeper.desk.resting.values()
        return any(e.parent.symbol == symbol and not e.state.is_terminal for e in resting)


async def settle_vanished(desk: OrderDesk, evidence: Evidence, quiet_period: float) -> None:
    """End the exits that the broker had shown and shows no more, where its position agrees.

    A good-till-cancelled order can end between two sessions, and completed orders are shown for a
    day. That broker and ledger hold the same shares of its symbol proves that it has not traded;
    where they don't, the difference is told already and a person settles both. That it does not
    work is proven by two looks, a quiet period of wall-clock seconds apart, which
    both show another working order of this system: a list without any may be incomplete. Failing
    that a person is asked.
    """
    gone = _vanished(desk, evidence)
    if not gone or desk.is_blind:
        return
    await asyncio.sleep(quiet_period)
    again = readdressed(desk.ledger, await desk.gateway.collect_evidence())
    desk.pump(again.at)
    if desk.is_blind or again.positions != evidence.positions:
        return
    still_gone = sorted(gone.items() & _vanished(desk, again).items())
    if not (_shows_own_orders(desk, evidence) and _shows_own_orders(desk, again)):
        _ask_person(desk, [order_ref for order_ref, _ in still_gone])
        return
    for order_ref, perm_id in still_gone:
        parent_id = order_ref.rsplit(".", 2)[0]
        reported = desk.resting[parent_id].reported.get(order_ref, 0)
        logger.warning("%s is no longer at the broker, and has not traded", order_ref)
        desk.feed(parent_id, ChildCancelled(order_ref, reported, perm_id), again.at)
    compare(desk, again)  # what was open of it blocks its symbol no more


def _vanished(desk: OrderDesk, evidence: Evidence) -> dict[str, int]:
    """Return, by orderRef, the permanent ids of living exits that the evidence does not hold.

    Only of symbols of which ledger and broker hold the same shares.
    """
    shown = {order.order_ref for order in evidence.orders}
    ours, theirs = desk.book.positions, evidence.positions
    return {
        ref: child.perm_id
        for execution in desk.resting.values()
        for ref, child in execution.children.items()
        if child.leaves
        and child.perm_id
        and ref not in shown
        and ours.get(child.symbol, 0) == theirs.get(child.symbol, 0)
    }


def _shows_own_orders(desk: OrderDesk, evidence: Evidence) -> bool:
    """Say whether an order that this system sent is among those that work at the broker."""
    return any(
        order.client_id == desk.gateway.client_id
        and order.order_ref
        and desk.ledger.children.get(order.order_ref) is not None
        for order in evidence.open_orders
    )


def _ask_person(desk: OrderDesk, order_refs: list[str]) -> None:
    children = [child for ref in order_refs if (child := desk.child(ref)) is not None]
    for symbol in sorted({child.symbol for child in children}):
        names = ", ".join(child.order_ref for child in children if child.symbol == symbol)
        desk.alert(
            f"{symbol} may be without its stop",
            f"the broker shows neither {names} nor any other working order of this system, which "
            "proves no end: nothing is sent in their place. Look at the working orders in TWS, "
            "then `robo settle` each of them, and run `robo execute` again",
        )
