"""The first page of a run's Data Docs, whole without a network: every check and its outcome.

Great Expectations' own index fills its tables by scripts, and its pages show outcomes by icons,
that come from the network. Its index stays beside this one, under another name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tasks.quality.report import QualityReport
from tasks.quality.rules import Rule

INDEX, ENGINES_INDEX = "index.html", "great-expectations.html"
_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em;max-width:70em;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:.5em 0 2em}"
    "th,td{text-align:left;padding:.25em .8em;border-bottom:1px solid #ddd;vertical-align:top}"
    ".failed{color:#a00;font-weight:600}.passed{color:#060}"
)


@dataclass(frozen=True, slots=True)
class ShownBatch:
    """A batch that the Data Docs show: its rules, its report, and the parts of its page's path."""

    rules: tuple[Rule, ...]
    report: QualityReport
    place: tuple[str, ...]

    @property
    def page(self) -> str:
        """The batch's page, relative to the folder of the run."""
        return "/".join(("validations", *self.place)) + ".html"


def write_index(folder: Path, batches: Sequence[ShownBatch]) -> str:
    """Write the first page into a run's folder and return its address."""
    index = folder / INDEX
    if index.is_file():
        index.replace(folder / ENGINES_INDEX)
    parts = [_batch(number, batch) for number, batch in enumerate(batches, start=1)]
    index.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Data Docs</title>"
        f"<style>{_STYLE}</style><h1>Data Docs</h1>"
        "<p>The checks of this run: its first batch, and the first ones with a failed check. "
        f"<a href={ENGINES_INDEX}>Great Expectations' index</a> needs a network.</p>"
        f"{''.join(parts)}</html>",
        encoding="utf-8",
    )
    return index.resolve().as_uri()


def _batch(number: int, batch: ShownBatch) -> str:
    report = batch.report
    told = escape(f"{number}. {report.table}, {report.rows:,} rows: {report.summary}")
    said = {rule.name: rule.says for rule in batch.rules}
    checks = sorted(report.checks, key=lambda check: check.success)
    rows = "".join(
        f"<tr>{_outcome(check.success)}"
        + "".join(
            f"<td>{escape(text)}</td>"
            for text in (
                check.label,
                str(check.severity),
                said.get(check.expectation, ""),
                check.exception or check.observed,
            )
        )
        for check in checks
    )
    head = "".join(
        f"<th>{name}</th>" for name in ("outcome", "rule", "severity", "against it", "seen")
    )
    return (
        f"<h2>{told}</h2><p><a href='{escape(batch.page, quote=True)}'>page of the batch</a></p>"
        f"<table><tr>{head}</tr>{rows}</table>"
    )


def _outcome(success: bool) -> str:
    word = "passed" if success else "failed"
    return f"<td class={word}>{word}</td>"
