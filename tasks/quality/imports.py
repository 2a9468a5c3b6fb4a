"""The gate of imports: batches that were sifted, judged one after the other, told as one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.sessions import exchange_date, sessions_between
from tasks.quality.bars import BarFacts, derive_bars
from tasks.quality.basis import BasisOf
from tasks.quality.engine import judge_for
from tasks.quality.gate import (
    Admission,
    Batch,
    keep_out,
    minute_facts,
    settle,
    split_frame,
    waiting_rows,
)
from tasks.quality.policy import suites
from tasks.quality.report import QualityReport
from tasks.quality.rules import Rule, Severity
from warehouse.market.minute_rows import BEYOND

if TYPE_CHECKING:
    import pandas as pd

    from models.domain.corporate_actions import PriceBasis
    from warehouse.market import MarketWarehouse
    from warehouse.market.quarantine import WaitingRow

# What the sift of every import has refused row by row already, with reasons of its own.
SIFTED = frozenset(
    {
        *(f"filled_{name}" for name in ("symbol", "session", "ts", "volume")),
        *(f"filled_{name}" for name in ("open", "high", "low", "close")),
        *(f"positive_{name}" for name in ("open", "high", "low", "close")),
        *("volume", "high", "low", "copy", "unique", "time_order", "aligned", "refused_share"),
    }
)

# By the beginning of a sift's reason, the rules that it stands for.
RULES_OF = {
    "a value is missing": ("filled_",),
    "a price is not": ("positive_",),
    "the high or the low": ("high", "low"),
    "the volume": ("volume",),
    "the start is not": ("aligned",),
    "New York has no session": ("session",),
    BEYOND: ("session",),
    "another row": ("unique",),
}


@dataclass(frozen=True, slots=True)
class QualityFiles:
    """Where the operator's rules (quality.toml) are, and where the Data Docs go; None: neither."""

    policy: Path | None = None
    docs: Path | None = None


NO_FILES = QualityFiles()


@dataclass(slots=True)
class RunQuality:
    """What the gate found in a run, in rows: `refused` by reason, `remarks` by rule that warns."""

    rows: int = 0
    checks: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    remarks: Counter[str] = field(default_factory=Counter[str])
    warned: int = 0
    settled: int = 0
    seconds: float = 0.0
    docs: str = ""

    @property
    def summary(self) -> str:
        """One line for people."""
        text = f"{self.rows} rows passed through {self.checks} checks in {self.seconds:.1f} s"
        if self.warned:
            told = ", ".join(f"{name} {count}" for name, count in self.remarks.most_common())
            text += f", {self.warned} with a warning ({told})"
        return text + (f", {self.settled} out of quarantine" if self.settled else "")


class ImportGate:
    """Great Expectations between the sift and the merge, with one context for the whole run.

    Five-second bars do not pass here: their sift is enough, as nothing is decided on them.
    """

    def __init__(
        self,
        warehouse: MarketWarehouse,
        source: str,
        run_id: str,
        files: QualityFiles = NO_FILES,
    ) -> None:
        self._warehouse = warehouse
        self._source = source
        self._run_id = run_id
        self._judge = judge_for(files.docs)
        self._rules = suites(files.policy)
        self._waiting: dict[str, dict[str, WaitingRow]] = {}
        self._checks: dict[tuple[str, Rule], tuple[int, int]] = {}
        self._held: pd.DataFrame | None = None
        self.found = RunQuality()

    def take_held(self) -> pd.DataFrame | None:
        """Return the minutes that were held back, once."""
        held, self._held = self._held, None
        return held

    def with_held(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the minutes that were held back and those of `frame`, which tells them anew."""
        import pandas as pd

        held = self.take_held()
        if held is None:
            return frame
        told = [
            bool(((frame["symbol"] == symbol) & (frame["ts"] == ts)).any())
            for symbol, ts in zip(held["symbol"], held["ts"], strict=True)
        ]
        return pd.concat([held[~np.array(told)], frame[list(held.columns)]], ignore_index=True)

    def require_sifted(self, table: str, reasons: Iterable[str]) -> None:
        """Raise InvalidInput when the operator's rules stop a batch for what the sift rejected."""
        stopping = [rule.name for rule in self._rules[table] if rule.severity is Severity.STOP]
        for reason, count in Counter(reasons).items():
            begins = next((b for told, b in RULES_OF.items() if reason.startswith(told)), ())
            stops = [name for name in stopping if any(name.startswith(begin) for begin in begins)]
            if stops:
                raise InvalidInput(
                    f"{count} rows of {table} stop the batch because {reason}: quality.toml makes "
                    f"{', '.join(stops)} stop; nothing of it was merged, correct its source"
                )

    def admit(
        self,
        table: str,
        frame: pd.DataFrame,
        at: datetime,
        *,
        adjusted: bool,
        hold: bool = False,
        basis: PriceBasis | None = None,
    ) -> Admission:
        """Judge sifted bars of bars_daily or bars_minute, learnt at `at` (UTC).

        `adjusted` says that the source makes up for splits itself, `basis` up to when: the stored
        bars beside these are read in the same shares. With `hold`, a symbol's newest
        bar that may be a spike is kept out until the next batch: `with_held` gives it back. Raises
        InvalidInput when a rule stops the batch (nothing of it is merged), RetryLater when the
        warehouse stays locked.
        """
        batch = Batch(self._source, self._run_id, at)
        daily = table == "bars_daily"
        if daily:
            facts = _daily_facts(self._warehouse, frame, batch, adjusted=adjusted, basis=basis)
        else:
            facts = minute_facts(self._warehouse, frame, batch, adjusted=adjusted)
        rules = tuple(rule for rule in self._rules[table] if rule.name not in SIFTED)
        derived = derive_bars(table, frame, facts)
        judged = np.ones(len(frame), dtype=np.bool_)
        if hold and derived["undecided"].any():
            judged = derived["undecided"].to_numpy() == 0
            self._held = frame[~judged].astype({"symbol": object})
            frame, derived = (rows[judged].reset_index(drop=True) for rows in (frame, derived))
        held = tuple(int(place) for place in np.flatnonzero(~judged))
        if held and frame.empty:
            nothing = QualityReport(table, (), 0, (), (), 0.0)
            return Admission(frame, nothing, 0, 0, left_out=held, held=len(held))
        report = self._judge.judge(table, derived, rules)
        self._note(report, rules)
        report.require(f"the batch for {table}", frame)
        if table not in self._waiting:
            self._waiting[table] = waiting_rows(self._warehouse, table)
        admitted = keep_out(
            self._warehouse, frame, report, facts, batch, waiting=self._waiting[table]
        )
        self.found.refused.update(row.reason for row in admitted.report.refused)
        self.found.warned += len(admitted.report.warned)
        refused = np.flatnonzero(judged)[[row.position for row in admitted.report.refused]]
        return replace(
            admitted, left_out=(*(int(place) for place in refused), *held), held=len(held)
        )

    def settle(self, admitted: Admission, at: datetime) -> None:
        """Mark what passed of earlier quarantines, now that it is merged."""
        self.found.settled += settle(
            self._warehouse, admitted, Batch(self._source, self._run_id, at)
        )

    def finish(self, at: datetime) -> RunQuality:
        """Keep the outcome of every check and write the Data Docs; return what was found."""
        from warehouse.market.quality_results import QualityResult

        self._warehouse.quality.record(
            [
                QualityResult(
                    run_id=self._run_id,
                    table=table,
                    symbol=None,
                    expectation=f"{rule.name}({rule.column})",
                    passed=not bad,
                    observed=f"{bad} of {rows} rows",
                    at=at,
                )
                for (table, rule), (bad, rows) in self._checks.items()
            ]
        )
        self.found.docs = self._judge.publish()
        return self.found

    def _note(self, report: QualityReport, rules: tuple[Rule, ...]) -> None:
        self.found.rows += report.rows
        self.found.seconds += report.seconds
        for rule, check in zip(rules, report.checks, strict=True):
            bad, rows = self._checks.get((report.table, rule), (0, 0))
            seen = len(check.rows) or int(not check.success)
            self._checks[report.table, rule] = (bad + seen, rows + report.rows)
            if seen and rule.severity is Severity.WARN:
                self.found.remarks[rule.name] += seen
        self.found.checks = len(self._checks)


def _daily_facts(
    warehouse: MarketWarehouse,
    frame: pd.DataFrame,
    batch: Batch,
    *,
    adjusted: bool,
    basis: PriceBasis | None,
) -> BarFacts:
    grouped = frame.groupby("symbol", observed=True)["session"]
    firsts = {str(symbol): first for symbol, first in grouped.min().items()}
    in_shares = BasisOf(warehouse, frame, batch.source, basis)
    before = in_shares.of(warehouse.context.before(firsts))
    earliest = min([*firsts.values(), *before["session"].tolist()])
    last = min(frame["session"].max(), exchange_date(batch.at))
    known = sessions_between(earliest, last) if earliest <= last else ()
    return BarFacts(
        tuple(session for session in known if session.close <= batch.at),
        before=before,
        splits=split_frame(warehouse, firsts),
        other=in_shares.of(warehouse.context.other_sources(firsts, batch.source)),
        adjusted=adjusted,
    )
