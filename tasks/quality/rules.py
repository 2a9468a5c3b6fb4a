"""What is checked of each table: rules with a severity each, changed in one file, quality.toml.

A rule is one Great Expectations expectation on a column of the table or on one derived from it. Its
severity says what a failure does: `warn` is told and counted, `quarantine` keeps the failing rows
out, `stop` refuses the whole batch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from models.domain.errors import InvalidInput


class Severity(StrEnum):
    """What a failed rule does, mildest first."""

    WARN = "warn"
    QUARANTINE = "quarantine"
    STOP = "stop"


class Kind(StrEnum):
    """Which expectation a rule is."""

    BETWEEN = "between"  # each value in [low, high]; empty values pass
    FILLED = "filled"  # no empty value
    COLUMNS = "columns"  # the table has exactly these columns, in this order
    ROWS = "rows"  # the table has at least `low` rows


@dataclass(frozen=True, slots=True)
class Rule:
    """One check; `says` tells the reason of a refused row, `unit` that of its value.

    A hard rule can be made stricter but not milder, and its rows cannot be released: no reader of
    the table could use them.
    """

    name: str
    kind: Kind
    column: str
    severity: Severity
    says: str
    low: float | None = None
    high: float | None = None
    strict_low: bool = False
    unit: str = ""
    hard: bool = False

    @property
    def bounds(self) -> str:
        """The allowed values as text, or nothing for a rule without bounds."""
        low = "" if self.low is None else f"{'>' if self.strict_low else '>='} {self.low:g}"
        high = "" if self.high is None else f"<= {self.high:g}"
        return f"{' and '.join(filter(None, (low, high)))} {self.unit}".strip()


def filled(column: str) -> Rule:
    """Return the hard rule that `column` has a value in every row."""
    return Rule(
        f"filled_{column}",
        Kind.FILLED,
        column,
        Severity.QUARANTINE,
        f"{column} is empty",
        hard=True,
    )


def columns(names: Sequence[str]) -> Rule:
    """Return the hard rule that the table has exactly the columns `names`, in this order."""
    return Rule("columns", Kind.COLUMNS, ",".join(names), Severity.STOP,
                f"the columns are not {', '.join(names)}", hard=True)  # fmt: skip


def some_rows() -> Rule:
    """Return the hard rule that there is at least one row."""
    return Rule("rows", Kind.ROWS, "", Severity.STOP, "there is no row", low=1, hard=True)


def flag(name: str, column: str, severity: Severity, says: str, *, hard: bool = False) -> Rule:
    """Return the rule that the 0/1 column `column` is 0 everywhere."""
    return Rule(name, Kind.BETWEEN, column, severity, says, low=0, high=0, hard=hard)


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid")

    severity: Severity | None = None
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)


class _Changes(RootModel[dict[str, dict[str, _Change]]]):
    pass


def read_changes(path: Path) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    """Return the operator's changes by table and rule; none when there is no file.

    Raises InvalidInput for a file that cannot be read or holds another kind of entry.
    """
    if not path.exists():
        return {}
    try:
        found = _Changes.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidInput(
            f"{path} cannot be used ({error}); write for example\n[bars_daily.jump]\n"
            'severity = "warn"\nhigh = 20'
        ) from error
    return {
        table: {name: change.model_dump(exclude_none=True) for name, change in rules.items()}
        for table, rules in found.root.items()
    }


def apply_changes(
    suites: Mapping[str, Sequence[Rule]],
    changes: Mapping[str, Mapping[str, Mapping[str, object]]],
    where: str,
) -> dict[str, tuple[Rule, ...]]:
    """Return the suites as changed; `where` names the file in errors.

    Raises InvalidInput for an unknown table or rule, and for a hard rule made milder.
    """
    if unknown := sorted(set(changes) - set(suites)):
        raise InvalidInput(f"{where}: no table {', '.join(unknown)}; there are {_list(suites)}")
    done: dict[str, tuple[Rule, ...]] = {}
    for table, rules in suites.items():
        wanted = changes.get(table, {})
        if unknown := sorted(set(wanted) - {rule.name for rule in rules}):
            known = _list([rule.name for rule in rules])
            raise InvalidInput(f"{where}: {table} has no rule {', '.join(unknown)}; it has {known}")
        done[table] = tuple(_changed(table, r, wanted.get(r.name, {}), where) for r in rules)
    return done


def _changed(table: str, rule: Rule, change: Mapping[str, object], where: str) -> Rule:
    if not change:
        return rule
    new = replace(rule, **change)  # pyright: ignore[reportArgumentType] - checked by pydantic
    order = list(Severity)
    if rule.hard and (
        order.index(new.severity) < order.index(rule.severity)
        or (new.low, new.high) != (rule.low, rule.high)
    ):
        raise InvalidInput(
            f"{where}: {table}.{rule.name} guards what every reader relies on; "
            f"its severity may be {rule.severity} or stricter, its bounds stay: take the entry out"
        )
    return new


def _list(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(names)
