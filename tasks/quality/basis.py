"""Stored bars in the shares of a batch: sources that adjust beside others that do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.domain.corporate_actions import ActionKind, Adjustment, PriceBasis

if TYPE_CHECKING:
    import pandas as pd

    from warehouse.market import MarketWarehouse


class BasisOf:
    """Turns stored daily bars into what a batch with the given basis would say of them."""

    def __init__(
        self, warehouse: MarketWarehouse, symbols: Sequence[str], basis: PriceBasis | None
    ) -> None:
        """Read the symbols' actions and bases; without `basis` the batch is as it was traded."""
        self._actions = warehouse.actions.of(symbols)
        self._bases = warehouse.actions.known_bases()
        self._basis = basis

    def of(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Return daily bars (with `source`) in the shares of the batch."""
        from models.features.adjustment import adjust_bars, as_traded

        if bars.empty or not self._actions:
            return bars
        if self._basis is None:
            return as_traded(bars, self._actions, self._bases)
        through = self._basis.dividends_through
        actions = [
            action
            for action in self._actions
            if action.kind is ActionKind.SPLIT or (through and action.ex_date <= through)
        ]
        kind = Adjustment.SPLITS if through is None else Adjustment.TOTAL_RETURN
        return adjust_bars(bars, actions, self._bases, self._basis.splits_through, kind)
