"""Where prices come from: what any source must give, and the simulation around daily closes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gateway.market.intraday import (
    Days,
    MinuteMatrix,
    day_ranges,
    day_volumes,
    minute_matrix,
    minute_volumes,
)
from gateway.market.randomness import key_of
from gateway.market.universe import INSTRUMENTS
from gateway.timeline import Span, span_after

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gateway.market.book import Book, Disturbance
    from gateway.market.seconds import SecondPath


@dataclass(frozen=True, slots=True)
class DailyBars:
    """Daily bars of consecutive sessions: prices in the instrument's currency, volume in shares."""

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]

    def cut(self, first: int, end: int) -> DailyBars:
        """Return the rows [first, end)."""
        if first == 0 and end == len(self.close):
            return self
        part = slice(first, end)
        return DailyBars(
            self.open[part], self.high[part], self.low[part], self.close[part], self.volume[part]
        )


def joined(parts: list[DailyBars]) -> DailyBars:
    """Return the rows of several, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return DailyBars(
        np.concatenate([part.open for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.close for part in parts]),
        np.concatenate([part.volume for part in parts]),
    )


class SessionCloses(Protocol):
    """Sessions by ordinal, and each instrument's close and volatility in them.

    `real` counts the sessions that were given, not drawn; `last_real` is the last of them.
    """

    dates: list[date]
    real: int

    @property
    def last_real(self) -> date:
        """The last session that was given."""
        ...

    def ordinal(self, day: date) -> int:
        """Return the ordinal of a session; raise KeyError when there is none."""
        ...

    def ordinals_up_to(self, day: date) -> int:
        """Return how many sessions there are up to and including `day`."""
        ...

    def close(self, ordinal: int, column: int) -> float:
        """Return a close."""
        ...

    def column(self, column: int, first: int, end: int) -> NDArray[np.float64]:
        """Return the closes of one instrument over ordinals [first, end)."""
        ...

    def vols(self, column: int, first: int, end: int) -> NDArray[np.float64]:
        """Return daily log-return volatilities over ordinals [first, end)."""
        ...

    def is_adjusted(self, column: int, ordinal: int) -> bool:
        """Say whether a session's prices are adjusted history, off the tick."""
        ...


class Source(Protocol):
    """Everything that a market is made of, before its clients disturb it.

    `sentence` says what is real in it; `listed` are the columns that it has prices of (None: all).
    """

    @property
    def closes(self) -> SessionCloses:
        """The sessions and their closes."""
        ...

    @property
    def sentence(self) -> str:
        """What is real and what is simulated."""
        ...

    @property
    def listed(self) -> frozenset[int] | None:
        """The columns that can be asked for."""
        ...

    @property
    def earliest(self) -> date:
        """The first session that a gateway can be started in."""
        ...

    @property
    def usual_start(self) -> date:
        """The session that a gateway is started in when none is named."""
        ...

    def path(self, column: int, ordinal: int) -> SecondPath | None:
        """Return a session second by second where it was recorded, else None."""
        ...

    def book(self, column: int, span: Span, state: Disturbance, vol: float) -> Book | None:
        """Return a recorded book of a session, else None."""
        ...

    def minutes(
        self, column: int, ordinal: int, minutes: int
    ) -> tuple[MinuteMatrix, NDArray[np.int64], float]:
        """Return a session's minute bars, minute volumes and daily volatility."""
        ...

    def days(self, column: int, first: int, lengths: list[int]) -> DailyBars:
        """Return the daily bars of sessions from ordinal `first`, of `lengths` minutes each."""
        ...


SENTENCE = (
    "daily closes of 20 US stocks from 1990-01-02 to 2022-12-28 are real (skfolio's S&P 500 "
    "sample); everything inside a day, all volumes, spreads and depth, and every session after "
    "2022-12-28 are simulated around them from the seed, and so are all funds, indices, exchange "
    "rates and the companies SIM001 to SIM080"
)


class Simulated:
    """Minute paths around daily closes, from a seed; any session can be made on its own."""

    def __init__(self, seed: int, closes: SessionCloses) -> None:
        self._closes = closes
        self._keys = [key_of(seed, instrument.local_symbol) for instrument in INSTRUMENTS]

    @property
    def closes(self) -> SessionCloses:
        """The sessions and their closes."""
        return self._closes

    @property
    def sentence(self) -> str:
        """What is real and what is simulated."""
        return SENTENCE

    @property
    def listed(self) -> frozenset[int] | None:
        """Every column."""
        return None

    @property
    def earliest(self) -> date:
        """The session after the last real one."""
        return span_after(self._closes.last_real).date

    @property
    def usual_start(self) -> date:
        """The session after the last real one."""
        return self.earliest

    def path(self, column: int, ordinal: int) -> SecondPath | None:
        """Record nothing: seconds are simulated inside the minutes."""
        return None

    def book(self, column: int, span: Span, state: Disturbance, vol: float) -> Book | None:
        """Record nothing: books are simulated."""
        return None

    def minutes(
        self, column: int, ordinal: int, minutes: int
    ) -> tuple[MinuteMatrix, NDArray[np.int64], float]:
        """Return a session's minute bars, minute volumes and daily volatility."""
        days = self._days(column, ordinal, ordinal + 1, minutes)
        days = days.row(0, minutes, self._tick(column, ordinal))
        total = int(day_volumes(days, INSTRUMENTS[column].volume)[0])
        volumes = minute_volumes(days.key, ordinal, total, minutes)
        return minute_matrix(days), volumes, float(days.vols[0])

    def days(self, column: int, first: int, lengths: list[int]) -> DailyBars:
        """Return the daily bars of sessions from ordinal `first`, of `lengths` minutes each."""
        usual = max(lengths)
        days = self._days(column, first, first + len(lengths), usual)
        opened, high, low = day_ranges(days)
        for row, minutes in enumerate(lengths):
            tick = self._tick(column, first + row)
            if minutes != usual or tick != days.tick:
                ranges = day_ranges(days.row(row, minutes, tick))
                opened[row : row + 1], high[row : row + 1], low[row : row + 1] = ranges
        volume = day_volumes(days, INSTRUMENTS[column].volume)
        return DailyBars(opened, high, low, days.closes, volume)

    def _days(self, column: int, first: int, end: int, minutes: int) -> Days:
        before = self._closes.column(column, max(first - 1, 0), end)
        closes = before[-(end - first) :]
        previous = before[: end - first] if first else np.concatenate((before[:1], before[:-1]))
        vols = self._closes.vols(column, first, end)
        tick = self._tick(column, end - 1)
        return Days(self._keys[column], first, previous, closes, vols, minutes, tick)

    def _tick(self, column: int, ordinal: int) -> float:
        if self._closes.is_adjusted(column, ordinal):
            return 0.0
        return float(INSTRUMENTS[column].tick)
