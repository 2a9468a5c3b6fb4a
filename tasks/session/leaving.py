"""Working orders that outlive their session on purpose (ROBO_ON_STOP=leave), with a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.session.orders import OrderDesk

LEFT = "left_working"


def leave_working(desk: OrderDesk, now: datetime) -> None:
    """Write every order that goes on working into the journal, and tell a person.

    The next session adopts them at its start, as after a crash.
    """
    left = desk.working_children()
    for child in left:
        record = {"symbol": child.symbol, "side": child.side.value, "shares": child.leaves}
        desk.ledger.events.append(LEFT, child.order_ref, record, now)
    if left:
        listed = ", ".join(
            f"{child.order_ref} ({child.side} {child.leaves} {child.symbol})" for child in left
        )
        desk.alert(
            f"{len(left)} orders left working",
            f"{listed}; ROBO_ON_STOP=leave: `robo execute` takes them up again, `robo halt` ends "
            "them",
        )
