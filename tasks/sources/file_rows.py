"""From a block of a file to bars: times and numbers from text, wide to long, named right."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.domain.sessions import EXCHANGE_TZ
from tasks.sources.file_times import TimeForm, read_times
from tasks.sources.layouts import FIELDS, Columns
from tasks.sources.protocol import PRICES, BarBatch, Timeframe

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from tasks.sources.tickers import TickerBook

PLACES = 8  # decimals of a USD: no binary tails that would look like revisions
COMMA = "a number has a comma; write a decimal point, and nothing between thousands"
EMPTY_CELLS = "cells of a wide file without a price"


def texts_of(table: Any, columns: Columns) -> pd.Series:
    """Return the text of each row's date and time."""
    pa, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    parts = [
        compute.cast(table.column(columns.roles[role]), pa.string()).fill_null("")
        for role in ("date", "time")
        if role in columns.roles
    ]
    joined = parts[0] if len(parts) == 1 else compute.binary_join_element_wise(*parts, " ")
    return compute.utf8_trim_whitespace(joined).to_pandas()


class BlockReader:
    """Reads the blocks of one file; `symbol` is whose they are when no column says it."""

    def __init__(
        self, columns: Columns, times: TimeForm, timeframe: Timeframe, symbol: str
    ) -> None:
        self._columns = columns
        self._times = times
        self._timeframe: Timeframe = timeframe
        self._symbol = symbol

    def batch(self, table: Any, book: TickerBook) -> BarBatch:
        """Return the bars of a block, and the rows that have no time or no instrument."""
        import pandas as pd

        texts = texts_of(table, self._columns)
        moments, why = read_times(texts, self._times)
        key = "session" if self._timeframe == "1d" else "ts"
        when = self._sessions(moments) if key == "session" else moments
        left_out: dict[str, int] = {}
        if self._columns.layout == "wide":
            frame, empty = self._long(table, when, why, texts)
            left_out = {EMPTY_CELLS: empty} if empty else {}
        else:
            frame = pd.DataFrame({"symbol": self._symbols(table), key: when})
            for name in FIELDS:
                column = self._columns.roles.get(name)
                frame[name] = _numbers(table.column(column)) if column else 0.0
                if column:
                    why = why.mask((why == "") & _commas(table.column(column), frame[name]), COMMA)
            frame["why"], frame["text"] = why, texts
        frame = frame.rename(columns={"when": key})
        unreadable = frame["why"] != ""
        timeless = frame[unreadable]
        usable = frame.loc[~unreadable, ["symbol", key, *FIELDS]]
        usable = usable.round(dict.fromkeys(PRICES, PLACES))
        known, foreign, reasons = book.resolve(usable)
        told = timeless.drop(columns=["why", key]).rename(columns={"text": "time"})
        rejected = pd.concat([told, foreign], ignore_index=True)
        return BarBatch(
            self._timeframe,
            known,
            "",
            rejected,
            (*(str(reason) for reason in timeless["why"]), *reasons),
            left_out,
        )

    def _symbols(self, table: Any) -> Any:
        if self._columns.layout == "per-symbol":
            return [self._symbol] * table.num_rows
        return table.column(self._columns.roles["symbol"]).to_pandas().to_numpy()

    def _sessions(self, moments: pd.Series) -> pd.Series:
        """Return the New York date of daily moments; midnight UTC stands for its own date."""
        if getattr(moments.dtype, "tz", None) is None:
            return moments.dt.date
        local = moments.dt.tz_convert(EXCHANGE_TZ)
        at_midnight = moments.dt.normalize() == moments
        return local.dt.date.where(~at_midnight, moments.dt.date)

    def _long(
        self, table: Any, when: pd.Series, why: pd.Series, texts: pd.Series
    ) -> tuple[pd.DataFrame, int]:
        """Turn the columns of a wide block into rows; return them and the count of empty cells."""
        import pandas as pd

        fields: dict[str, dict[str, str]] = {}
        for column, (symbol, field) in self._columns.wide.items():
            fields.setdefault(symbol, {})[field] = column
        parts: list[pd.DataFrame] = []
        empty = 0
        for symbol, named in fields.items():
            part = pd.DataFrame({"symbol": symbol, "when": when, "why": why, "text": texts})
            close = _numbers(table.column(named["close"]))
            for name in PRICES:
                part[name] = _numbers(table.column(named[name])) if name in named else close
            has_volume = "volume" in named
            part["volume"] = _numbers(table.column(named["volume"])) if has_volume else 0.0
            for name, column in named.items():
                commas = _commas(table.column(column), part[name])
                part["why"] = part["why"].mask((part["why"] == "") & commas, COMMA)
            there = part["close"].notna() | (part["why"] == COMMA)
            empty += int((~there).sum())
            parts.append(part[there])
        return pd.concat(parts, ignore_index=True), empty


def _numbers(column: Any) -> Any:
    """Return a column as float64; what is no number becomes NaN."""
    import pandas as pd

    pa, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    try:
        return compute.cast(column, pa.float64()).to_numpy()
    except pa.ArrowException:
        return pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(dtype="float64")


def _commas(column: Any, numbers: pd.Series) -> NDArray[np.bool_]:
    """Say which cells are no number because of a comma: 60,25 or 1,000 could be either."""
    import numpy as np

    pa, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    if not (bool(numbers.isna().any()) and pa.types.is_string(column.type)):
        return np.zeros(len(numbers), dtype=bool)
    found = compute.match_substring_regex(column, r"^\s*[-+]?[\d.]+(,[\d.]+)+\s*$")
    return found.fill_null(False).to_numpy()
