"""Data quality: suites of rules per table, run by Great Expectations; only `engine` imports it."""

from tasks.quality.bars import BAR_COLUMNS, MINUTE_COLUMNS, BarFacts
from tasks.quality.batches import validate_bars, validate_daily_bars
from tasks.quality.engine import warm_up
from tasks.quality.report import QualityCheck, QualityReport, RefusedRow
from tasks.quality.rules import Severity

__all__ = [
    "BAR_COLUMNS",
    "MINUTE_COLUMNS",
    "BarFacts",
    "QualityCheck",
    "QualityReport",
    "RefusedRow",
    "Severity",
    "validate_bars",
    "validate_daily_bars",
    "warm_up",
]
