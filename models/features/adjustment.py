"""Prices as one series: raw bars adjusted for the splits and dividends known to be in force.

Raw bars are never changed; an adjusted price is a view of them as of a date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.domain.corporate_actions import (
    ActionKind,
    Adjustment,
    CorporateAction,
    PriceBasis,
)

PRICES = ("open", "high", "low", "close")
WEIGHED = ("symbol", "session", "close", "source")
NO_BASIS = PriceBasis(date.min)
Bases = Mapping[tuple[str, str], PriceBasis]
_Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
FactorsOf = Callable[[pd.DataFrame, Sequence[CorporateAction]], _Pair]


def adjust_bars(
    bars: pd.DataFrame,
    actions: Sequence[CorporateAction],
    bases: Bases,
    as_of: date,
    adjustment: Adjustment,
    *,
    weighing: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the Bars frame (symbol, session, prices USD, volume shares) in shares of `as_of`.

    An action counts when its ex-date is at most `as_of`. `bases` maps (symbol, source) to what that
    source had put into the prices itself; the frame's column `source` says whose each bar is, and
    a split after `as_of`, and every dividend, is taken out of its prices again. A price before a
    split is divided by its ratio, a volume multiplied; a price
    before a dividend D is multiplied by 1 - D / close of the session before (CRSP, 2024, Data
    Definitions and Coding Schemes, cumulative factor to adjust prices). The last bar keeps its
    price when no action follows it. A dividend not below that close is left out. `weighing` has the
    bars before the ex-dates (symbol, session, close, source) that `bars` may lack: with these, what
    a bar is adjusted by does not depend on which bars are given.
    """
    if adjustment is Adjustment.RAW or bars.empty:
        return bars.copy()
    return _scaled(
        bars,
        weighing,
        actions,
        lambda part, told: _factors(part, told, bases, as_of, adjustment),
    )


def as_traded(
    bars: pd.DataFrame,
    actions: Sequence[CorporateAction],
    bases: Bases,
    weighing: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the Bars frame (with `source`) in shares of each bar's own day, without adjustments.

    What `bases` says that a source has put into its prices is taken out, as far as it is among the
    actions. `weighing` is that of `adjust_bars`.
    """
    return bars.copy() if bars.empty else _scaled(bars, weighing, actions, _Undone.factors(bases))


def _scaled(
    bars: pd.DataFrame,
    weighing: pd.DataFrame | None,
    actions: Sequence[CorporateAction],
    factors_of: FactorsOf,
) -> pd.DataFrame:
    """Multiply prices and volumes of each symbol that has actions by its factors."""
    by_symbol: dict[str, list[CorporateAction]] = {}
    for action in sorted(actions, key=lambda action: action.ex_date):
        by_symbol.setdefault(action.symbol, []).append(action)
    adjusted = bars.copy()
    places = bars.groupby("symbol", sort=False, observed=True).indices
    chosen = [(symbol, places[symbol]) for symbol in by_symbol if symbol in places]
    beside = {} if weighing is None else dict(iter(weighing.groupby("symbol", observed=True)))
    price, volume = np.ones(len(bars)), np.ones(len(bars))
    for symbol, rows in chosen:
        part = bars.iloc[rows]
        if symbol in beside:
            part = pd.concat([part[list(WEIGHED)], beside[symbol][list(WEIGHED)]])
        factors = factors_of(part, by_symbol[symbol])
        price[rows], volume[rows] = (factor[: len(rows)] for factor in factors)
    if chosen:
        for name in PRICES:
            adjusted[name] = bars[name].to_numpy(np.float64) * price
        adjusted["volume"] = np.rint(bars["volume"].to_numpy(np.float64) * volume).astype(np.int64)
    return adjusted


@dataclass(frozen=True, slots=True)
class _Undone:
    """What takes a source's own adjustments out of one symbol's prices, row by row.

    A raw price is the given one times `splits` over `dividends`; a split is in the prices of the
    rows with `splits_through` (ordinal days) at or after its ex-date.
    """

    splits: NDArray[np.float64]
    dividends: NDArray[np.float64]
    splits_through: NDArray[np.int64]

    @classmethod
    def of(cls, part: pd.DataFrame, actions: Sequence[CorporateAction], bases: Bases) -> _Undone:
        """Work out the factors of a symbol's bars.

        A dividend D was put in as the factor f = 1 - D / P with the raw close P of the session
        before. Where that session's close has D in it, too, it is P - D, freed of all later
        actions; so f = (P - D) / P. Of another source it is P.
        """
        keys = zip(part["symbol"], part["source"], strict=True)
        found = [bases.get((str(symbol), str(source)), NO_BASIS) for symbol, source in keys]
        splits_through = _days([basis.splits_through for basis in found])
        paid_through = _days([basis.dividends_through or date.min for basis in found])
        sessions, close = _days(part["session"]), part["close"].to_numpy(np.float64)
        splits, dividends = np.ones(len(part)), np.ones(len(part))
        for action in actions:
            ex = action.ex_date.toordinal()
            if action.kind is ActionKind.SPLIT:
                splits[(sessions < ex) & (splits_through >= ex)] *= action.value
        for action in reversed(actions):
            ex = action.ex_date.toordinal()
            held = (sessions < ex) & (paid_through >= ex)
            if action.kind is ActionKind.DIVIDEND and held.any():
                last = _last_before(sessions, ex)
                freed = close[last] * splits[last] / dividends[last]
                left = freed if held[last] else freed - action.value
                if left > 0:
                    dividends[held] *= left / (left + action.value)
        return cls(splits, dividends, splits_through)

    @staticmethod
    def factors(bases: Bases) -> FactorsOf:
        """Return what gives the factors of prices and volumes that lead back to the raw ones."""

        def raw(part: pd.DataFrame, actions: Sequence[CorporateAction]) -> _Pair:
            undone = _Undone.of(part, actions, bases)
            return undone.splits / undone.dividends, 1.0 / undone.splits

        return raw


def _factors(
    part: pd.DataFrame,
    actions: Sequence[CorporateAction],
    bases: Bases,
    as_of: date,
    adjustment: Adjustment,
) -> _Pair:
    """Return what one symbol's prices and volumes are to be multiplied by, row by row."""
    sessions = _days(part["session"])
    undone = _Undone.of(part, actions, bases)
    price, volume = 1.0 / undone.dividends, np.ones(len(part))
    for split in (action for action in actions if action.kind is ActionKind.SPLIT):
        ex = split.ex_date.toordinal()
        before = sessions < ex
        in_price = before & (undone.splits_through >= ex)
        is_in_force = split.ex_date <= as_of
        wrong = before & ~in_price if is_in_force else in_price
        ratio = split.value if is_in_force else 1.0 / split.value
        price[wrong] /= ratio
        volume[wrong] *= ratio
    if adjustment is Adjustment.TOTAL_RETURN:
        raw_close = part["close"].to_numpy(np.float64) * undone.splits / undone.dividends
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
        factor = 1.0 - action.value / raw_close[_last_before(sessions, action.ex_date.toordinal())]
        if factor > 0:
            factors[before] = factor
    return factors


def _last_before(sessions: NDArray[np.int64], ex: int) -> int:
    """Return the place of the last session before an ex-date; there is one."""
    before = np.flatnonzero(sessions < ex)
    return int(before[np.argmax(sessions[before])])


def _days(dates: Sequence[date] | pd.Series) -> NDArray[np.int64]:
    return np.fromiter((day.toordinal() for day in dates), np.int64, len(dates))
