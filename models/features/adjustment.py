"""Prices as one series: raw bars adjusted for the splits and dividends known to be in force.

Raw bars are never changed; an adjusted price is a view of them as of a date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.domain.corporate_actions import ActionKind, Adjustment, CorporateAction

PRICES = ("open", "high", "low", "close")
NO_BASIS = date.min


def adjust_bars(
    bars: pd.DataFrame,
    actions: Sequence[CorporateAction],
    bases: Mapping[tuple[str, str], date],
    as_of: date,
    adjustment: Adjustment,
) -> pd.DataFrame:
    """Return the Bars frame (symbol, session, prices USD, volume shares) in shares of `as_of`.

    An action counts when its ex-date is at most `as_of`. `bases` maps (symbol, source) to the date
    up to which that source had put splits into the prices itself; the frame's column `source` says
    whose each bar is, and a split after `as_of` is taken out of its prices again. A price before a
    split is divided by its ratio, a volume multiplied; a price
    before a dividend D is multiplied by 1 - D / close of the session before (CRSP, 2024, Data
    Definitions and Coding Schemes, cumulative factor to adjust prices). The last bar keeps its
    price when no action follows it. A dividend not below that close is left out.
    """
    if adjustment is Adjustment.RAW or bars.empty:
        return bars.copy()
    by_symbol: dict[str, list[CorporateAction]] = {}
    for action in sorted(actions, key=lambda action: action.ex_date):
        by_symbol.setdefault(action.symbol, []).append(action)
    adjusted = bars.copy()
    places = bars.groupby("symbol", sort=False).indices
    chosen = [(symbol, places[symbol]) for symbol in by_symbol if symbol in places]
    price, volume = np.ones(len(bars)), np.ones(len(bars))
    for symbol, rows in chosen:
        part = bars.iloc[rows]
        basis = [bases.get((symbol, str(source)), NO_BASIS) for source in part["source"]]
        factors = _factors(part, by_symbol[symbol], _days(basis), as_of, adjustment)
        price[rows], volume[rows] = factors
    if chosen:
        for name in PRICES:
            adjusted[name] = bars[name].to_numpy(np.float64) * price
        adjusted["volume"] = np.rint(bars["volume"].to_numpy(np.float64) * volume).astype(np.int64)
    return adjusted


def _factors(
    part: pd.DataFrame,
    actions: Sequence[CorporateAction],
    basis: NDArray[np.int64],
    as_of: date,
    adjustment: Adjustment,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what one symbol's prices and volumes are to be multiplied by, row by row."""
    sessions = _days(part["session"])
    price, volume, undone = (np.ones(len(part)) for _ in range(3))
    splits = [action for action in actions if action.kind is ActionKind.SPLIT]
    for split in splits:
        ex = split.ex_date.toordinal()
        before = sessions < ex
        in_price = before & (basis >= ex)
        undone[in_price] *= split.value
        is_in_force = split.ex_date <= as_of
        wrong = before & ~in_price if is_in_force else in_price
        ratio = split.value if is_in_force else 1.0 / split.value
        price[wrong] /= ratio
        volume[wrong] *= ratio
    if adjustment is Adjustment.TOTAL_RETURN:
        raw_close = part["close"].to_numpy(np.float64) * undone  # as it was traded that day
        for action in actions:
            if action.kind is ActionKind.DIVIDEND and action.ex_date <= as_of:
                price *= _dividend_factors(sessions, raw_close, action)
    return price, volume


def _dividend_factors(
    sessions: NDArray[np.int64], raw_close: NDArray[np.float64], action: CorporateAction
) -> NDArray[np.float64]:
    factors = np.ones(len(sessions))
    before = sessions < action.ex_date.toordinal()
    if before.any():
        last = int(np.flatnonzero(before)[np.argmax(sessions[before])])
        factor = 1.0 - action.value / raw_close[last]
        if factor > 0:
            factors[before] = factor
    return factors


def _days(dates: Sequence[date] | pd.Series) -> NDArray[np.int64]:
    return np.fromiter((day.toordinal() for day in dates), np.int64, len(dates))
