"""The gate before instruments, splits and dividends: what breaks a rule is quarantined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput
from models.domain.sessions import session_dates
from tasks.quality.batches import validate_actions, validate_instruments
from tasks.quality.gate import Batch, record_results
from tasks.quality.reference import DIVIDEND_COLUMNS, INSTRUMENT_COLUMNS, SPLIT_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from models.domain.instruments import Instrument
    from tasks.quality.report import QualityReport
    from warehouse.market import MarketWarehouse

KINDS = {
    ActionKind.SPLIT: ("splits", SPLIT_COLUMNS),
    ActionKind.DIVIDEND: ("dividends", DIVIDEND_COLUMNS),
}


def admit_actions(
    warehouse: MarketWarehouse,
    actions: Sequence[CorporateAction],
    batch: Batch,
    policy: Path | None = None,
) -> tuple[CorporateAction, ...]:
    """Return the splits and dividends that pass their suites; the others go to quarantine.

    Raises InvalidInput when a rule stops the batch: nothing may be merged then.
    """
    import pandas as pd

    good: list[CorporateAction] = []
    for kind, (table, names) in KINDS.items():
        own = [action for action in actions if action.kind is kind]
        if not own:
            continue
        rows = [(action.symbol, action.ex_date, action.value) for action in own]
        frame = pd.DataFrame(rows, columns=list(names))
        sessions = _sessions_among(action.ex_date for action in own)
        bad = _keep_out(warehouse, frame, validate_actions(table, frame, sessions, policy), batch)
        good += [action for place, action in enumerate(own) if place not in bad]
    return tuple(good)


def admit_instruments(
    warehouse: MarketWarehouse,
    instruments: Sequence[Instrument],
    batch: Batch,
    policy: Path | None = None,
) -> tuple[Instrument, ...]:
    """Return the instruments that pass their suite; the others go to quarantine.

    Raises InvalidInput when a rule stops the batch: nothing may be merged then.
    """
    import pandas as pd

    if not instruments:
        return ()
    rows = [[getattr(item, name) for name in INSTRUMENT_COLUMNS] for item in instruments]
    frame = pd.DataFrame(rows, columns=list(INSTRUMENT_COLUMNS)).astype({"con_id": object})
    bad = _keep_out(warehouse, frame, validate_instruments(frame, policy), batch)
    return tuple(item for place, item in enumerate(instruments) if place not in bad)


def _keep_out(
    warehouse: MarketWarehouse, frame: pd.DataFrame, report: QualityReport, batch: Batch
) -> set[int]:
    """Record the checks, quarantine the refused rows, and return their places."""
    record_results(warehouse, report, batch)
    report.require(f"the batch for {report.table}", frame)
    refused = [row.position for row in report.refused]
    warehouse.quarantine.add(
        report.table,
        frame.iloc[refused],
        [row.reason for row in report.refused],
        batch.run_id,
        batch.at,
        expectations=[row.expectation for row in report.refused],
        source=batch.source,
    )
    return set(refused)


def _sessions_among(days: Iterable[date]) -> tuple[date, ...]:
    """Return which dates are sessions; one outside the published calendar is taken for one."""
    wanted = set(days)
    try:
        return tuple(wanted & set(session_dates(min(wanted), max(wanted))))
    except InvalidInput:
        return tuple(day for day in wanted if _may_be_session(day))


def _may_be_session(day: date) -> bool:
    try:
        return bool(session_dates(day, day))
    except InvalidInput:
        return True
