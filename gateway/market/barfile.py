"""Reads a file of minute or daily bars (CSV or Parquet) and says which row is wrong.

Columns: `symbol`; `session` (a date, daily bars) or `time` (the start of the minute; New York time
unless it has an offset); `open`, `high`, `low`, `close` in USD; `volume` in shares. Bars outside
the regular session are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gateway.timeline import span_on
from models.domain.errors import InvalidInput
from models.domain.sessions import EXCHANGE_TZ

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

PRICES = ("open", "high", "low", "close")
ALIASES = {"date": "session", "timestamp": "time", "ts_ny": "time", "ticker": "symbol"}


@dataclass(frozen=True, slots=True)
class DayRows:
    """One symbol's bars of one session; `minute` counts from the open (empty for a daily bar)."""

    minute: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]


Bars = dict[str, dict[date, DayRows]]


def read_bars(path: Path) -> Bars:
    """Return bars by symbol and session date; raise InvalidInput naming the row and column."""
    frame = _frame(path)
    missing = [name for name in ("symbol", *PRICES, "volume") if name not in frame.columns]
    if missing or not {"session", "time"} & set(frame.columns):
        missing += [] if {"session", "time"} & set(frame.columns) else ["session or time"]
        raise InvalidInput(
            f"{path}: column {', '.join(missing)} is missing; give symbol, session (daily) or time "
            "(minute), open, high, low, close, volume"
        )
    if not len(frame):
        raise InvalidInput(f"{path} has no rows; give at least one bar")
    _check_numbers(path, frame)
    return _by_minute(path, frame) if "time" in frame.columns else _by_day(path, frame)


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, dtype={"symbol": str, "ticker": str})
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as a table of bars: {error}") from error
    frame.columns = [ALIASES.get(str(name).lower(), str(name).lower()) for name in frame.columns]
    return frame


def _refuse(path: Path, row: int, column: str, problem: str) -> InvalidInput:
    return InvalidInput(f"{path}: row {row + 1}, column {column}: {problem}; correct the file")


def _check_numbers(path: Path, frame: pd.DataFrame) -> None:
    import pandas as pd

    for name in (*PRICES, "volume"):
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
        least = 0.0 if name == "volume" else 1e-9
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= least)))
        if len(bad):
            shown = frame[name].iloc[bad[0]]
            raise _refuse(path, int(bad[0]), name, f"{shown!r} is no {name} above zero")
        frame[name] = values
    body_high, body_low = frame[["open", "close"]].max(axis=1), frame[["open", "close"]].min(axis=1)
    for name, wrong in (
        ("high", frame["high"].to_numpy() < body_high.to_numpy()),
        ("low", frame["low"].to_numpy() > body_low.to_numpy()),
    ):
        bad = np.flatnonzero(wrong)
        if len(bad):
            raise _refuse(path, int(bad[0]), name, f"the {name} lies inside the bar's body")
    bad = np.flatnonzero(frame["symbol"].isna() | (frame["symbol"].astype(str) == ""))
    if len(bad):
        raise _refuse(path, int(bad[0]), "symbol", "it is empty")


def _session_dates(path: Path, frame: pd.DataFrame, name: str) -> list[date]:
    """Return each row's date; raise InvalidInput where it is none or no trading day."""
    import pandas as pd

    stamps = pd.to_datetime(frame[name], errors="coerce")
    bad = np.flatnonzero(stamps.isna())
    if len(bad):
        raise _refuse(path, int(bad[0]), name, f"{frame[name].iloc[bad[0]]!r} is no {name}")
    if stamps.dt.tz is not None:
        stamps = stamps.dt.tz_convert(EXCHANGE_TZ)
    frame["_stamp"] = stamps
    dates = [stamp.date() for stamp in stamps]
    closed = {day for day in set(dates) if span_on(day) is None}
    for row, day in enumerate(dates if closed else ()):
        if day in closed:
            raise _refuse(path, row, name, f"the market is closed on {day}")
    return dates


def _by_day(path: Path, frame: pd.DataFrame) -> Bars:
    bars: Bars = {}
    dates = _session_dates(path, frame, "session")
    symbols = frame["symbol"].astype(str).tolist()
    cells = {name: frame[name].to_numpy() for name in (*PRICES, "volume")}
    nothing = np.zeros(0, dtype=np.int64)
    for row, (symbol, day) in enumerate(zip(symbols, dates, strict=True)):
        days = bars.setdefault(symbol, {})
        if day in days:
            raise _refuse(path, row, "session", f"{symbol} has two bars on {day}")
        one = slice(row, row + 1)
        days[day] = _rows(nothing, {name: values[one] for name, values in cells.items()})
    return bars


def _by_minute(path: Path, frame: pd.DataFrame) -> Bars:
    bars: Bars = {}
    frame["_day"] = _session_dates(path, frame, "time")
    local = frame["_stamp"]
    frame["_minute"] = local.dt.hour * 60 + local.dt.minute - 570
    frame["_row"] = np.arange(len(frame))
    lengths = {day: span.minutes for day in set(frame["_day"]) if (span := span_on(day))}
    inside = (frame["_minute"] >= 0) & (frame["_minute"] < frame["_day"].map(lengths))
    frame = frame[inside]
    twice = frame.duplicated(["symbol", "_day", "_minute"]).to_numpy()
    if twice.any():
        row = int(frame["_row"].iloc[int(np.flatnonzero(twice)[0])])
        raise _refuse(path, row, "time", "this symbol has two bars of one minute")
    for _, rows in frame.groupby(["symbol", "_day"], sort=True):
        ordered = rows.sort_values("_minute")
        cells = {name: ordered[name].to_numpy(dtype=np.float64) for name in (*PRICES, "volume")}
        day: date = ordered["_day"].iloc[0]
        minute = ordered["_minute"].to_numpy(dtype=np.int64)
        bars.setdefault(str(ordered["symbol"].iloc[0]), {})[day] = _rows(minute, cells)
    if not bars:
        raise InvalidInput(f"{path} has no bar inside a regular session; check the time column")
    return bars


def _rows(minute: NDArray[np.int64], cells: dict[str, NDArray[np.float64]]) -> DayRows:
    return DayRows(
        minute,
        cells["open"],
        cells["high"],
        cells["low"],
        cells["close"],
        cells["volume"].astype(np.int64),
    )
