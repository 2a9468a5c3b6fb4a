"""Rows of daily and of five-second bars before they are merged: checked one by one, with a reason.

One-minute rows are sifted by the warehouse (`warehouse.market.minute_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.domain.sessions import in_calendar, session_dates
from tasks.sources.protocol import PRICES
from warehouse.market.minute_rows import BEYOND, LARGEST_PRICE, MOST_SHARES

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd


@dataclass(frozen=True, slots=True)
class SiftedRows:
    """What of a frame can be merged, and the rows that cannot, with a reason for each."""

    rows: pd.DataFrame
    rejected: pd.DataFrame
    reasons: tuple[str, ...]


def sift_rows(frame: pd.DataFrame, key: str) -> SiftedRows:
    """Separate the bars of a frame keyed by symbol and `key` (session or ts).

    Of rows that share a symbol and a key none is taken, unless they are alike in all they say.
    """
    import numpy as np
    import pandas as pd

    values = frame.loc[:, [*PRICES, "volume"]].apply(pd.to_numeric, errors="coerce")
    prices = values.loc[:, list(PRICES)]
    volume = values["volume"]
    why = np.full(len(frame), "", dtype=object)

    def refuse(rows: object, reason: str) -> None:
        chosen = np.asarray(rows, dtype=bool) & (why == "")
        why[chosen] = reason

    refuse(
        frame["symbol"].isna() | frame[key].isna() | values.isna().any(axis=1), "a value is missing"
    )
    matrix = prices.to_numpy(dtype=float)
    sane = (np.isfinite(matrix) & (matrix > 0)).all(axis=1)
    refuse(~sane, "a price is not finite and above zero")
    refuse((matrix > LARGEST_PRICE).any(axis=1), "a price is not below 1e7 USD")
    enclosed = (values["high"] >= prices.max(axis=1)) & (values["low"] <= prices.min(axis=1))
    refuse(~enclosed, "the high or the low does not enclose the other prices")
    refuse(
        (volume < 0) | (volume % 1 != 0) | (volume >= MOST_SHARES),
        "the volume is below zero or not whole",
    )
    if key == "session":
        days = frame[key].dropna().unique()
        unknown = [day for day in days if not in_calendar(day)]
        refuse(frame[key].isin(unknown), BEYOND)
        closed = _closed_days(set(days) - set(unknown))
        refuse(frame[key].isin(closed), "New York has no session on its date")
    usable = frame.assign(**{str(name): values[name] for name in values})[why == ""]
    usable = usable.drop_duplicates(["symbol", key, *PRICES, "volume"])
    twice = usable.duplicated(["symbol", key], keep=False)
    contradicting = frame.index.isin(usable.index[twice])
    again = pd.MultiIndex.from_frame(frame[["symbol", key]]).isin(
        pd.MultiIndex.from_frame(usable.loc[twice, ["symbol", key]])
    )
    refuse(contradicting | again, f"another row has the same symbol and {key}")
    good = usable[~twice].sort_values([key, "symbol"], ignore_index=True)
    bad = why != ""
    return SiftedRows(
        good.astype(dict.fromkeys(PRICES, "float64") | {"volume": "int64"}),
        frame[bad],
        tuple(str(reason) for reason in why[bad]),
    )


def _closed_days(days: set[date]) -> set[date]:
    """Return which of the dates, all of them in the calendar, are no sessions."""
    return days - set(session_dates(min(days), max(days))) if days else set()
