"""The verdict on a batch: checks, refused rows with reasons, and what stops it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from tasks.quality.rules import Severity

if TYPE_CHECKING:
    import pandas as pd

SHOWN_ROWS = 5


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One rule's outcome. `exception` is the engine's own failure, empty if it worked."""

    expectation: str
    column: str
    severity: Severity
    success: bool
    observed: str
    exception: str = ""
    rows: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """The rule with its subject, unique within a report."""
        return f"{self.expectation}({self.column})" if self.column else self.expectation

    @property
    def stops(self) -> bool:
        """Say whether the batch cannot be used: a failed stop rule, or an engine that failed."""
        return not self.success and (self.severity is Severity.STOP or bool(self.exception))


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that must not be merged, by its position, with the rules that it failed and why."""

    position: int
    expectation: str
    reason: str
    hard: bool


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The verdict on one batch of `rows` rows; `seconds` is what the validation took.

    `warned` are the positions of rows that are used in spite of a remark.
    """

    table: str
    checks: tuple[QualityCheck, ...]
    rows: int
    refused: tuple[RefusedRow, ...]
    warned: tuple[int, ...]
    seconds: float
    docs: str = ""

    @property
    def success(self) -> bool:
        """Say whether every check passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[QualityCheck, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.success)

    @property
    def stopped(self) -> tuple[QualityCheck, ...]:
        """The failed checks that refuse the whole batch."""
        return tuple(check for check in self.checks if check.stops)

    @property
    def summary(self) -> str:
        """One line for people."""
        passed = len(self.checks) - len(self.failed)
        text = f"{passed} of {len(self.checks)} quality checks passed"
        if self.success:
            text = f"{passed} quality checks passed"
        if self.refused:
            text += f", {_rows(len(self.refused))} quarantined"
        if self.warned:
            text += f", {_rows(len(self.warned))} with a warning"
        return f"{text} ({self.seconds:.2f} s)"

    def require(self, what: str, frame: pd.DataFrame) -> None:
        """Raise InvalidInput with the checks that stop the batch and its first refused rows."""
        stopped = self.stopped
        if not stopped:
            return
        lines = [f"{what}: {len(stopped)} of {len(self.checks)} checks stop the batch"]
        lines += [f"  {check.label}: {check.exception or check.observed}" for check in stopped]
        lines += [
            f"  row {' '.join(str(value) for value in frame.iloc[row.position].tolist())}: "
            f"{row.reason}"
            for row in self.refused[:SHOWN_ROWS]
        ]
        lines.append("nothing was merged; look at the source of these rows and ingest them again")
        raise InvalidInput("\n".join(lines))


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")
