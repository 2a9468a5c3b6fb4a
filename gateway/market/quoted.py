"""Bars of bids, offers and midpoints, second by second from the quotes of the book.

The touch of each second is `Book.touch`'s, the lasting impact of clients included; that a level may
be empty for a moment, and what clients rest or take there, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.market.bars import Bar, Rows, clock_groups, concatenated, merge_rows
from gateway.market.market import Market
from gateway.market.universe import INSTRUMENTS
from gateway.timeline import SECOND, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUOTED = frozenset(("BID", "ASK", "MIDPOINT", "BID_ASK"))


@dataclass(frozen=True, slots=True)
class Quotes:
    """The touch in ticks at each second of a stretch, from second `first` on."""

    first: int
    bid: NDArray[np.int64]
    ask: NDArray[np.int64]


def quotes_in(market: Market, column: int, span: Span, first: int, end: int) -> Quotes:
    """Return the touch at the seconds `first` to `end` of a stretch, both included."""
    path, impact = market.path_in(column, span), market.impact[column]
    mids = path.mid[first : end + 1] * INSTRUMENTS[column].units
    spread = path.spread[first : end + 1]
    if impact.at:
        moments = span.open + np.arange(first, first + len(mids)) * SECOND
        offsets = np.concatenate(([0.0], impact.offset))
        mids = mids * np.exp(offsets[np.searchsorted(np.array(impact.at), moments, side="right")])
    bid = np.maximum(np.floor(mids - spread / 2 + 0.5).astype(np.int64), 1)
    return Quotes(first, bid, bid + spread)


def quoted_bars(
    market: Market, column: int, spans: Sequence[Span], until: int, *, seconds: int, show: str
) -> list[Bar]:
    """Return one day's bars of `seconds` each over its stretches, aligned to the clock.

    `show` is BID, ASK, MIDPOINT or BID_ASK: then open and close are the average bid and offer, high
    the highest offer, low the lowest bid. Volumes are zero.
    """
    wide = Span(spans[0].date, spans[0].open, spans[-1].close)
    group, scale = clock_groups(wide, seconds), 1.0 / INSTRUMENTS[column].units
    digits = INSTRUMENTS[column].digits
    parts = [(span, quotes_in(market, column, span, 0, span.second(until))) for span in spans]

    def bars(twice: Callable[[Quotes], NDArray[np.int64]], decimals: int) -> list[Bar]:
        rows: list[Rows] = []
        for span, quotes in parts:
            prices = np.round(twice(quotes) * scale / 2.0, decimals)
            rows.append(_rows(prices, _starts(span, quotes, wide)))
        return merge_rows(concatenated(rows), wide, group)

    if show == "MIDPOINT":
        return bars(lambda quotes: quotes.bid + quotes.ask, digits + 1)
    bids = bars(lambda quotes: quotes.bid * 2, digits) if show != "ASK" else []
    asks = bars(lambda quotes: quotes.ask * 2, digits) if show != "BID" else []
    if show != "BID_ASK":
        return bids or asks
    starts = np.concatenate([_starts(span, quotes, wide) for span, quotes in parts])
    mean_bids = _means(np.concatenate([q.bid[1:] for _, q in parts]), group(starts))
    mean_asks = _means(np.concatenate([q.ask[1:] for _, q in parts]), group(starts))
    return [
        replace(bid, open=round(low * scale, 6), high=ask.high, close=round(high * scale, 6))
        for bid, ask, low, high in zip(bids, asks, mean_bids, mean_asks, strict=True)
    ]


def _starts(span: Span, quotes: Quotes, wide: Span) -> NDArray[np.int64]:
    return np.arange(len(quotes.bid) - 1, dtype=np.int64) + (span.open - wide.open) // SECOND


def _rows(prices: NDArray[Any], start: NDArray[np.int64]) -> Rows:
    before, after = prices[:-1], prices[1:]
    highs, lows = np.maximum(before, after), np.minimum(before, after)
    return Rows(start, before, highs, lows, after, np.zeros_like(start))


def _means(values: NDArray[np.int64], keys: NDArray[np.int64]) -> list[float]:
    """Return the average of the values of each key; equal keys stand together."""
    if not len(values):
        return []
    first = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    counts = np.diff(np.append(first, len(values)))
    return (np.add.reduceat(values, first) / counts).tolist()


def quoted_second_bar(
    market: Market, column: int, span: Span, first: int, end: int, *, show: str
) -> Bar:
    """Return the bar of bids, offers or midpoints over seconds [first, end) of a stretch."""
    quotes, instrument = quotes_in(market, column, span, first, end), INSTRUMENTS[column]
    twice = {"BID": quotes.bid * 2, "ASK": quotes.ask * 2}.get(show, quotes.bid + quotes.ask)
    prices = np.round(twice / (2.0 * instrument.units), instrument.digits + 1)
    cells = prices[0], prices.max(), prices.min(), prices[-1]
    opened, high, low, close = (float(price) for price in cells)
    return Bar(span.open + first * SECOND, span.date, opened, high, low, close, 0)
