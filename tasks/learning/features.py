"""From stored bars to what a model trains on and scores, with a hash of exactly that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

    from warehouse.market import MarketWarehouse

# Calendar days that surely hold the warm-up of one feature row, with room for missing bars.
SCORING_DAYS = 600


@dataclass(frozen=True, slots=True)
class Dataset:
    """Features by (session, symbol), closes as sessions × symbols in USD, and their SHA-256."""

    features: pd.DataFrame
    closes: pd.DataFrame
    content_hash: str

    @property
    def sessions(self) -> tuple[date, ...]:
        """The sessions that have feature rows, oldest first."""
        return tuple(sorted(set(self.features.index.get_level_values("session"))))


def load_dataset(
    warehouse: MarketWarehouse, universe: Sequence[str], *, as_of: datetime | None = None
) -> Dataset:
    """Compute the features of all stored history of `universe`, as known at `as_of` (None: now).

    Raises InvalidInput when there are no bars, or a symbol of the universe has none.
    """
    return _dataset(_bars(warehouse, universe, as_of=as_of))


def load_recent(
    warehouse: MarketWarehouse,
    universe: Sequence[str],
    last: date,
    on: date | None = None,
    *,
    as_of: datetime | None = None,
) -> Dataset:
    """Compute features from the bars that a row at session `last` needs; later bars are left out.

    Closes are in shares of the date `on` (None: `last`), so that the split of a morning is in them.
    `as_of` (UTC; None: now) takes bars and splits as they were known then.
    Raises InvalidInput as `load_dataset` does.
    """
    first = last - timedelta(days=SCORING_DAYS)
    return _dataset(_bars(warehouse, universe, first, last, on, as_of=as_of))


def _bars(
    warehouse: MarketWarehouse,
    universe: Sequence[str],
    first: date | None = None,
    last: date | None = None,
    on: date | None = None,
    *,
    as_of: datetime | None = None,
) -> pd.DataFrame:
    """Return bars adjusted for splits: a split is no return, and no signal."""
    day = on or last or date.max
    bars = warehouse.bars.adjusted(list(universe), first, last, on=day, as_of=as_of)
    missing = sorted(set(universe) - set(bars["symbol"].unique()))
    if missing:
        since = f" since {first}" if first else ""
        raise InvalidInput(
            f"no bars for {', '.join(missing)}{since}; run robo ingest, or correct ROBO_UNIVERSE"
        )
    return bars


def _dataset(bars: pd.DataFrame) -> Dataset:
    from models.features.closes import close_matrix
    from models.features.daily import daily_features

    features, closes = daily_features(bars), close_matrix(bars)
    return Dataset(features, closes, _content_hash(features, closes))


def _content_hash(features: pd.DataFrame, closes: pd.DataFrame) -> str:
    """Hash names, places and values to the bit: changed feature code is another data set."""
    import numpy as np

    digest = hashlib.sha256()
    for frame in (features, closes):
        digest.update("\n".join(str(name) for name in frame.columns).encode())
        digest.update("\n".join(str(place) for place in frame.index).encode())
        digest.update(np.ascontiguousarray(frame.to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()
