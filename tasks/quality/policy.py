"""Every table's suite as the operator has it: the defaults with the changes of quality.toml."""

from __future__ import annotations

from pathlib import Path

from tasks.quality.bars import LENGTHS, bar_rules
from tasks.quality.quotes import quote_rules, trade_rules
from tasks.quality.reference import dividend_rules, instrument_rules, split_rules
from tasks.quality.rules import Rule, apply_changes, read_changes


def default_suites() -> dict[str, tuple[Rule, ...]]:
    """Return every suite by table name, as it is without an operator's changes."""
    bars = {table: bar_rules(table) for table in ("bars_daily", *LENGTHS)}
    return bars | {
        "instruments": instrument_rules(),
        "splits": split_rules(),
        "dividends": dividend_rules(),
        "trades": trade_rules(),
        "quotes": quote_rules(),
    }


def suites(path: Path | None = None) -> dict[str, tuple[Rule, ...]]:
    """Return every suite with the changes of the file at `path` (ROBO_QUALITY_FILE).

    Raises InvalidInput for a file that names what there is not, or weakens a hard rule.
    """
    if path is None:
        return default_suites()
    return apply_changes(default_suites(), read_changes(path), str(path))
