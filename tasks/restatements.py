"""When the broker's history of a symbol was restated: a split is kept as one, raw bars stay.

Interactive Brokers gives trades adjusted for splits. So after a split the bars that are stored and
the same bars asked for again differ by its ratio. That ratio is recorded as a corporate action, the
stored bars are left as they were traded, and views of them are adjusted from then on.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.sessions import next_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import pandas as pd

    from warehouse.market import MarketWarehouse

RESTATED = 0.02  # relative change of overlapping closes that tells a split from a correction
SIMPLEST = 20  # the largest count of old shares in a split
EXACT = 0.002  # how near the restatement must come to the simple ratio


def restatement(frame: pd.DataFrame, known: pd.Series | None) -> float | None:
    """Return known over fresh closes of the overlap, when more changed than a correction would.

    `known` are the stored closes (USD) by (symbol, session), adjusted for the splits recorded.
    """
    if known is None or frame.empty:
        return None
    fresh = frame.set_index(["symbol", "session"])["close"].astype(float)
    ratio = (known / fresh).reindex(fresh.index).dropna()
    if not len(ratio) or abs(float(ratio.median()) - 1.0) <= RESTATED:
        return None
    return float(ratio.median())


def split_of(symbol: str, ratio: float, last_stored: date) -> CorporateAction | None:
    """Return the split that a restatement by `ratio` stands for, or None when it is no split.

    It counts from the session after the last stored one: all that is stored came before it.
    """
    simple = Fraction(ratio).limit_denominator(SIMPLEST)
    if ratio < 1.0:
        inverse = Fraction(1.0 / ratio).limit_denominator(SIMPLEST)
        simple = 1 / inverse
    if abs(float(simple) / ratio - 1.0) > EXACT:
        return None
    return CorporateAction(symbol, next_session(last_stored).date, ActionKind.SPLIT, float(simple))


def in_present_shares(before: pd.DataFrame, splits: Mapping[str, CorporateAction]) -> pd.DataFrame:
    """Return bars stored before the splits with closes in the shares that the broker gives now."""
    if not splits or before.empty:
        return before
    factors = before["symbol"].map({s: 1.0 / action.value for s, action in splits.items()})
    return before.assign(close=before["close"] * factors.fillna(1.0).astype(float))


def without_restated(rows: pd.DataFrame, warehouse: MarketWarehouse, source: str) -> pd.DataFrame:
    """Leave out fresh bars from before a recorded split: those stored are in shares of then."""
    bases = warehouse.actions.bases()
    symbols = [str(symbol) for symbol in rows["symbol"].unique()]
    since: dict[str, date] = {}
    for action in warehouse.actions.of(symbols):
        basis = bases.get((action.symbol, source))
        if action.kind is ActionKind.SPLIT and basis is not None and action.ex_date > basis:
            since[action.symbol] = action.ex_date
    if not since:
        return rows
    early = [
        symbol in since and session < since[symbol]
        for symbol, session in zip(rows["symbol"], rows["session"], strict=True)
    ]
    return rows[[not flag for flag in early]].reset_index(drop=True)
