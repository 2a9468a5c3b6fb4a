"""The orders of a halted symbol, while the session goes on with the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.session.orders import OrderDesk

PATIENCE = timedelta(seconds=30)  # of market time, until a cancel without effect is asked again


@dataclass(slots=True)
class SymbolHalts:
    """Asks once for the end of each order, and again when it works on for long or on a new link."""

    _desk: OrderDesk | None = None
    _asked: dict[str, datetime] = field(default_factory=dict)

    def enforce(self, desk: OrderDesk, symbol: str, now: datetime) -> None:
        """Cancel what works in `symbol` and was not asked to end just now."""
        if desk is not self._desk:  # a desk lives as long as its connection
            self._desk, self._asked = desk, {}
        waiting = {ref for ref, at in self._asked.items() if now - at < PATIENCE}
        asked = desk.cancel_working(symbol, but=waiting)
        self._asked |= dict.fromkeys(asked, now)
