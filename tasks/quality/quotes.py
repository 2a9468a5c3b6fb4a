"""Ticks: the suites of trades and of quotes, and the columns that the rules look at."""

from __future__ import annotations

from collections.abc import Sequence as Items
from typing import TYPE_CHECKING

import numpy as np

from models.domain.sessions import TradingSession
from tasks.quality.rules import Kind, Rule, Severity, columns, filled, flag, some_rows
from tasks.quality.sequence import MAD_TO_SIGMA
from warehouse.market.minute_rows import LARGEST_PRICE

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

TRADE_COLUMNS = ("symbol", "ts", "price", "size")
QUOTE_COLUMNS = ("symbol", "ts", "bid", "bid_size", "ask", "ask_size")
EXTENDED_OPEN, EXTENDED_SPAN = 5.5 * 3600, 16 * 3600  # 04:00 to 20:00 New York


def trade_rules() -> tuple[Rule, ...]:
    """Return the suite of trades."""
    refuse = Severity.QUARANTINE
    return (
        columns(TRADE_COLUMNS),
        some_rows(),
        *(filled(name) for name in TRADE_COLUMNS),
        _price("price"),
        Rule("size", Kind.BETWEEN, "size", refuse, "the size is below 0", low=0, unit="shares",
             hard=True),
        *_time_rules(),
        Rule("jump", Kind.BETWEEN, "off_median", refuse, "the price is far from its neighbours'",
             high=100, unit="robust sigmas"),
    )  # fmt: skip


def quote_rules() -> tuple[Rule, ...]:
    """Return the suite of quotes: both sides of the best bid and offer."""
    return (
        columns(QUOTE_COLUMNS),
        some_rows(),
        *(filled(name) for name in QUOTE_COLUMNS),
        _price("bid"),
        _price("ask"),
        *_time_rules(),
        Rule("spread", Kind.BETWEEN, "spread", Severity.QUARANTINE, "the bid is not below the ask",
             low=0, strict_low=True, unit="USD"),
        Rule("wide", Kind.BETWEEN, "spread_bps", Severity.WARN, "the spread is wide",
             high=500, unit="bps"),
    )  # fmt: skip


def _price(name: str) -> Rule:
    return Rule(f"positive_{name}", Kind.BETWEEN, name, Severity.QUARANTINE,
                f"{name} is not above 0 and below 1e7", low=0, high=LARGEST_PRICE, strict_low=True,
                unit="USD", hard=True)  # fmt: skip


def _time_rules() -> tuple[Rule, ...]:
    return (
        flag("time_order", "steps_back", Severity.WARN, "it stands behind a later tick"),
        flag("session", "outside", Severity.QUARANTINE,
             "it lies outside the hours of a session (04:00 to 20:00 New York)"),
    )  # fmt: skip


def derive_trades(rows: pd.DataFrame, sessions: Items[TradingSession]) -> pd.DataFrame:
    """Return trades (ts in UTC) with what their suite looks at; order is that of the rows."""
    if not set(TRADE_COLUMNS) <= set(rows.columns):
        return rows
    table = _timed(rows, TRADE_COLUMNS, sessions)
    table["off_median"] = _off_median(table)
    return table


def derive_quotes(rows: pd.DataFrame, sessions: Items[TradingSession]) -> pd.DataFrame:
    """Return quotes (ts in UTC, USD, shares) with what their suite looks at."""
    if not set(QUOTE_COLUMNS) <= set(rows.columns):
        return rows
    table = _timed(rows, QUOTE_COLUMNS, sessions)
    table["spread"] = table["ask"] - table["bid"]
    with np.errstate(invalid="ignore", divide="ignore"):
        table["spread_bps"] = 2e4 * table["spread"] / (table["ask"] + table["bid"])
    return table


def _timed(rows: pd.DataFrame, names: Items[str], sessions: Items[TradingSession]) -> pd.DataFrame:
    import pandas as pd

    table = rows[list(names)].reset_index(drop=True)
    for name in names[2:]:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    stamps = pd.to_datetime(table["ts"], utc=True).dt.tz_localize(None)
    micros = stamps.to_numpy(dtype="datetime64[us]").astype(np.int64)
    back = pd.Series(micros).groupby(table["symbol"].to_numpy()).diff() < 0
    table["steps_back"] = back.to_numpy(dtype=np.int8)
    table["outside"] = _outside(micros, sessions)
    return table


def _outside(micros: NDArray[np.int64], sessions: Items[TradingSession]) -> NDArray[np.int8]:
    if not sessions:
        return np.ones(len(micros), dtype=np.int8)
    begin = np.array([session.open.timestamp() - EXTENDED_OPEN for session in sessions]) * 1e6
    number = np.searchsorted(begin, micros, side="right") - 1
    inside = (number >= 0) & (micros < begin[np.clip(number, 0, None)] + EXTENDED_SPAN * 1e6)
    return (~inside).astype(np.int8)


def _off_median(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return how far each price lies from the median of the 21 around it, in robust sigmas.

    Sigma is 1.4826 x the median absolute distance of the symbol, at least 2 bps.
    """
    import pandas as pd

    far = pd.Series(np.zeros(len(table)))
    for _, rows in table.groupby("symbol", sort=False):
        price = rows["price"].where(rows["price"] > 0)
        logs = pd.Series(np.log(price.to_numpy(dtype=np.float64)), rows.index)
        distance = (logs - logs.rolling(21, center=True, min_periods=1).median()).abs()
        sigma = max(MAD_TO_SIGMA * float(distance.median()), 2e-4)
        far[rows.index] = distance / sigma
    return np.asarray(far, dtype=np.float64)
