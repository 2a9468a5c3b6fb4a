"""Great Expectations, its only door: run a suite on a data frame and write its Data Docs.

Its import takes seconds and its progress bars are for notebooks, so it is imported where it is
used, works on data frames in an ephemeral context, and judges a whole batch at once.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.quality.report import SHOWN_ROWS, QualityCheck, QualityReport, RefusedRow
from tasks.quality.rules import Kind, Rule, Severity
from tasks.settings import quiet_dependencies

if TYPE_CHECKING:
    import pandas as pd

UNBOUNDED = 1e300  # with one bound alone, a Python function is called for every value
SITE = "robo"
DOCS_ROWS = 20  # refused values that the Data Docs show of one expectation


def warm_up() -> None:
    """Import Great Expectations ahead of use; a caller that waits for data can do both at once."""
    quiet_dependencies()
    import great_expectations  # noqa: F401  # pyright: ignore[reportUnusedImport]

    logging.getLogger("great_expectations").setLevel(logging.ERROR)


def judge(
    table: str, derived: pd.DataFrame, rules: Sequence[Rule], docs: Path | None = None
) -> QualityReport:
    """Run the rules on a frame that has their columns (positions 0 … n-1 as its index).

    `docs` is the folder of the Data Docs, which then show this validation too. Never raises on bad
    data: a rule whose engine failed counts as failed and stops the batch.
    """
    started = time.perf_counter()
    warm_up()
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # pyright: ignore[reportAttributeAccessIssue]
    if docs is not None:
        context.add_data_docs_site(SITE, _site(docs))
    suite = gx.ExpectationSuite(name=table, expectations=[_expectation(rule) for rule in rules])
    definition = (
        context.data_sources.add_pandas("frames")
        .add_dataframe_asset(table)
        .add_batch_definition_whole_dataframe("batch")
    )
    validation = context.validation_definitions.add(
        gx.ValidationDefinition(name=table, data=definition, suite=context.suites.add(suite))
    )
    result = validation.run(
        batch_parameters={"dataframe": derived},
        result_format={"result_format": "COMPLETE", "partial_unexpected_count": DOCS_ROWS},
    )
    page = ""
    if docs is not None:
        page = str(context.build_data_docs(site_names=[SITE]).get(SITE, ""))
    by_name = {_rule_of(found): found for found in result.results}
    outcomes = [(rule, by_name[rule.name]) for rule in rules]
    return _report(table, outcomes, len(derived), time.perf_counter() - started, page)


def _rule_of(outcome: Any) -> str:
    return str(outcome.expectation_config.meta["rule"])


def _site(folder: Path) -> Any:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder),
        },
    }


def _expectation(rule: Rule) -> Any:
    import great_expectations as gx

    gxe: Any = gx.expectations
    meta = {"rule": rule.name, "severity": str(rule.severity), "meaning": rule.says}
    if rule.kind is Kind.FILLED:
        return gxe.ExpectColumnValuesToNotBeNull(column=rule.column, meta=meta)
    if rule.kind is Kind.COLUMNS:
        return gxe.ExpectTableColumnsToMatchSet(
            column_set=rule.column.split(","), exact_match=False, meta=meta
        )
    if rule.kind is Kind.ROWS:
        return gxe.ExpectTableRowCountToBeBetween(min_value=int(rule.low or 0), meta=meta)
    return gxe.ExpectColumnValuesToBeBetween(
        column=rule.column,
        min_value=-UNBOUNDED if rule.low is None else rule.low,
        max_value=UNBOUNDED if rule.high is None else rule.high,
        strict_min=rule.strict_low,
        meta=meta,
    )


def _report(
    table: str, outcomes: Sequence[tuple[Rule, Any]], rows: int, seconds: float, page: str
) -> QualityReport:
    checks: list[QualityCheck] = []
    refused: dict[int, list[Rule]] = {}
    warned: set[int] = set()
    for rule, outcome in outcomes:
        check = _check(rule, outcome)
        checks.append(check)
        if rule.severity is Severity.WARN:
            warned.update(check.rows)
        else:
            for position in check.rows:
                refused.setdefault(position, []).append(rule)
    bad = tuple(_refused(position, refused[position]) for position in sorted(refused))
    kept = tuple(sorted(warned - refused.keys()))
    return QualityReport(table, tuple(checks), rows, bad, kept, seconds, page)


def _refused(position: int, rules: Sequence[Rule]) -> RefusedRow:
    return RefusedRow(
        position,
        ", ".join(rule.name for rule in rules),
        "; ".join(rule.says for rule in rules),
        any(rule.hard for rule in rules),
    )


def _check(rule: Rule, outcome: Any) -> QualityCheck:
    exception = _engine_failure(outcome.exception_info)
    success = bool(outcome.success) and not exception
    detail: Mapping[str, Any] = outcome.result or {}
    places = () if success else tuple(int(at) for at in detail.get("unexpected_index_list") or ())
    column = "" if rule.kind in (Kind.COLUMNS, Kind.ROWS) else rule.column
    return QualityCheck(
        rule.name, column, rule.severity, success, _observed(detail, rule.unit), exception, places
    )


def _engine_failure(info: Mapping[str, Any] | None) -> str:
    """Return the engine's exception text; GE nests it by metric, or not at all."""
    if not info:
        return ""
    if "raised_exception" in info:
        failed = bool(info["raised_exception"])
        return str(info.get("exception_message") or "engine failed") if failed else ""
    nested = [_engine_failure(item) for item in info.values() if isinstance(item, Mapping)]
    return "; ".join(dict.fromkeys(text for text in nested if text))


def _observed(detail: Mapping[str, Any], unit: str) -> str:
    """Describe what was seen: counts of refused values and a few of them, or the observed value."""
    if "unexpected_count" in detail:
        text = f"{detail['unexpected_count']} of {detail.get('element_count', '?')} rows"
        shown = [
            _plain(value) for value in (detail.get("partial_unexpected_list") or ())[:SHOWN_ROWS]
        ]
        return f"{text}: {', '.join(shown)} {unit}".strip() if shown else text
    value = detail.get("observed_value")
    return _plain(value) if value is not None else ""


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_plain(part) for part in value) + ")"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return str(value)
