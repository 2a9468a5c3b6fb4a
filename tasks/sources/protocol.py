"""What every source of bars gives: batches of bars, each with what it could not use and why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from models.domain.corporate_actions import PriceBasis
    from models.domain.errors import InvalidInput
    from warehouse.market.as_of import MergeResult

Timeframe = Literal["1d", "1m", "5s"]
TABLES: Mapping[str, str] = {"1d": "bars_daily", "1m": "bars_minute", "5s": "bars_5s"}
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class BarBatch:
    """Some bars of one timeframe, to be checked and merged as one.

    `frame` has symbol, session (1d) or ts (start of the bar, UTC), open … close (USD) and volume
    (shares), in any order. `rejected` are rows that are none, with `reasons` row by row; `left_out`
    counts what is rightly not imported, by why. `landed` is called once the bars are merged,
    `refused` when a rule stops the batch: without it, that ends the run.
    `adjusted` says that the source makes up for splits itself, `basis` what it says to have put
    into the prices of daily bars.
    """

    timeframe: Timeframe
    frame: pd.DataFrame
    label: str
    rejected: pd.DataFrame | None = None
    reasons: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    landed: Callable[[MergeResult], None] | None = None
    refused: Callable[[InvalidInput], None] | None = None
    adjusted: bool = False
    basis: PriceBasis | None = None


class BarSource(Protocol):
    """A source of bars; `name` is kept with each bar."""

    @property
    def name(self) -> str:
        """What the bars' column `source` says."""
        ...

    def batches(self) -> AsyncIterator[BarBatch]:
        """Give the bars in batches of bounded size."""
        ...
