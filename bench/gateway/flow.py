"""What one event of the simulated order books costs, and how much like a market they behave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from itertools import pairwise

import numpy as np

from bench.figures import Figure, at_least, at_most
from gateway.market.book import Book, Disturbance, Top
from gateway.market.flow import Flow
from gateway.market.market import Market
from gateway.timeline import SECOND

SESSION = date(2022, 12, 29)
PRICES = 20  # levels that are followed
WATCHED = 1_200  # seconds


def measure() -> Iterator[Figure]:
    """Follow twenty prices of one book; then hold one session against the stylised facts."""
    yield Figure(
        "gateway.book_event",
        _event_micros(),
        "us of one core, an arrival or cancellation",
        "budget of 5 us",
        5.0,
        at_most(1.0),
    )
    market = Market(7)
    ordinal = market.closes.ordinal(SESSION)
    book = Book(market.span(ordinal), market.path(0, ordinal), 0.02, Disturbance())
    tops = [book.top(book.span.open + second * SECOND) for second in range(23_400)]
    yield Figure(
        "gateway.order_flow_r2",
        _order_flow_fit(tops),
        "R2 of 10 s mid changes on order flow imbalance",
        "Cont, Kukanov & Stoikov (2014)",
        0.65,
        at_least(0.7),
    )
    returns = np.diff(np.log(book.path.mid))
    noise = float(2.0 / np.sqrt(len(returns)))
    yield Figure(
        "gateway.return_memory",
        max(abs(_memory(returns, lag)) for lag in (2, 5, 10, 30, 60)),
        "largest autocorrelation of 1 s returns",
        "a market's at most: 0.05",
        0.05,
        at_most(1.0),
    )
    yield Figure(
        "gateway.volatility_memory",
        min(_memory(np.abs(returns), lag) for lag in (1, 5, 10, 60)),
        "least autocorrelation of absolute 1 s returns",
        "two standard errors of none",
        noise,
        at_least(2.0),
    )


def _event_micros() -> float:
    flow, events = Flow(11, 200.0), 0
    before: list[set[object]] = [set() for _ in range(PRICES)]
    moments = range(3_600 * SECOND, (3_600 + WATCHED) * SECOND, SECOND // 4)
    for at in moments:
        for price in range(PRICES):
            now: set[object] = set(flow.queue(True, 10_000 + price, at))
            events += len(now ^ before[price])
            before[price] = now
    fresh = Flow(11, 200.0)
    started = time.process_time()
    for at in moments:
        for price in range(PRICES):
            fresh.queue(True, 10_000 + price, at)
    return (time.process_time() - started) / events * 1e6


def _memory(values: np.ndarray, lag: int) -> float:
    values = values - values.mean()
    return float((values[lag:] * values[:-lag]).mean() / (values * values).mean())


def _order_flow_fit(tops: list[Top]) -> float:
    flow = []
    for old, new in pairwise(tops):
        shares = new.bid_size * (new.bid >= old.bid) - old.bid_size * (new.bid <= old.bid)
        shares -= new.ask_size * (new.ask <= old.ask) - old.ask_size * (new.ask >= old.ask)
        flow.append(shares)
    moved = np.diff([(top.bid + top.ask) / 2 for top in tops])
    every = 10 * (len(moved) // 10)
    by_bin = [np.array(v[:every]).reshape(-1, 10).sum(axis=1) for v in (flow, moved)]
    return float(np.corrcoef(*by_bin)[0, 1] ** 2)
