"""A market that is played from a file of bars, and goes on simulated after its last session."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gateway.market import universe
from gateway.market.barfile import Bars, DayRows, read_bars
from gateway.market.derived import ewma
from gateway.market.intraday import MinuteMatrix, minute_matrix, minute_volumes
from gateway.market.randomness import key_of, uniform_rows
from gateway.market.source import DailyBars, Simulated
from gateway.timeline import span_after
from models.domain.sessions import session_dates

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOL_FLOOR = 0.006


class ReplayCloses:
    """Sessions and closes of a file; later ones are random walks of each symbol's volatility.

    A session without a bar of a symbol keeps its last close (the first one before its first bar).
    """

    def __init__(self, seed: int, bars: dict[int, dict[date, DayRows]]) -> None:
        days = sorted({day for rows in bars.values() for day in rows})
        self.dates = list(session_dates(days[0], days[-1]))
        self.real = len(self.dates)
        self._seed = seed
        self._closes: dict[int, list[float]] = {}
        self._vols: dict[int, list[float]] = {}
        for column, rows in bars.items():
            closes: list[float] = []
            last = float(rows[min(rows)].open[0])
            for day in self.dates:
                last = float(rows[day].close[-1]) if day in rows else last
                closes.append(last)
            steps = np.diff(np.log(np.array(closes)), prepend=np.log(closes[0]))
            self._closes[column] = closes
            self._vols[column] = ewma(steps, VOL_FLOOR).tolist()

    @property
    def last_real(self) -> date:
        """The last session of the file."""
        return self.dates[self.real - 1]

    def ordinal(self, day: date) -> int:
        """Return the ordinal of a session; raise KeyError when there is none."""
        self._reach(day)
        place = bisect_left(self.dates, day)
        if self.dates[place] != day:
            raise KeyError(day)
        return place

    def ordinals_up_to(self, day: date) -> int:
        """Return how many sessions there are up to and including `day`."""
        self._reach(day)
        return bisect_right(self.dates, day)

    def close(self, ordinal: int, column: int) -> float:
        """Return a close in USD."""
        return self._closes[column][ordinal]

    def column(self, column: int, first: int, end: int) -> NDArray[np.float64]:
        """Return the closes of one instrument over ordinals [first, end)."""
        return np.array(self._closes[column][first:end])

    def vols(self, column: int, first: int, end: int) -> NDArray[np.float64]:
        """Return daily log-return volatilities over ordinals [first, end)."""
        return np.array(self._vols[column][first:end])

    def is_adjusted(self, column: int, ordinal: int) -> bool:
        """Say that the file's prices are given as they are."""
        return ordinal < self.real

    def _reach(self, day: date) -> None:
        from scipy.special import ndtri

        while self.dates[-1] < day:
            fresh = span_after(self.dates[-1]).date
            for column, closes in self._closes.items():
                key = key_of(self._seed, "replay", universe.INSTRUMENTS[column].symbol, fresh)
                step = self._vols[column][-1] * float(ndtri(uniform_rows(key, 0, 1, 4)[0, 0]))
                closes.append(max(round(closes[-1] * float(np.exp(step)), 2), 0.01))
                self._vols[column].append(self._vols[column][-1])
            self.dates.append(fresh)


class Replay(Simulated):
    """A file of bars as a market: its sessions as they were, seconds inside a minute simulated."""

    def __init__(self, seed: int, path: Path, bars: Bars | None = None) -> None:
        found = read_bars(path) if bars is None else bars
        self._rows = {_column(symbol, found[symbol]): found[symbol] for symbol in sorted(found)}
        super().__init__(seed, ReplayCloses(seed, self._rows))
        self._path = path
        self._days_file = all(
            not len(rows.minute) for days in self._rows.values() for rows in days.values()
        )

    @property
    def sentence(self) -> str:
        """What is real and what is simulated."""
        grain = "daily" if self._days_file else "minute"
        dates = self.closes.dates
        return (
            f"{grain} bars of {len(self._rows)} symbols from {dates[0]} to {self.closes.last_real} "
            f"are those of {self._path.name}; everything inside a bar, spreads, depth and every "
            "later session are simulated around them from the seed"
        )

    @property
    def listed(self) -> frozenset[int] | None:
        """The columns of the file's symbols."""
        return frozenset(self._rows)

    @property
    def earliest(self) -> date:
        """The file's first session."""
        return self.closes.dates[0]

    @property
    def usual_start(self) -> date:
        """The file's second session, so that there is a close before it; or its only one."""
        return self.closes.dates[min(1, self.closes.real - 1)]

    def minutes(
        self, column: int, ordinal: int, minutes: int
    ) -> tuple[MinuteMatrix, NDArray[np.int64], float]:
        """Return a session's minute bars, minute volumes and daily volatility."""
        if ordinal >= self.closes.real:
            return super().minutes(column, ordinal, minutes)
        vol = float(self.closes.vols(column, ordinal, ordinal + 1)[0])
        rows = self._rows[column].get(self.closes.dates[ordinal])
        if rows is None:
            flat = np.full((1, minutes + 1), self.closes.close(ordinal, column))
            nothing = np.zeros(minutes, dtype=np.int64)
            return MinuteMatrix(flat, flat[:, 1:], flat[:, 1:]), nothing, vol
        if len(rows.minute):
            return *_filled(rows, minutes), vol
        days = self._days(column, ordinal, ordinal + 1, minutes)
        drawn = minute_matrix(replace(days, tick=0.0))
        volumes = minute_volumes(days.key, ordinal, int(rows.volume[0]), minutes)
        return _bent(drawn, rows), volumes, vol

    def days(self, column: int, first: int, lengths: list[int]) -> DailyBars:
        """Return the daily bars of sessions from ordinal `first`, of `lengths` minutes each."""
        real = min(max(self.closes.real - first, 0), len(lengths))
        cells: list[tuple[float, float, float, float, int]] = []
        for ordinal in range(first, first + real):
            rows = self._rows[column].get(self.closes.dates[ordinal])
            close = self.closes.close(ordinal, column)
            if rows is None:
                cells.append((close, close, close, close, 0))
            else:
                ends = float(rows.open[0]), float(rows.high.max()), float(rows.low.min()), close
                cells.append((*ends, int(rows.volume.sum())))
        table = np.array(cells, dtype=np.float64).reshape(-1, 5).T
        made = DailyBars(table[0], table[1], table[2], table[3], table[4].astype(np.int64))
        if real == len(lengths):
            return made
        later = super().days(column, first + real, lengths[real:])
        return later if not real else _after(made, later)


def _after(first: DailyBars, then: DailyBars) -> DailyBars:
    from gateway.market.source import joined

    return joined([first, then])


def _column(symbol: str, rows: dict[date, DayRows]) -> int:
    """Return the column of a file's symbol, which gets one where it is new."""
    known = universe.BY_SYMBOL.get(symbol)
    if known is not None and known.sec_type == "STK":
        return known.column
    volume = int(np.mean([day.volume.sum() for day in rows.values()]))
    row = (symbol, f"REPLAYED: {symbol}", "NYSE", "Replayed", "Replayed", max(volume, 1))
    return universe.add(*row).column


def _filled(rows: DayRows, minutes: int) -> tuple[MinuteMatrix, NDArray[np.int64]]:
    """Put a session's minute bars on every minute; one without a bar repeats the close before."""
    close = np.full(minutes, np.nan)
    close[rows.minute] = rows.close
    place = np.maximum.accumulate(np.where(np.isnan(close), -1, np.arange(minutes)))
    close = np.where(place < 0, rows.open[0], close[np.maximum(place, 0)])
    before = np.concatenate((rows.open[:1], close[:-1]))
    opened, high, low = before.copy(), np.maximum(before, close), np.minimum(before, close)
    opened[rows.minute], high[rows.minute], low[rows.minute] = rows.open, rows.high, rows.low
    gaps = np.ones(minutes, dtype=bool)
    gaps[rows.minute] = False
    opened[gaps] = high[gaps] = low[gaps] = close[gaps]
    volumes = np.zeros(minutes, dtype=np.int64)
    volumes[rows.minute] = rows.volume
    points = np.concatenate((rows.open[:1], close))[None, :]
    return MinuteMatrix(points, high[None, :], low[None, :], opened[None, :]), volumes


def _bent(drawn: MinuteMatrix, rows: DayRows) -> MinuteMatrix:
    """Bend a drawn path so that it has a daily bar's open, high, low and close."""
    opened, close = float(rows.open[0]), float(rows.close[0])
    share = np.linspace(0.0, 1.0, drawn.points.shape[1])
    points = drawn.points[0]
    start, end = np.log(opened / points[0]), np.log(close / points[-1])
    tilt = np.exp(start * (1.0 - share) + end * share)
    points = points * tilt
    high, low = drawn.high[0] * tilt[1:], drawn.low[0] * tilt[1:]
    top, bottom = max(opened, close), min(opened, close)
    reach_up, reach_down = float(rows.high[0]) - top, bottom - float(rows.low[0])
    up = reach_up / max(float(high.max()) - top, 1e-9)
    down = reach_down / max(bottom - float(low.min()), 1e-9)

    def bent(values: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.where(values > top, top + (values - top) * up, values)
        values = np.where(values < bottom, bottom - (bottom - values) * down, values)
        return np.round(np.clip(values, rows.low[0], rows.high[0]), 4)

    points = bent(points)
    points[0], points[-1] = opened, close
    high = np.maximum(bent(high), np.maximum(points[:-1], points[1:]))
    low = np.minimum(bent(low), np.minimum(points[:-1], points[1:]))
    high[int(np.argmax(high))], low[int(np.argmin(low))] = rows.high[0], rows.low[0]
    return MinuteMatrix(points[None, :], high[None, :], low[None, :])
