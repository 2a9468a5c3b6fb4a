"""Great Expectations, its only door: run suites on data frames and write their Data Docs.

Its import takes seconds and its progress bars are for notebooks, so it is imported where it is
used, works on data frames in an ephemeral context, and judges a whole batch at once.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from tasks.quality.docs_folders import run_folder, tidy
from tasks.quality.docs_index import ShownBatch, write_index
from tasks.quality.report import SHOWN_ROWS, QualityCheck, QualityReport, RefusedRow
from tasks.quality.rules import Kind, Rule, Severity
from tasks.settings import quiet_dependencies

if TYPE_CHECKING:
    import pandas as pd

UNBOUNDED = 1e300  # with one bound alone, a Python function is called for every value
SITE = "robo"
PAGES = 8  # of one run in the Data Docs
DOCS_ROWS = 20  # refused values that the Data Docs show of one expectation
_LOCK = Lock()


def warm_up() -> None:
    """Import Great Expectations ahead of use; a caller that waits for data can do both at once."""
    quiet_dependencies()
    import great_expectations  # noqa: F401  # pyright: ignore[reportUnusedImport]

    logging.getLogger("great_expectations").setLevel(logging.ERROR)


class Judge:
    """One Great Expectations context for any number of batches.

    A context and its definitions cost more than the checks of a small batch. `docs` is the folder
    of the Data Docs, where this run gets one of its own; they show the first batch and the first
    PAGES - 1 with a failed check.
    """

    def __init__(self, docs: Path | None = None) -> None:
        self._docs = run_folder(docs) if docs is not None else None
        self._context: Any = None
        self._definitions: dict[tuple[str, tuple[Rule, ...]], Any] = {}
        self._shown: dict[Any, ShownBatch | None] = {}

    def judge(self, table: str, derived: pd.DataFrame, rules: Sequence[Rule]) -> QualityReport:
        """Run the rules on a frame that has their columns (positions 0 … n-1 as its index).

        Never raises on bad data: a rule whose engine failed counts as failed and stops the batch.
        """
        warm_up()
        started = time.perf_counter()
        wanted = {name for rule in rules for name in rule.column.split(",")}
        chosen = derived[[name for name in derived.columns if name in wanted]]
        with _LOCK:
            result = self._definition(table, tuple(rules)).run(
                batch_parameters={"dataframe": _comparable(chosen)},
                result_format={"result_format": "COMPLETE", "partial_unexpected_count": DOCS_ROWS},
            )
            shown = self._forget_others(success=bool(result.success))
        by_name = {_rule_of(found): found for found in result.results}
        outcomes = [(rule, by_name[rule.name]) for rule in rules]
        report = _report(table, outcomes, len(derived), time.perf_counter() - started)
        for key in shown:
            self._shown[key] = ShownBatch(tuple(rules), report, tuple(key.to_tuple()))
        return report

    def publish(self) -> str:
        """Write the Data Docs and return the address of their first page; empty without any."""
        if self._docs is None or not self._shown:
            return ""
        with _LOCK:
            self._enter()
            self._context.build_data_docs(site_names=[SITE])
            tidy(self._docs)
            return write_index(self._docs, [batch for batch in self._shown.values() if batch])

    def _enter(self) -> None:
        """Make this context the current one: the engine has one a process."""
        import great_expectations as gx
        from great_expectations.data_context.data_context.context_factory import project_manager

        if self._context is not None:
            project_manager.set_project(self._context)
            return
        context: Any = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        if self._docs is not None:
            context.add_data_docs_site(SITE, _site(self._docs))
        self._context = context

    def _definition(self, table: str, rules: tuple[Rule, ...]) -> Any:
        self._enter()
        found = self._definitions.get((table, rules))
        if found is not None:
            return found
        import great_expectations as gx

        number = len(self._definitions)
        again = any(table == known for known, _ in self._definitions)
        name = f"{table}-{number}" if again else table
        suite = gx.ExpectationSuite(name=name, expectations=[_expectation(rule) for rule in rules])
        batch = (
            self._context.data_sources.add_pandas(f"frames-{number}")
            .add_dataframe_asset(table)
            .add_batch_definition_whole_dataframe("batch")
        )
        definition = self._context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=self._context.suites.add(suite))
        )
        self._definitions[table, rules] = definition
        return definition

    def _forget_others(self, *, success: bool) -> list[Any]:
        """Drop the stored result of the last run unless the Data Docs show it: it may be large.

        Returns the keys of what they show now and did not before.
        """
        fresh: list[Any] = []
        store = self._context.validation_results_store
        for key in store.list_keys():
            if key in self._shown:
                continue
            wanted = self._docs is not None and not (success and self._shown)
            if wanted and len(self._shown) < PAGES:
                self._shown[key] = None
                fresh.append(key)
            else:
                store.remove_key(key)
        return fresh


def judge(
    table: str, derived: pd.DataFrame, rules: Sequence[Rule], docs: Path | None = None
) -> QualityReport:
    """Judge one batch as `Judge.judge` does; with `docs`, the Data Docs show it."""
    alone = judge_for(docs)
    report = alone.judge(table, derived, rules)
    if docs is None:
        return report
    started = time.perf_counter()
    page = alone.publish()
    seconds = report.seconds + time.perf_counter() - started
    return replace(report, docs=page, seconds=seconds)


def judge_for(docs: Path | None) -> Judge:
    """Return a new Judge for Data Docs, or the one of this process when there are to be none."""
    return _shared() if docs is None else Judge(docs)


@cache
def _shared() -> Judge:
    return Judge()


def _comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Widen small integers: of other types than int64 and float64 the engine calls a function
    for every value.
    """
    small = [name for name in frame.columns if str(frame[name].dtype) in {"int8", "int16", "int32"}]
    return frame.astype(dict.fromkeys(small, "int64"))


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
    table: str, outcomes: Sequence[tuple[Rule, Any]], rows: int, seconds: float
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
    return QualityReport(table, tuple(checks), rows, bad, kept, seconds)


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
