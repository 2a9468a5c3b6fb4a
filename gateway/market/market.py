"""Every instrument's history and live book, from one seed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from gateway.market.book import Book, Disturbance
from gateway.market.closes import Closes
from gateway.market.intraday import (
    FULL_DAY,
    Days,
    MinuteMatrix,
    day_ranges,
    day_volumes,
    minute_matrix,
    minute_volumes,
)
from gateway.market.randomness import key_of
from gateway.market.seconds import SecondPath, second_path
from gateway.market.universe import INSTRUMENTS
from gateway.timeline import Span, current_span, span_on

if TYPE_CHECKING:
    from numpy.typing import NDArray

SENTENCE = (
    "daily closes of 20 US stocks from 1990-01-02 to 2022-12-28 are real (skfolio's S&P 500 "
    "sample); everything inside a day, all volumes, spreads and depth, and every session after "
    "2022-12-28 are simulated around them from the seed"
)
CHUNK = 256
KEPT_PATHS = 64


@dataclass(frozen=True, slots=True)
class DailyBars:
    """Daily bars by ordinal: open, high, low, close in USD and volume in shares."""

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]


@dataclass(slots=True)
class Impact:
    """Steps of the permanent log price offset that client trades left, in time order."""

    at: list[int] = field(default_factory=list)
    offset: list[float] = field(default_factory=list)

    def offset_at(self, micros: int) -> float:
        """Return the offset in force at a moment."""
        from bisect import bisect_right

        place = bisect_right(self.at, micros)
        return self.offset[place - 1] if place else 0.0


class Market:
    """Prices of the universe: past bars, and the book of the running session.

    All of it is a function of the seed, the time and the disturbances that client trades have left.
    `daily` belongs to one thread; the rest may be called from that one and the loop's.
    """

    def __init__(self, seed: int, closes: Closes | None = None) -> None:
        self.seed = seed
        self.closes = closes or Closes(seed)
        self.impact = [Impact() for _ in INSTRUMENTS]
        self.disturbance = [Disturbance() for _ in INSTRUMENTS]
        self._keys = [key_of(seed, instrument.symbol) for instrument in INSTRUMENTS]
        self._daily: dict[int, DailyBars] = {}
        self._paths: OrderedDict[tuple[int, int], SecondPath] = OrderedDict()
        self._books: dict[int, Book] = {}
        self._lock = threading.Lock()

    def span(self, ordinal: int) -> Span:
        """Return the session of an ordinal."""
        span = span_on(self.closes.dates[ordinal])
        if span is None:
            raise KeyError(self.closes.dates[ordinal])
        return span

    def book(self, column: int, at: int) -> Book:
        """Return the book of the session that runs at (or opens next after) a moment."""
        return self.book_of(column, current_span(at))

    def book_of(self, column: int, span: Span) -> Book:
        """Return the book of a session; the last one asked for is kept."""
        book = self._books.get(column)
        if book is None or book.span != span:
            ordinal = self.closes.ordinal(span.date)
            vol = float(self.closes.vols(column, ordinal, ordinal + 1)[0])
            book = Book(span, self.path(column, ordinal), vol, self.disturbance[column])
            self._books[column] = book
        return book

    def path(self, column: int, ordinal: int) -> SecondPath:
        """Return the undisturbed one-second market of a session."""
        with self._lock:
            if found := self._paths.get((column, ordinal)):
                self._paths.move_to_end((column, ordinal))
                return found
        matrix, volumes, vol = self.minutes(column, ordinal)
        found = second_path(self._keys[column], ordinal, matrix, volumes, vol)
        with self._lock:
            self._paths[column, ordinal] = found
            while len(self._paths) > KEPT_PATHS:
                self._paths.popitem(last=False)
        return found

    def minutes(self, column: int, ordinal: int) -> tuple[MinuteMatrix, NDArray[np.int64], float]:
        """Return a session's undisturbed minute bars, minute volumes and daily volatility."""
        span, cents = self.span(ordinal), ordinal >= self.closes.real
        days = self._days(column, ordinal, ordinal + 1).row(0, span.minutes, cents)
        total = int(day_volumes(days, INSTRUMENTS[column].volume)[0])
        volumes = minute_volumes(days.key, ordinal, total, span.minutes)
        return minute_matrix(days), volumes, float(days.vols[0])

    def daily(self, column: int, count: int) -> DailyBars:
        """Return undisturbed daily bars of ordinals [0, count), drawn once and kept."""
        have = self._daily.get(column)
        done = 0 if have is None else len(have.close)
        if have is None or done < count:
            parts = [] if have is None else [have]
            for first in range(done, count, CHUNK):
                parts.append(self._daily_rows(column, first, min(first + CHUNK, count)))
            have = _joined(parts)
            self._daily[column] = have
        return have

    def close_cents(self, column: int, ordinal: int) -> int:
        """Return the closing price of a session in whole cents, client impact included."""
        offset = self.impact[column].offset_at(self.span(ordinal).close)
        return max(round(self.closes.close(ordinal, column) * exp(offset) * 100.0), 1)

    def _days(self, column: int, first: int, end: int) -> Days:
        before = self.closes.column(column, max(first - 1, 0), end)
        closes = before[-(end - first) :]
        previous = before[: end - first] if first else np.concatenate((before[:1], before[:-1]))
        vols = self.closes.vols(column, first, end)
        real = end <= self.closes.real
        return Days(self._keys[column], first, previous, closes, vols, FULL_DAY, not real)

    def _daily_rows(self, column: int, first: int, end: int) -> DailyBars:
        days = self._days(column, first, end)
        opened, high, low = day_ranges(days)
        for row in range(end - first):
            minutes = self.span(first + row).minutes
            cents = first + row >= self.closes.real
            if minutes != FULL_DAY or cents != days.cents:
                ranges = day_ranges(days.row(row, minutes, cents))
                opened[row : row + 1], high[row : row + 1], low[row : row + 1] = ranges
        volume = day_volumes(days, INSTRUMENTS[column].volume)
        return DailyBars(opened, high, low, days.closes, volume)

    def ordinals_before(self, day: date) -> int:
        """Return how many sessions there are up to and including a New York date."""
        return self.closes.ordinals_up_to(day)


def _joined(parts: list[DailyBars]) -> DailyBars:
    return DailyBars(
        np.concatenate([part.open for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.close for part in parts]),
        np.concatenate([part.volume for part in parts]),
    )
