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
from gateway.market.extended import extended_path
from gateway.market.intraday import MinuteMatrix
from gateway.market.randomness import key_of
from gateway.market.seconds import SecondPath, second_path
from gateway.market.source import DailyBars, Simulated, Source, joined
from gateway.market.ticks import Tape
from gateway.market.universe import INSTRUMENTS
from gateway.timeline import Span, current_span, forex_span, new_york, span_on

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 32  # sessions that are made together
KEPT_PATHS = 128
KEPT_TAPES = 256


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

    All of it is a function of the source, the time and the disturbances that client trades have
    left. Bars, paths and new books may be asked for from any thread; kept books and tapes are the
    loop's.
    """

    def __init__(
        self, seed: int, closes: Closes | None = None, source: Source | None = None
    ) -> None:
        self.seed = seed
        self.source = source or Simulated(seed, closes or Closes(seed))
        self.closes = self.source.closes
        self.name = "simulated"  # what `--source` was
        self.impact = [Impact() for _ in INSTRUMENTS]
        self.disturbance = [Disturbance() for _ in INSTRUMENTS]
        self._keys = [key_of(seed, instrument.local_symbol) for instrument in INSTRUMENTS]
        self._daily: dict[tuple[int, int], DailyBars] = {}
        self._paths: OrderedDict[tuple[int, int], SecondPath] = OrderedDict()
        self._books: dict[int, Book] = {}
        self._tapes: OrderedDict[tuple[int, Span], Tape] = OrderedDict()
        self._lock = threading.Lock()

    def span(self, ordinal: int) -> Span:
        """Return the session of an ordinal."""
        span = span_on(self.closes.dates[ordinal])
        if span is None:
            raise KeyError(self.closes.dates[ordinal])
        return span

    def hours(self, column: int, ordinal: int) -> Span:
        """Return when an instrument trades in a session: forex from the evening before."""
        if INSTRUMENTS[column].sec_type == "CASH":
            return forex_span(self.closes.dates[ordinal])
        return self.span(ordinal)

    def last_span(self, column: int, at: int) -> Span | None:
        """Return the last session of an instrument that has ended, or None before the first."""
        place = min(self.ordinals_before(new_york(at).date()) + 1, len(self.closes.dates)) - 1
        while place >= 0 and self.hours(column, place).close > at:
            place -= 1
        return self.hours(column, place) if place >= 0 else None

    def digits(self, column: int, ordinal: int) -> int:
        """Return the decimal places of a session's prices."""
        if self.closes.is_adjusted(column, ordinal):
            return 6
        return INSTRUMENTS[column].digits

    def book(self, column: int, at: int) -> Book:
        """Return the book of the session that runs at (or opens next after) a moment."""
        return self.book_of(column, current_span(at))

    def book_of(self, column: int, span: Span) -> Book:
        """Return the book of a session or a stretch around it; the last one asked for is kept."""
        book = self._books.get(column)
        if book is None or book.span != span:
            book = self.new_book(column, span, self.disturbance[column])
            self._books[column] = book
        return book

    def tape(self, column: int, span: Span) -> Tape:
        """Return the tape of a session, kept for all who follow it while it is asked for."""
        tape = self._tapes.get((column, span))
        if tape is None:
            tape = self._tapes[column, span] = Tape(self, column, span)
            if len(self._tapes) > KEPT_TAPES:
                self._tapes.popitem(last=False)
        else:
            self._tapes.move_to_end((column, span))
        return tape

    def new_book(self, column: int, span: Span, state: Disturbance) -> Book:
        """Return a book of any session, disturbed by `state` alone."""
        ordinal = self.closes.ordinal(span.date)
        vol = float(self.closes.vols(column, ordinal, ordinal + 1)[0])
        recorded = self.source.book(column, span, state, vol)
        if recorded is not None:
            return recorded
        return Book(span, self.path_in(column, span), vol, state, INSTRUMENTS[column].units)

    def path_in(self, column: int, span: Span) -> SecondPath:
        """Return the undisturbed seconds of a session, or of a stretch before or after one."""
        ordinal = self.closes.ordinal(span.date)
        if span == self.hours(column, ordinal):
            return self.path(column, ordinal)
        if (found := self._kept(column, span.open)) is None:
            found = self._keep(column, span.open, extended_path(self, column, span))
        return found

    def path(self, column: int, ordinal: int) -> SecondPath:
        """Return the undisturbed one-second market of a session."""
        if (found := self._kept(column, ordinal)) is not None:
            return found
        found = self.source.path(column, ordinal)
        if found is None:
            matrix, volumes, vol = self.minutes(column, ordinal)
            found = second_path(self._keys[column], ordinal, matrix, volumes, vol)
        return self._keep(column, ordinal, found)

    def opening_mid(self, column: int, ordinal: int) -> float:
        """Return the first mid of a session's path in USD, without making all of its seconds."""
        recorded = self.source.path(column, ordinal)
        if recorded is not None:
            return float(recorded.mid[0])
        return float(self.minutes(column, ordinal)[0].points[0, 0])

    def _kept(self, column: int, when: int) -> SecondPath | None:
        """Return a path that was made before; `when` is its ordinal, or when its stretch opens."""
        with self._lock:
            if found := self._paths.get((column, when)):
                self._paths.move_to_end((column, when))
            return found

    def _keep(self, column: int, when: int, path: SecondPath) -> SecondPath:
        with self._lock:
            self._paths[column, when] = path
            while len(self._paths) > KEPT_PATHS:
                self._paths.popitem(last=False)
        return path

    def minutes(self, column: int, ordinal: int) -> tuple[MinuteMatrix, NDArray[np.int64], float]:
        """Return a session's undisturbed minute bars, minute volumes and daily volatility."""
        return self.source.minutes(column, ordinal, self.hours(column, ordinal).minutes)

    def daily(self, column: int, count: int) -> DailyBars:
        """Return undisturbed daily bars of ordinals [0, count)."""
        return self.days(column, 0, count)

    def days(self, column: int, first: int, end: int) -> DailyBars:
        """Return undisturbed daily bars of ordinals [first, end), made once and kept by blocks."""
        parts: list[DailyBars] = []
        for number in range(first // BLOCK, (max(end, first + 1) - 1) // BLOCK + 1):
            start = number * BLOCK
            rows = self._block(column, number, min(end - start, BLOCK))
            parts.append(rows.cut(max(first - start, 0), min(end - start, BLOCK)))
        return joined(parts)

    def _block(self, column: int, number: int, wanted: int) -> DailyBars:
        """Return at least the first `wanted` sessions of a block."""
        have = self._daily.get((column, number))
        done = 0 if have is None else len(have.close)
        if have is None or done < wanted:
            start = number * BLOCK
            lengths = [self.hours(column, start + row).minutes for row in range(done, wanted)]
            more = self.source.days(column, start + done, lengths)
            have = more if have is None else joined([have, more])
            self._daily[column, number] = have
        return have

    def close_cents(self, column: int, ordinal: int) -> int:
        """Return the closing price of a session in whole cents, client impact included."""
        if ordinal < 0:  # before the first session of a replayed file
            return max(round(float(self.days(column, 0, 1).open[0]) * 100.0), 1)
        offset = self.impact[column].offset_at(self.span(ordinal).close)
        return max(round(self.closes.close(ordinal, column) * exp(offset) * 100.0), 1)

    def ordinals_before(self, day: date) -> int:
        """Return how many sessions there are up to and including a New York date."""
        return self.closes.ordinals_up_to(day)
