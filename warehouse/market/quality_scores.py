"""How good each symbol's day is, by table: 100 is a whole day without a remark.

score = 100 x (accepted - warned / 2) / greatest(expected, received), in rows. `expected` are the
bars of the exchange's session, `received` what came for it, `accepted` what was let into the table,
`warned` the accepted rows with a remark. A session between a symbol's first and last row of which
nothing came has the score 0.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.staging import arrow, fetch_frame

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("symbol", "session", "expected", "received", "accepted", "warned")
_SUMMED = """
SELECT symbol, session, expected, received, accepted, warned,
    100.0 * greatest(accepted - warned / 2, 0) / greatest(expected, received, 1) AS score
FROM (
    SELECT symbol, session, greatest(staged.expected, coalesce(part.expected, 0)) AS expected,
        staged.received + coalesce(part.received, 0) AS received,
        staged.accepted + coalesce(part.accepted, 0) AS accepted,
        staged.warned + coalesce(part.warned, 0) AS warned
    FROM staged LEFT JOIN (
        SELECT * FROM quality_scores WHERE table_name = $table AND run_id = $run
    ) AS part USING (symbol, session)
)
"""
_MERGE = f"""
MERGE INTO quality_scores AS kept USING ({_SUMMED}) AS summed
ON kept.table_name = $table AND kept.symbol = summed.symbol AND kept.session = summed.session
WHEN MATCHED THEN UPDATE SET score = summed.score, expected = summed.expected,
    received = summed.received, accepted = summed.accepted, warned = summed.warned,
    run_id = $run, scored_at = $at
WHEN NOT MATCHED THEN INSERT VALUES ($table, summed.symbol, summed.session, summed.score,
    summed.expected, summed.received, summed.accepted, summed.warned, $run, $at)
"""
_OF = (
    "SELECT symbol, session, score, expected, received, accepted, warned, run_id, scored_at "
    "FROM quality_scores WHERE table_name = $table "
    "AND ($symbol IS NULL OR symbol = $symbol) AND ($first::DATE IS NULL OR session >= $first) "
    "AND ($last::DATE IS NULL OR session <= $last) ORDER BY symbol, session"
)
_BY_SYMBOL = (
    "SELECT symbol, AVG(score) AS score, COUNT(*) FILTER (score = 0) AS empty_days, "
    "SUM(greatest(received - accepted, 0))::BIGINT AS refused, SUM(warned)::BIGINT AS warned "
    "FROM quality_scores WHERE table_name = $table GROUP BY symbol ORDER BY symbol"
)


class QualityScores:
    """The quality scores of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def record(self, table: str, counts: pd.DataFrame, run_id: str, at: datetime) -> None:
        """Keep the counts (COLUMNS, one row a symbol and session).

        They add to those of the same run, which brings a day in parts, and replace another run's.
        """
        if counts.empty:
            return
        pa = arrow()
        kinds = [("symbol", pa.string()), ("session", pa.date32())]
        kinds += [(name, pa.int64()) for name in COLUMNS[2:]]
        staged = pa.Table.from_pandas(
            counts.loc[:, list(COLUMNS)], schema=pa.schema(kinds), preserve_index=False
        )
        with self._store.write() as connection:
            connection.register("staged", staged)
            connection.execute(_MERGE, {"table": table, "run": run_id, "at": utc_naive(at)})

    def of(
        self,
        table: str,
        symbol: str | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pd.DataFrame:
        """Return the scores (0 to 100) with their counts, by symbol and session."""
        wanted = {"table": table, "symbol": symbol, "first": first, "last": last}
        with self._store.read() as connection:
            return fetch_frame(connection, _OF, wanted)

    def by_symbol(self, table: str) -> pd.DataFrame:
        """Return one row a symbol: mean score, days without rows, refused and warned rows."""
        with self._store.read() as connection:
            return fetch_frame(connection, _BY_SYMBOL, {"table": table})
