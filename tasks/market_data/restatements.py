"""When the broker's history of a symbol was restated: a split is kept as one, raw bars stay.

Interactive Brokers gives trades adjusted for splits. So after a split the bars that are stored and
the same bars asked for again differ by its ratio. That ratio is recorded as a corporate action, the
stored bars are left as they were traded, and views of them are adjusted from then on.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.sessions import EXCHANGE_TZ, next_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    import pandas as pd

    from warehouse.market import MarketWarehouse

RESTATED = 0.02  # relative change of overlapping closes that tells a split from a correction
SIMPLEST = 20  # the largest count of old shares in a split
PRICES = ("open", "high", "low", "close")
PLACES = 8  # decimals of a USD
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


def splits_in_prices(
    warehouse: MarketWarehouse, symbols: Iterable[str], source: str, last: date
) -> dict[str, list[CorporateAction]]:
    """Return the recorded splits that `source` puts into all bars it gives after session `last`.

    By symbol; those that its first history had in it already (`price_bases`) are left out, for the
    stored bars have them too.
    """
    bases = warehouse.actions.bases()
    found: dict[str, list[CorporateAction]] = {}
    for action in warehouse.actions.of(list(symbols)):
        basis = bases.get((action.symbol, source))
        is_new = basis is not None and basis < action.ex_date <= last
        if action.kind is ActionKind.SPLIT and is_new:
            found.setdefault(action.symbol, []).append(action)
    return found


def stored_before(
    warehouse: MarketWarehouse,
    firsts: Mapping[str, date],
    last: date,
    splits: Iterable[CorporateAction],
) -> pd.DataFrame:
    """Return the stored bars before each symbol's date, in the shares that the broker gives now.

    That is adjusted for recorded splits up to `last` and for `splits`, which are not recorded yet.
    """
    before = warehouse.context.before(firsts)
    if before.empty:
        return before
    begin, end = before["session"].min(), before["session"].max()
    adjusted = warehouse.bars.adjusted(list(firsts), begin, end, on=last)
    bars = before[["symbol", "session"]].merge(adjusted, on=["symbol", "session"])
    ratios = {action.symbol: action.value for action in splits}
    factors = bars["symbol"].map(ratios).fillna(1.0).astype(float)
    return bars.assign(**{name: bars[name] / factors for name in PRICES})


def in_shares_of_then(
    fresh: pd.DataFrame, stored: pd.DataFrame, splits: Mapping[str, list[CorporateAction]]
) -> pd.DataFrame:
    """Return fresh bars with `splits` taken out of those from before them, as bars are stored.

    What is stored of those (`stored` has symbol and session, or ts) is left out: it was given in
    shares of then, which is exact.
    """
    if not splits or fresh.empty:
        return fresh
    import numpy as np
    import pandas as pd

    is_daily = "session" in fresh
    days = fresh["session"] if is_daily else fresh["ts"].dt.tz_convert(EXCHANGE_TZ).dt.date
    factors = np.ones(len(fresh))
    for action in (action for found in splits.values() for action in found):
        before = (fresh["symbol"] == action.symbol) & (days < action.ex_date)
        factors[before.to_numpy()] *= action.value
    moved = factors != 1.0
    keys = ["symbol", "session" if is_daily else "ts"]
    known = pd.MultiIndex.from_frame(fresh[keys]).isin(pd.MultiIndex.from_frame(stored[keys]))
    back = {name: fresh[name].astype(float) for name in PRICES}
    back = {n: price.where(~moved, (price * factors).round(PLACES)) for n, price in back.items()}
    volume = (fresh["volume"].astype(float) / factors).round().astype("int64")
    return fresh.assign(**back, volume=volume)[~(moved & known)].reset_index(drop=True)
