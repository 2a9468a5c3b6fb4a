"""Stored bars in the shares of a batch: sources that adjust beside others that do not."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from models.domain.corporate_actions import Adjustment, PriceBasis

if TYPE_CHECKING:
    import pandas as pd

    from warehouse.market import MarketWarehouse


class BasisOf:
    """Turns stored daily bars into what a batch with the given basis would say of them."""

    def __init__(
        self, warehouse: MarketWarehouse, batch: pd.DataFrame, source: str, basis: PriceBasis | None
    ) -> None:
        """Read the actions and bases of the Bars frame `batch`, which `source` brings.

        Without `basis` the batch is as it was traded.
        """
        symbols = [str(symbol) for symbol in batch["symbol"].unique()]
        self._bars = warehouse.bars
        self._actions = warehouse.actions.of(symbols)
        self._bases = warehouse.actions.known_bases()
        if basis is not None:
            self._bases |= {(symbol, source): basis for symbol in symbols}
        self._basis = basis
        self._batch, self._source = batch, source

    def of(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Return stored daily bars (with `source`), any of them, in the shares of the batch."""
        from models.features.adjustment import adjust_bars, as_traded

        if bars.empty or not self._actions:
            return bars
        weighing = self._weighing(bars["session"].min())
        if self._basis is None:
            return as_traded(bars, self._actions, self._bases, weighing)
        through = self._basis.splits_through
        is_paid = self._basis.dividends_through is not None  # of the same day, then
        kind = Adjustment.TOTAL_RETURN if is_paid else Adjustment.SPLITS
        return adjust_bars(bars, self._actions, self._bases, through, kind, weighing=weighing)

    def _weighing(self, after: date) -> pd.DataFrame | None:
        """Return the stored bars that weigh the dividends later than `after`, and the batch's."""
        import pandas as pd

        stored = self._bars.weighing(self._actions, after)
        if stored is None:
            return None
        brought = self._batch[["symbol", "session", "close"]].astype({"symbol": object})
        return pd.concat([stored, brought.assign(source=self._source)], ignore_index=True)
