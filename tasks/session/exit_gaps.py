"""Which positions have lost step with their stops and targets, from the ledger alone.

A session that died at its end, or a halt, leaves positions whose exits are missing, too small or
too large; there may be no parent order left that would make a session start again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from models.domain.sessions import TradingSession
    from models.risk.limits import RiskLimits
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.parents import ParentRecord


def exits_out_of_step(
    ledger: OrderLedger, limits: RiskLimits, day: TradingSession, now: datetime
) -> tuple[str, ...]:
    """Return the symbols whose resting exits a session of `day` could mend at `now` (UTC).

    Empty outside the session's hours, when no order can be placed, and for positions without a
    noted true range, for which there are no levels.
    """
    account = ledger.accounts.latest_account()
    if account is None or not day.contains(now):
        return ()
    held = ledger.executions.positions(account)
    known = ledger.facts.before(day.date)
    resting: dict[str, list[ParentRecord]] = {}
    for record in ledger.parents.open_exits():
        resting.setdefault(record.order.symbol, []).append(record)
    rests = limits.exits.mode == "resting"
    found: list[str] = []
    for symbol in sorted(held.keys() | resting.keys()):
        has_levels = symbol in known and known[symbol].atr is not None
        wanted = held.get(symbol, 0) if rests and has_levels else 0
        if not _fit(ledger, resting.get(symbol, ()), wanted):
            found.append(symbol)
    return tuple(found)


def _fit(ledger: OrderLedger, exits: Sequence[ParentRecord], wanted: int) -> bool:
    """Say whether the open exits of a symbol cover its signed shares, no less and no more."""
    covered = 0
    for record in exits:
        order = record.order
        children = ledger.children.of_parent(order.parent_id)
        alive = [child for child in children if not child.state.is_terminal]
        if len(alive) < 2 or any(child.perm_id is None for child in alive):
            return False
        covered -= order.side.sign * (order.quantity - sum(child.filled for child in children))
    return covered == wanted
