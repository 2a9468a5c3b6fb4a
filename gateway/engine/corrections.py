"""Execution corrections and busts: a later execution of the same id stem takes a fill's place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.engine.orders import Executed, Execution

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange


def superseded_by(exec_id: str) -> str:
    """Return the id of the correction of an execution: the last part counts up, 01 to 02."""
    stem, _, number = exec_id.rpartition(".")
    return f"{stem}.{int(number) + 1:02d}"


def drop_superseded(executions: dict[str, Execution]) -> None:
    """Keep, of each execution and its corrections, the latest only."""
    for exec_id in [e for e in executions if superseded_by(e) in executions]:
        del executions[exec_id]


def correct(exchange: Exchange, exec_id: str, price: int | None) -> Execution | None:
    """Replace a fill by one at another price (cents); None for `price` busts it: no shares.

    The account is as if the fill had been so from the start; the order's filled shares stay, for
    the exchange does not work a busted fill again. Returns the correction, or None when the
    execution is not (or no longer) the latest of its stem.
    """
    old = exchange.executions.get(exec_id)
    if old is None or not old.reported:
        return None
    exchange.account.trade(old.column, not old.buy, old.shares, old.price)
    shares = 0
    if price is not None:
        exchange.account.trade(old.column, old.buy, old.shares, price)
        shares = old.shares
    order = exchange.orders.get(old.perm_id)
    if order is not None and price is not None:
        order.value += old.shares * (price - old.price)
        exchange.touch(order)
    new = replace(
        old,
        exec_id=superseded_by(exec_id),
        shares=shares,
        price=old.price if price is None else price,
        average=order.average if order is not None else old.average,
    )
    del exchange.executions[exec_id]
    exchange.executions[new.exec_id] = new
    changes = exchange.changes
    changes.executions[new.exec_id] = new
    changes.positions.add(new.column)
    changes.events.append(Executed(new))
    return new
