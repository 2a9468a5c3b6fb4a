"""Fill the warehouse with the broker's history of many symbols, and go on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.domain.instruments import FOREVER
from models.domain.sessions import previous_session
from tasks.market_data.ingest import last_completed_session
from tasks.quality.imports import NO_FILES, QualityFiles
from tasks.sources.ibkr_history import Connect, IbkrHistorySource
from tasks.sources.landing import LandingReport, land
from tasks.sources.windows import bar_size, plan_windows

if TYPE_CHECKING:
    from warehouse.market import MarketWarehouse


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did: new windows planned, those left open, and why symbols failed."""

    landing: LandingReport
    planned: int
    left_open: int
    requests: int
    failed: dict[str, str]

    @property
    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.landing.summary}; {self.planned} windows planned, {self.requests} requests, "
            f"{self.left_open} windows still open"
        )


def sessions_back(last: date, count: int) -> date:
    """Return the session that lies `count` - 1 sessions before `last`."""
    day = last
    for _ in range(count - 1):
        day = previous_session(day).date
    return day


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """Which history is wanted: sessions [first, last] (None: the last session that closed).

    `refetch` asks again for what is done; `patience` is how many wall seconds the gateway may be
    away.
    """

    symbols: Sequence[str]
    timeframe: str
    first: date
    last: date | None = None
    refetch: bool = False
    patience: float = 600.0


async def backfill(
    connect: Connect,
    warehouse: MarketWarehouse,
    wanted: BackfillRequest,
    now: Callable[[], datetime],
    progress: Callable[[str], None],
    *,
    run_id: str,
    quality: QualityFiles = NO_FILES,
) -> BackfillReport:
    """Fetch what is missing of what is wanted, and the windows that earlier runs left open.

    Raises InvalidInput when the broker refused a symbol or a rule of quality a window (the others
    were fetched) or the dates are the wrong way round, RetryLater when the gateway stays away.
    """
    size, symbols = bar_size(wanted.timeframe), wanted.symbols
    newest = last_completed_session(now())
    end = min(wanted.last or newest, newest)
    if wanted.first > end:
        raise InvalidInput(
            f"the first session {wanted.first} is after {end}, the last one wanted that has closed"
        )
    windows = warehouse.history_windows
    if wanted.refetch:
        windows.reopen(size.name, symbols, wanted.first, end)
    plan = plan_windows(
        symbols, size, wanted.first, end, lambda symbol: windows.covered(symbol, size.name)
    )
    planned = windows.plan(plan, now()) if plan else 0
    source = IbkrHistorySource(
        connect,
        warehouse,
        size,
        symbols,
        now,
        progress=progress,
        tickers=present_tickers(warehouse),
        patience=wanted.patience,
    )
    landing = await land(
        source, warehouse, now(), progress, run_id=run_id, now=now, quality=quality
    )
    left = len(windows.open(size.name, symbols))
    report = BackfillReport(landing, planned, left, source.requests, source.failed)
    if source.failed:
        told = "; ".join(f"{symbol}: {why}" for symbol, why in source.failed.items())
        raise InvalidInput(
            f"{len(source.failed)} symbols or windows failed ({told}); the others of "
            f"{len(symbols)} symbols were fetched: {report.summary}. Correct the symbols, see "
            "robo data quarantine list, and run it again"
        )
    return report


def present_tickers(warehouse: MarketWarehouse) -> dict[str, str]:
    """Return what each instrument is called now, where that is not its id."""
    return {
        span.instrument: span.symbol
        for span in warehouse.instruments.spans()
        if span.valid_to == FOREVER and span.symbol != span.instrument
    }
