"""Instruments, splits and dividends: their suites, and the columns that the rules look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.quality.rules import Kind, Rule, Severity, columns, filled, flag, some_rows

if TYPE_CHECKING:
    import pandas as pd

INSTRUMENT_COLUMNS = ("symbol", "con_id", "primary_exchange", "currency", "listed", "delisted")
SPLIT_COLUMNS = ("symbol", "session", "ratio")
DIVIDEND_COLUMNS = ("symbol", "session", "amount")
LARGEST_SPLIT = 1000.0


def instrument_rules() -> tuple[Rule, ...]:
    """Return the suite of instruments; empty listing dates are what is not known."""
    refuse = Severity.QUARANTINE
    return (
        columns(INSTRUMENT_COLUMNS),
        some_rows(),
        filled("symbol"),
        filled("currency"),
        flag("unique", "again", refuse, "the instrument is given twice", hard=True),
        flag("con_id", "con_id_again", refuse, "another instrument has this conId"),
        flag("currency", "odd_currency", refuse, "the currency is no three capital letters"),
        flag("dates", "ends_before", refuse, "it is delisted before it is listed", hard=True),
        flag("exchange", "no_exchange", Severity.WARN, "the primary exchange is not known"),
    )


def split_rules() -> tuple[Rule, ...]:
    """Return the suite of splits: new shares for one old share, on a session."""
    refuse = Severity.QUARANTINE
    return (
        *_action_rules(SPLIT_COLUMNS),
        Rule("ratio", Kind.BETWEEN, "ratio", refuse, "the ratio is not above 0 and up to 1000",
             low=0, high=LARGEST_SPLIT, strict_low=True, unit="new shares", hard=True),
        flag("changes", "idle", refuse, "a ratio of 1 is no split", hard=True),
    )  # fmt: skip


def dividend_rules() -> tuple[Rule, ...]:
    """Return the suite of cash dividends: USD a share, on a session."""
    return (
        *_action_rules(DIVIDEND_COLUMNS),
        Rule("amount", Kind.BETWEEN, "amount", Severity.QUARANTINE, "the amount is not above 0",
             low=0, high=1e5, strict_low=True, unit="USD a share", hard=True),
    )  # fmt: skip


def _action_rules(names: Sequence[str]) -> tuple[Rule, ...]:
    refuse = Severity.QUARANTINE
    return (
        columns(names),
        some_rows(),
        *(filled(name) for name in names),
        flag("unique", "again", refuse, "it is given twice for the session", hard=True),
        flag("session", "outside", Severity.WARN, "the ex-date is no session of the exchange"),
    )


def derive_instruments(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the instruments with the columns that their suite looks at."""
    if not set(INSTRUMENT_COLUMNS) <= set(rows.columns):
        return rows
    table = rows[list(INSTRUMENT_COLUMNS)].reset_index(drop=True)
    currency = table["currency"].astype("string").fillna("")
    table["again"] = table.duplicated("symbol", keep=False).astype(np.int8)
    known = table["con_id"].notna()
    table["con_id_again"] = (known & table.duplicated("con_id", keep=False)).astype(np.int8)
    table["odd_currency"] = (~currency.str.fullmatch("[A-Z]{3}")).to_numpy(dtype=np.int8)
    table["ends_before"] = [
        int(_is_day(first) and _is_day(last) and last < first)
        for first, last in zip(table["listed"], table["delisted"], strict=True)
    ]
    blank = table["primary_exchange"].astype("string").fillna("") == ""
    table["no_exchange"] = blank.to_numpy(dtype=np.int8)
    return table


def derive_actions(
    rows: pd.DataFrame, sessions: Sequence[date], names: Sequence[str]
) -> pd.DataFrame:
    """Return splits or dividends (columns `names`) with what their suites look at."""
    import pandas as pd

    if not set(names) <= set(rows.columns):
        return rows
    table = rows[list(names)].reset_index(drop=True)
    value = names[-1]
    table[value] = pd.to_numeric(table[value], errors="coerce")
    inside = set(sessions)
    table["again"] = table.duplicated(["symbol", "session"], keep=False).astype(np.int8)
    table["outside"] = [int(day not in inside) for day in table["session"]]
    table["idle"] = (table[value] == 1.0).astype(np.int8)
    return table


def _is_day(value: Any) -> bool:
    return isinstance(value, date) and value == value  # noqa: PLR0124 - NaT
