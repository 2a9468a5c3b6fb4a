"""Daily closes: real ones from skfolio's S&P 500 sample, then a bootstrap of their returns.

Only the closes up to the end of the sample (1990-01-02 to 2022-12-28) are real. Later sessions draw
whole cross-sections of daily log returns from the sample by the stationary block bootstrap (Politis
& Romano, 1994, section 2), so that what happened together in the market stays together.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
from bisect import bisect_left, bisect_right
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gateway.market.derived import Series, derived_series
from gateway.market.randomness import key_of, uniform_rows
from gateway.market.universe import INSTRUMENTS, REAL
from gateway.timeline import span_after
from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEAN_BLOCK = 10.0  # sessions
VOL_DECAY = 0.94  # RiskMetrics (1996)
VOL_FLOOR = 0.006
SAMPLE = Path("datasets") / "data" / "sp500_dataset.csv.gz"


def sample_path() -> Path:
    """Return where the installed skfolio keeps its sample, without importing skfolio.

    Raises InvalidInput when it is not installed or ships no sample.
    """
    spec = importlib.util.find_spec("skfolio")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / SAMPLE).is_file():
            return path
    raise InvalidInput("skfolio's S&P 500 sample is missing; run `make install` in this project")


class Closes:
    """Closing prices and volatilities of every instrument, session by session.

    Ordinals count sessions since 1990-01-02. Columns follow `INSTRUMENTS`; the first `REAL`
    have real closes, the others are derived from them and the seed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.dates, closes = _read(sample_path())
        self.real = len(self.dates)
        self._real_returns = np.diff(np.log(closes), axis=0)
        self._closes = list(closes)
        self._vols = _volatilities(self._real_returns)
        self._block_row = 0
        self._derived: dict[int, Series] = {}

    @property
    def last_real(self) -> date:
        """The last session whose closes are real."""
        return self.dates[self.real - 1]

    def ordinal(self, day: date) -> int:
        """Return the ordinal of a session date, drawing sessions up to it where needed.

        Raises KeyError when `day` is no session or lies before the history.
        """
        while self.dates[-1] < day:
            self._draw_next()
        place = bisect_left(self.dates, day)
        if self.dates[place] != day:
            raise KeyError(day)
        return place

    def ordinals_up_to(self, day: date) -> int:
        """Return how many sessions there are up to and including `day`."""
        while self.dates[-1] < day:
            self._draw_next()
        return bisect_right(self.dates, day)

    def close(self, ordinal: int, column: int) -> float:
        """Return a close in the instrument's currency."""
        if column >= REAL:
            return float(self._series(column, ordinal + 1).closes[ordinal])
        return float(self._closes[ordinal][column])

    def column(self, column: int, first: int, end: int) -> NDArray[np.float64]:
        """Return the closes of one instrument over ordinals [first, end)."""
        if column >= REAL:
            return self._series(column, end).closes[first:end]
        return np.array([row[column] for row in self._closes[first:end]])

    def vols(self, column: int, first: int, end: int) -> NDArray[np.float64]:
        """Return daily log-return volatilities over ordinals [first, end)."""
        if column >= REAL:
            return self._series(column, end).vols[first:end]
        return np.array([row[column] for row in self._vols[first:end]])

    def is_adjusted(self, column: int, ordinal: int) -> bool:
        """Say whether a session's prices are adjusted history, off the tick."""
        return column < REAL and ordinal < self.real

    def _series(self, column: int, end: int) -> Series:
        series = self._derived.get(column)
        if series is None or len(series.closes) < end:
            companies = np.array(list(self._closes))
            series = derived_series(INSTRUMENTS[column], self._seed, companies, self.real - 1)
            self._derived[column] = series
        return series

    def _draw_next(self) -> None:
        day = span_after(self.dates[-1]).date
        fresh, pick, *_ = uniform_rows(key_of(self._seed, "session", day), 0, 1, 4)[0]
        if len(self.dates) == self.real or fresh < 1.0 / MEAN_BLOCK:
            self._block_row = int(pick * len(self._real_returns))
        else:
            self._block_row = (self._block_row + 1) % len(self._real_returns)
        returns = self._real_returns[self._block_row]
        closes = np.maximum(np.round(self._closes[-1] * np.exp(returns), 2), 0.01)
        self._vols.append(_next_vol(self._vols[-1], returns))
        self._closes.append(closes)
        self.dates.append(day)


def _read(path: Path) -> tuple[list[date], NDArray[np.float64]]:
    with gzip.open(path, "rt", newline="") as stream:
        rows = csv.reader(stream)
        header = next(rows)
        columns = [header.index(instrument.symbol) for instrument in INSTRUMENTS[:REAL]]
        dates: list[date] = []
        closes: list[list[float]] = []
        for row in rows:
            dates.append(date.fromisoformat(row[0][:10]))
            closes.append([float(row[column]) for column in columns])
    return dates, np.array(closes)


def _next_vol(vol: NDArray[np.float64], returns: NDArray[np.float64]) -> NDArray[np.float64]:
    variance = VOL_DECAY * vol**2 + (1 - VOL_DECAY) * returns**2
    return np.clip(np.sqrt(variance), VOL_FLOOR, 0.12)


def _volatilities(returns: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    vol = np.full(returns.shape[1], 0.018)
    vols = [vol]
    for row in returns:
        vol = _next_vol(vol, row)
        vols.append(vol)
    return vols
