"""What orders at the broker may still buy and sell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from models.domain.orders import Side

if TYPE_CHECKING:
    from models.execution.state import ParentExecution


def working_shares(
    executions: Iterable[ParentExecution],
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the shares by symbol, bought and sold, that living children may still fill."""
    shares: dict[Side, dict[str, int]] = {Side.BUY: {}, Side.SELL: {}}
    for execution in executions:
        leaves = execution.leaves
        if leaves > 0:
            side = shares[execution.parent.side]
            symbol = execution.parent.symbol
            side[symbol] = side.get(symbol, 0) + leaves
    return shares[Side.BUY], shares[Side.SELL]
