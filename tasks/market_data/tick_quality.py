"""Judge recorded ticks once a recording is closed: what is told of them, and where it is kept.

What a recorder heard stays as it was heard: a crossed quote is what the market said, and cutting it
out would leave a hole in the sequence. So the suites of trades and quotes tell, and move nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from models.domain.sessions import session_on
from tasks.quality.batches import validate_ticks

if TYPE_CHECKING:
    import pandas as pd

    from tasks.quality.report import QualityReport
    from warehouse.market import MarketWarehouse

JUDGED = ("trades", "quotes")


@dataclass(frozen=True, slots=True)
class TickQuality:
    """What the suites found in a recording: rows judged, and rows against each rule by name.

    `seconds` is what judging took.
    """

    rows: int
    found: dict[str, int]
    seconds: float

    @property
    def summary(self) -> str:
        """One line for people."""
        told = ", ".join(f"{name} {count:,}" for name, count in sorted(self.found.items()))
        return (
            f"{self.rows:,} trades and quotes judged in {self.seconds:.1f} s: "
            f"{told or 'nothing found'}"
        )


def judge_recorded(
    warehouse: MarketWarehouse,
    files: Iterable[Path],
    run_id: str,
    at: datetime,
    *,
    policy: Path | None = None,
    progress: Callable[[str], None] = lambda _text: None,
) -> TickQuality:
    """Run the suites of trades and quotes over the Parquet files of a recording, file by file.

    The outcome of every rule is kept by symbol under `run_id`; `at` is UTC. Raises RetryLater when
    the warehouse stays locked.
    """
    from warehouse.market.quality_results import QualityResult

    rows, seconds = 0, 0.0
    found: Counter[str] = Counter()
    checks: dict[tuple[str, str, str], tuple[int, int]] = {}
    for kind, symbol, day, frame in _frames(files):
        session = session_on(day)
        report = validate_ticks(kind, frame, [] if session is None else [session], policy)
        rows, seconds = rows + report.rows, seconds + report.seconds
        for label, count in _counts(report):
            former, of = checks.get((kind, symbol, label), (0, 0))
            checks[kind, symbol, label] = (former + count, of + report.rows)
            if count:
                found[f"{kind}.{label.split('(')[0]}"] += count
        progress(f"{kind} of {symbol}: {report.summary}")
    warehouse.quality.record(
        [
            QualityResult(run_id, kind, symbol, label, not bad, f"{bad} of {of} rows", at)
            for (kind, symbol, label), (bad, of) in checks.items()
        ]
    )
    return TickQuality(rows, dict(found), seconds)


def _counts(report: QualityReport) -> Iterator[tuple[str, int]]:
    for check in report.checks:
        yield check.label, 0 if check.success else max(1, len(check.rows))


def _frames(files: Iterable[Path]) -> Iterator[tuple[str, str, date, pd.DataFrame]]:
    """Give kind, symbol, New York date and rows of each file, in the order in which they came."""
    from importlib import import_module

    parquet = import_module("pyarrow.parquet")
    for file in sorted(files):
        kind = file.parent.parent.parent.name
        if kind not in JUDGED:
            continue
        symbol = unquote(file.parent.name.removeprefix("symbol="))
        day = date.fromisoformat(file.parent.parent.name.removeprefix("date="))
        frame: pd.DataFrame = parquet.ParquetFile(file).read().to_pandas()
        yield kind, symbol, day, frame.sort_values("seq").assign(symbol=symbol)
