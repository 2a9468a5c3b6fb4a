"""Validate batches of market data; the only room that knows Great Expectations.

Its import takes seconds and its progress bars are for notebooks, so it is imported where it is
used, works on data frames in an ephemeral context, and judges a whole batch at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from tasks.settings import quiet_dependencies

if TYPE_CHECKING:
    import pandas as pd

BAR_COLUMNS = ("symbol", "session", "open", "high", "low", "close", "volume")
PRICE_COLUMNS = ("open", "high", "low", "close")
LARGEST_PRICE = 10_000_000.0  # USD; also what an infinite price fails on
LARGEST_LOG_RETURN = 1.5  # one session; a split that was not adjusted for, or another company
CONTIGUOUS_SHARE = 0.99  # of rows follow their last session at once: a stock may be halted ...
LONGEST_GAP = 5  # sessions; ... but a feed may not drop weeks
SHOWN_ROWS = 5


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One expectation's outcome. `exception` is the engine's own failure, empty if it worked."""

    expectation: str
    column: str
    success: bool
    observed: str
    exception: str = ""

    @property
    def label(self) -> str:
        """The expectation with its subject, unique within a report."""
        return f"{self.expectation}({self.column})"


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The verdict on one batch: all checks, its row count and the positions of refused rows."""

    success: bool
    checks: tuple[QualityCheck, ...]
    rows: int
    rejected_rows: tuple[int, ...]

    @property
    def failed(self) -> tuple[QualityCheck, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.success)

    def require(self, what: str, frame: pd.DataFrame) -> None:
        """Raise InvalidInput that lists failed checks and the first refused rows of `frame`."""
        if self.success:
            return
        lines = [f"{what}: {len(self.failed)} of {len(self.checks)} checks failed"]
        lines += [f"  {check.label}: {check.exception or check.observed}" for check in self.failed]
        lines += [
            "  row " + " ".join(str(value) for value in frame.iloc[position].tolist())
            for position in self.rejected_rows[:SHOWN_ROWS]
        ]
        lines.append("nothing was merged; look at the source of these bars and run robo ingest")
        raise InvalidInput("\n".join(lines))


def warm_up() -> None:
    """Import Great Expectations ahead of use; a caller that waits for bars can do both at once."""
    quiet_dependencies()
    import great_expectations  # noqa: F401  # pyright: ignore[reportUnusedImport]


def validate_daily_bars(frame: pd.DataFrame, sessions_expected: Sequence[date]) -> QualityReport:
    """Judge a Bars frame of any number of symbols against the exchange calendar.

    `sessions_expected` holds every session date that the batch may contain, oldest first. Prices
    are USD, volumes shares. Never raises on bad data: a failed engine counts as a failed check.
    """
    warm_up()
    import great_expectations as gx

    rows = frame.reset_index(drop=True)
    if tuple(rows.columns) == BAR_COLUMNS:
        table = _with_derived_columns(rows, sessions_expected)
        expectations = _bar_expectations()
    else:  # the other checks need these columns
        table, expectations = rows, [_columns_expectation(BAR_COLUMNS)]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # pyright: ignore[reportAttributeAccessIssue]
    batch = (
        context.data_sources.add_pandas("bars")
        .add_dataframe_asset("daily")
        .add_batch_definition_whole_dataframe("all")
        .get_batch(batch_parameters={"dataframe": table})
    )
    suite = context.suites.add(gx.ExpectationSuite(name="daily_bars", expectations=expectations))
    result = batch.validate(suite, result_format="COMPLETE")
    return _report(result.results, len(rows))


def _with_derived_columns(rows: pd.DataFrame, sessions: Sequence[date]) -> pd.DataFrame:
    """Add what no single column shows: place in the calendar, order, gaps and one-day returns."""
    import numpy as np
    import pandas as pd

    table = rows.copy()
    place = {session: number for number, session in enumerate(sessions)}
    number = pd.Series([place.get(session, -1) for session in table["session"]], table.index)
    step = number.groupby(table["symbol"], sort=False).diff().fillna(1)
    close = pd.to_numeric(table["close"], errors="coerce").astype(float)
    usable = close.where((close > 0) & np.isfinite(close))
    before = usable.groupby(table["symbol"], sort=False).shift()
    table["is_session"] = number >= 0
    table["sessions_ahead"] = step.astype(int)
    table["is_next_session"] = step <= 1
    table["sessions_skipped"] = (step - 1).clip(lower=0).astype(int)
    table["log_return"] = pd.Series(np.log(usable / before), table.index).fillna(0.0)
    return table


def _columns_expectation(columns: Sequence[str]) -> Any:
    import great_expectations as gx

    gxe: Any = gx.expectations
    return gxe.ExpectTableColumnsToMatchOrderedList(column_list=list(columns))


def _bar_expectations() -> list[Any]:
    import great_expectations as gx

    gxe: Any = gx.expectations
    between = gxe.ExpectColumnValuesToBeBetween
    derived = (
        "is_session",
        "sessions_ahead",
        "is_next_session",
        "sessions_skipped",
        "log_return",
    )
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        _columns_expectation((*BAR_COLUMNS, *derived)),
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in BAR_COLUMNS),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["symbol", "session"]),
        *(
            between(column=name, min_value=0, strict_min=True, max_value=LARGEST_PRICE)
            for name in PRICE_COLUMNS
        ),
        between(column="volume", min_value=0),
        *(
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=upper, column_B=lower, or_equal=True
            )
            for upper, lower in (
                ("high", "open"),
                ("high", "close"),
                ("open", "low"),
                ("close", "low"),
            )
        ),
        gxe.ExpectColumnValuesToBeInSet(column="is_session", value_set=[True]),
        between(column="sessions_ahead", min_value=1),
        gxe.ExpectColumnValuesToBeInSet(
            column="is_next_session", value_set=[True], mostly=CONTIGUOUS_SHARE
        ),
        between(column="sessions_skipped", max_value=LONGEST_GAP),
        between(column="log_return", min_value=-LARGEST_LOG_RETURN, max_value=LARGEST_LOG_RETURN),
    ]


def _report(results: Sequence[Any], rows: int) -> QualityReport:
    checks: list[QualityCheck] = []
    rejected: set[int] = set()
    for outcome in results:
        exception = _engine_failure(outcome.exception_info)
        success = bool(outcome.success) and not exception
        detail: Mapping[str, Any] = outcome.result or {}
        if not success:
            rejected.update(int(place) for place in detail.get("unexpected_index_list") or ())
        config = outcome.expectation_config
        checks.append(
            QualityCheck(
                config.type, _subject(config.kwargs), success, _observed(detail), exception
            )
        )
    passed = bool(checks) and all(check.success for check in checks)
    return QualityReport(passed, tuple(checks), rows, tuple(sorted(rejected)))


def _engine_failure(info: Mapping[str, Any] | None) -> str:
    """Return the engine's exception text; GE nests it by metric, or not at all."""
    if not info:
        return ""
    if "raised_exception" in info:
        return (
            str(info.get("exception_message") or "engine failed")
            if info["raised_exception"]
            else ""
        )
    nested = [_engine_failure(item) for item in info.values() if isinstance(item, Mapping)]
    return "; ".join(dict.fromkeys(text for text in nested if text))


def _subject(kwargs: Mapping[str, Any]) -> str:
    if "column" in kwargs:
        return str(kwargs["column"])
    if "column_A" in kwargs:
        return f"{kwargs['column_A']} >= {kwargs['column_B']}"
    return ", ".join(kwargs.get("column_list") or ()) or "table"


def _observed(detail: Mapping[str, Any]) -> str:
    """Describe what was seen: counts of refused values and a few of them, or the observed value."""
    if "unexpected_count" in detail:
        text = f"{detail['unexpected_count']} of {detail.get('element_count', '?')} rows refused"
        shown = [
            _plain(value) for value in (detail.get("partial_unexpected_list") or ())[:SHOWN_ROWS]
        ]
        return f"{text}: {', '.join(shown)}" if shown else text
    value = detail.get("observed_value")
    return _plain(value) if value is not None else ""


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_plain(part) for part in value) + ")"
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name}={_plain(part)}" for name, part in value.items()) + ")"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return str(value)
