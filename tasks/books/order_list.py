"""A session's orders with every check that denied one, from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from warehouse.ledger import OrderLedger
    from warehouse.ledger.parents import ParentRecord


@dataclass(frozen=True, slots=True)
class Denial:
    """A check that denied a parent, or (with an `order_ref`) one of its children; `at` UTC."""

    at: datetime
    check: str
    reason: str
    numbers: Mapping[str, Any]
    order_ref: str
    limits_version: int | None


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One parent order: shares, its state, what is filled and what was denied."""

    parent_id: str
    session: date
    strategy: str
    symbol: str
    side: str
    quantity: int
    filled: int
    state: str
    reason: str
    limits_version: int | None
    denials: tuple[Denial, ...]


def list_orders(ledger: OrderLedger, session: date | None) -> tuple[OrderLine, ...]:
    """Return the parents of a session (None: the last one) and every exit that works.

    Raises InvalidInput when there is no such plan.
    """
    chosen = session or ledger.parents.latest_session()
    records = ledger.parents.of_session(chosen) if chosen else ()
    exits = ledger.parents.open_exits()
    if not records and not exits:
        raise InvalidInput(
            f"the ledger has no orders for {chosen or 'any session'}; `robo rebalance` plans them"
        )
    return tuple(_line(ledger, record) for record in (*records, *exits))


def _line(ledger: OrderLedger, record: ParentRecord) -> OrderLine:
    order = record.order
    checks = ledger.parents.verdicts(order.parent_id)
    return OrderLine(
        parent_id=order.parent_id,
        session=order.session,
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side.value,
        quantity=order.quantity,
        filled=sum(fill.quantity for fill in ledger.executions.fills_of(order.parent_id)),
        state=record.state.value,
        reason=record.reason,
        limits_version=record.limits_version,
        denials=tuple(
            Denial(c.at, c.check, c.reason, c.numbers, c.order_ref, c.limits_version)
            for c in checks
            if not c.passed
        ),
    )
