"""What stored bars tell about new ones: the bars before them, and other sources' closes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.staging import fetch_frame, read_frame, stage

if TYPE_CHECKING:
    import pandas as pd

BARS_BEFORE = 60
DAYS_BEFORE = 7  # calendar days in which the minutes before a batch are looked for

_BEFORE = (
    "SELECT symbol, session, open, high, low, close, volume, source FROM bars_daily "
    "JOIN wanted USING (symbol) WHERE session < first "
    "QUALIFY ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY session DESC) <= $most "
    "ORDER BY symbol, session"
)
_OTHER = (
    "SELECT symbol, session, open, high, low, close, volume, source FROM bars_daily "
    "JOIN wanted USING (symbol) "
    "WHERE session >= first AND source <> $source"
)
_OTHER_MINUTES = (
    "SELECT symbol, ts, close FROM bars_minute WHERE ts BETWEEN $first AND $last "
    "AND symbol BETWEEN $from_symbol AND $to_symbol "
    "AND list_contains($symbols::VARCHAR[], symbol) AND source <> $source"
)

_BEFORE_MINUTES = (
    "SELECT symbol, ts, open, high, low, close, volume FROM bars_minute "
    "JOIN wanted USING (symbol) WHERE ts BETWEEN $earliest AND $latest "
    "AND symbol BETWEEN $from_symbol AND $to_symbol "
    "AND ts < first AND ts >= first - to_days($days) "
    "QUALIFY ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY ts DESC) <= $most "
    "ORDER BY symbol, ts"
)


class QualityContext:
    """Stored bars as a background for judging new ones."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def before(self, firsts: Mapping[str, date], most: int = BARS_BEFORE) -> pd.DataFrame:
        """Return the last `most` bars of each symbol before its date, and their source."""
        return self._ask(_BEFORE, firsts, {"most": most})

    def before_minutes(
        self, firsts: Mapping[str, datetime], most: int = BARS_BEFORE
    ) -> pd.DataFrame:
        """Return the last `most` minutes of each symbol before its moment (UTC), ts in UTC.

        Those more than DAYS_BEFORE days older are not looked for: the file is held while they are.
        """
        bounds = {
            "earliest": utc_naive(min(firsts.values()) - timedelta(DAYS_BEFORE)),
            "latest": utc_naive(max(firsts.values())),
            "days": DAYS_BEFORE,
        } | _ends(firsts)
        wanted = {"symbol": ("text", list(firsts)), "first": ("moment", list(firsts.values()))}
        with self._store.read() as connection:
            connection.register("wanted", stage(wanted))
            return fetch_frame(connection, _BEFORE_MINUTES, {"most": most} | bounds)

    def other_sources(self, firsts: Mapping[str, date], source: str) -> pd.DataFrame:
        """Return the bars, with their source, from each date on that `source` did not bring."""
        return self._ask(_OTHER, firsts, {"source": source})

    def other_minutes(
        self, symbols: Sequence[str], first: datetime, last: datetime, source: str
    ) -> pd.DataFrame:
        """Return symbol, ts (UTC) and close of minutes in [first, last] of other sources."""
        wanted = {"symbols": list(symbols), "source": source}
        moments = {"first": utc_naive(first), "last": utc_naive(last)} | _ends(symbols)
        return read_frame(self._store, _OTHER_MINUTES, wanted | moments)

    def _ask(
        self, query: str, firsts: Mapping[str, date], values: Mapping[str, object]
    ) -> pd.DataFrame:
        wanted = stage({"symbol": ("text", list(firsts)), "first": ("date", list(firsts.values()))})
        with self._store.read() as connection:
            connection.register("wanted", wanted)
            return fetch_frame(connection, query, dict(values))


def _ends(symbols: Collection[str]) -> dict[str, object]:
    """Return the first and the last symbol: with these, the parts of other symbols are not read."""
    return {"from_symbol": min(symbols), "to_symbol": max(symbols)}
