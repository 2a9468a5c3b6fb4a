"""Five-second bars, as the broker streams them in a session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from warehouse.market.as_of import MergeResult, VersionedTable
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.selection import OF_SYMBOLS, known_then
from warehouse.market.staging import fetch_frame, read_frame, stage

if TYPE_CHECKING:
    import pandas as pd

PRICES = ("open", "high", "low", "close")
SECONDS = VersionedTable("bars_5s", ("symbol", "ts"), (*PRICES, "volume"))


class SecondBars:
    """The five-second bars of the warehouse; a bar's `ts` is its start (UTC)."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def merge(self, frame: pd.DataFrame, source: str, known_at: datetime) -> MergeResult:
        """Merge symbol, ts (UTC), open … close (USD) and volume (shares); twice is as good as once.

        Raises InvalidInput for a bar given twice.
        """
        if frame.duplicated(["symbol", "ts"]).any():
            raise InvalidInput("a five-second bar is given twice; keep one of them")
        staged = stage(
            {
                "symbol": ("text", list(frame["symbol"])),
                "ts": ("moment", [stamp.to_pydatetime() for stamp in frame["ts"]]),
                **{name: ("float", list(frame[name])) for name in PRICES},
                "volume": ("shares", list(frame["volume"])),
            }
        )
        with self._store.write() as connection:
            return SECONDS.merge(connection, staged, source, utc_naive(known_at))

    def bars(
        self,
        symbols: Sequence[str] | None,
        first: datetime,
        last: datetime,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return bars that start in [first, last) (UTC) by ts, then symbol."""
        query = (
            "SELECT symbol, ts, open, high, low, close, volume "  # noqa: S608 - names are ours
            f"FROM ({SECONDS.known(as_of)}) "
            f"WHERE {OF_SYMBOLS} "
            "AND ts >= $first AND ts < $last ORDER BY ts, symbol"
        )
        wanted: dict[str, object] = {
            "symbols": None if symbols is None else list(symbols),
            "first": utc_naive(first),
            "last": utc_naive(last),
        }
        with self._store.read() as connection:
            return fetch_frame(connection, query, wanted | known_then(as_of))

    def coverage(self) -> pd.DataFrame:
        """Return one row a symbol: first and last ts (UTC), count of bars."""
        query = (
            'SELECT symbol, MIN(ts) AS "first", MAX(ts) AS "last", COUNT(*) AS "count" '
            "FROM bars_5s GROUP BY symbol ORDER BY symbol"
        )
        return read_frame(self._store, query)
