"""From the ticker in a file to the instrument that had it on that day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from models.domain.instruments import SymbolSpan
from models.domain.sessions import EXCHANGE_TZ
from tasks.symbols import checked_symbols

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "unknown symbol"


class TickerBook:
    """Every ticker's owners by interval; `register` says whether an unknown one is a new name."""

    def __init__(self, spans: Iterable[SymbolSpan], *, register: bool) -> None:
        self._owners: defaultdict[str, list[SymbolSpan]] = defaultdict(list)
        for span in spans:
            self._owners[span.symbol].append(span)
        self._register = register
        self.new: list[str] = []

    def resolve(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
        """Return the frame with instruments as symbols, the rows of no instrument, and reasons.

        `frame` has symbol and session or ts.
        """
        import numpy as np
        import pandas as pd

        codes, names = pd.factorize(frame["symbol"].astype("string").str.strip().str.upper())
        owner = np.full(len(frame), None, dtype=object)
        why = np.full(len(frame), "", dtype=object)
        why[codes < 0] = "the symbol is missing"
        for code, name in enumerate(names):
            rows = np.flatnonzero(codes == code)
            spans = self._spans_of(str(name))
            if isinstance(spans, str):
                why[rows] = spans
                continue
            if spans == [SymbolSpan(str(name), str(name))]:
                owner[rows] = name
            else:
                owner[rows], why[rows] = _owners(frame.iloc[rows], str(name), spans)
        good = why == ""
        kept = frame[good].assign(symbol=owner[good])
        return kept, frame[~good], tuple(str(reason) for reason in why[~good])

    def _spans_of(self, name: str) -> Sequence[SymbolSpan] | str:
        """Return the owners of a ticker, or why there are none."""
        if name not in self._owners:
            try:
                checked_symbols([name])
            except ValueError as error:
                return str(error)
            if not self._register:
                return f"{UNKNOWN} {name}: it is no instrument of the warehouse"
            self._owners[name] = [SymbolSpan(name, name)]
            self.new.append(name)
        return self._owners[name]


def _owners(
    part: pd.DataFrame, name: str, spans: Sequence[SymbolSpan]
) -> tuple[list[str | None], list[str]]:
    """Return the instrument that had the ticker on the day of each row, and why there is none."""
    days = part["session"] if "session" in part else part["ts"].dt.tz_convert(EXCHANGE_TZ).dt.date
    found: list[str | None] = []
    for day, missing in zip(days, days.isna(), strict=True):
        held = () if missing else [span.instrument for span in spans if span.contains(day)]
        found.append(held[0] if held else None)
    why = f"{name} was no instrument's symbol on that date"
    return found, ["" if owner else why for owner in found]
