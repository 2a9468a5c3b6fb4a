"""Release from quarantine by a person: the rows go into their table, and stay known as released."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from tasks.quality.bars import BAR_COLUMNS, MINUTE_COLUMNS
from tasks.quality.policy import default_suites

if TYPE_CHECKING:
    import pandas as pd

    from warehouse.market import MarketWarehouse
    from warehouse.market.quarantine import QuarantinedRow

SHORTEST_REASON = 3


def release_rows(
    warehouse: MarketWarehouse, ids: Sequence[str], by: str, reason: str, at: datetime
) -> int:
    """Merge quarantined bars into their tables on a person's word; return how many.

    The merge comes before the mark: a release that is interrupted is repeated. Raises InvalidInput
    for an unknown id, a missing reason, a row of another table, one that was released before,
    one that a better source tells otherwise, and one that breaks a hard rule: no reader could use
    it.
    """
    if len(reason.strip()) < SHORTEST_REASON:
        raise InvalidInput("give --reason: why these rows are right; it is kept with them")
    rows = warehouse.quarantine.find(ids)
    _require_releasable(rows)
    for table in sorted({row.table for row in rows}):
        own = [row for row in rows if row.table == table]
        for source in sorted({row.source for row in own}):
            frame = _frame(table, [row for row in own if row.source == source])
            _merge(warehouse, table, frame, source or "quarantine", at)
    warehouse.quarantine.mark_released([row.id for row in rows], by, reason, at)
    return len(rows)


def _require_releasable(rows: Sequence[QuarantinedRow]) -> None:
    soft = {
        table: {rule.name for rule in rules if not rule.hard}
        for table, rules in default_suites().items()
    }
    for row in rows:
        if row.released_at is not None:
            raise InvalidInput(
                f"row {row.id} was released by {row.released_by} on {row.released_at:%Y-%m-%d}; "
                "leave it out"
            )
        if row.table not in ("bars_daily", "bars_minute"):
            raise InvalidInput(
                f"row {row.id} is of {row.table}: only bars are released from here; correct the "
                "source and import it again"
            )
        if not set(row.expectation.split(", ")) <= soft[row.table]:
            raise InvalidInput(
                f"row {row.id} ({row.symbol}) cannot be released: {row.reason}. No reader could "
                "use it; correct its source and ingest it again"
            )


def _frame(table: str, rows: Sequence[QuarantinedRow]) -> pd.DataFrame:
    import pandas as pd

    names = BAR_COLUMNS if table == "bars_daily" else MINUTE_COLUMNS
    frame = pd.DataFrame([{name: row.content.get(name) for name in names} for row in rows])
    if table == "bars_daily":
        frame["session"] = [_day(value) for value in frame["session"]]
    else:
        frame["ts"] = pd.to_datetime(frame["ts"], utc=True)
    frame["volume"] = frame["volume"].astype("int64")
    return frame


def _day(value: Any) -> date:
    return date.fromisoformat(str(value)[:10])


def _merge(
    warehouse: MarketWarehouse, table: str, frame: pd.DataFrame, source: str, at: datetime
) -> None:
    merge = warehouse.bars.merge_daily if table == "bars_daily" else warehouse.minutes.merge
    if kept := merge(frame, source, at).kept:
        raise InvalidInput(
            f"{kept} of these bars are in {table} with other values of a better source than "
            f"{source}, which stay; release the others, by their ids"
        )
