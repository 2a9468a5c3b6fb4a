"""Bars of bids, offers and midpoints are those of the quotes, on the tick."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.codec.framing import FrameReader, tokens_of
from gateway.market.bars import Bar
from gateway.market.quoted import quoted_bars, quoted_second_bar
from gateway.market.ticks import Tape
from gateway.market.universe import BY_SYMBOL
from gateway.session.history_query import quoted_day, read_query
from gateway.session.history_requests import _history
from gateway.timeline import SECOND, stretches

KO = BY_SYMBOL["KO"]
MINUTES = range(600, 720)


@pytest.fixture(scope="module")
def day(market):
    """The first simulated session, its ordinal, and what the tape quotes in some of its minutes."""
    span = market.span(market.closes.ordinal(market.source.usual_start))
    tape = Tape(market, KO.column, span)
    return span, [tape.quote(span.open + second * SECOND) for second in (*MINUTES, 720)]


def bars(market, span, show, seconds=60):
    found = quoted_bars(market, KO.column, (span,), span.close, seconds=seconds, show=show)
    return [bar for bar in found if 600 <= (bar.start - span.open) // SECOND < 720]


def test_bids_and_offers_are_the_quotes_of_their_seconds(market, day):
    span, quotes = day
    for show, side in (("BID", "bid"), ("ASK", "ask")):
        told = [getattr(quote, side) / 100.0 for quote in quotes]
        for place, bar in enumerate(bars(market, span, show)):
            part = told[place * 60 : place * 60 + 61]
            assert (bar.open, bar.close) == pytest.approx((part[0], part[-1]), abs=0.0101)
            assert bar.high == pytest.approx(max(part), abs=0.0101)
            assert bar.low == pytest.approx(min(part), abs=0.0101)
            assert bar.close == round(bar.close, 2)


def test_midpoints_lie_between(market, day):
    span, _ = day
    shown = [bars(market, span, show) for show in ("BID", "MIDPOINT", "ASK", "BID_ASK")]
    for bid, mid, ask, both in zip(*shown, strict=True):
        assert mid.close == pytest.approx((bid.close + ask.close) / 2)
        assert bid.close < mid.close < ask.close
        assert (both.low, both.high) == (bid.low, ask.high)
        assert bid.low <= both.open < both.close <= ask.high


def test_small_bars_make_large_ones(market, day):
    span, _ = day
    for show in ("BID", "MIDPOINT", "ASK"):
        fives, minutes = bars(market, span, show, 5), bars(market, span, show)
        for place, minute in enumerate(minutes):
            part = fives[place * 12 : place * 12 + 12]
            assert minute.high == max(bar.high for bar in part)
            assert (minute.open, minute.close) == (part[0].open, part[-1].close)
        streamed = quoted_second_bar(market, KO.column, span, 600, 605, show=show)
        assert streamed == fives[0]


def test_bars_with_the_hours_around(market, day):
    span, _ = day
    around = stretches(span.date)
    wide = quoted_bars(market, KO.column, around, around[-1].close, seconds=3600, show="ASK")
    assert len(wide) == 16
    assert np.all(np.diff([bar.start for bar in wide]) == 3600 * SECOND)


@pytest.mark.parametrize("show", ["BID", "ASK", "BID_ASK"])
def test_daily_bids_go_down_to_the_tick_and_offers_up(show):
    bar = Bar(0, None, 60.013, 60.5, 59.987, 60.021, 5)
    shown = quoted_day(bar, show, KO)
    assert shown == replace(
        bar,
        **{
            "BID": {"open": 60.0, "high": 60.49, "low": 59.98, "close": 60.01},
            "ASK": {"open": 60.02, "high": 60.51, "low": 60.0, "close": 60.03},
            "BID_ASK": {"open": 60.01, "high": 60.51, "low": 59.98, "close": 60.03},
        }[show],
    )


@pytest.mark.parametrize("duration", ["60 S", "120 S"])
def test_the_header_of_a_short_history_names_its_own_beginning(market, day, duration):
    span, _ = day
    values = {
        **{"endDateTime": "", "whatToShow": "BID", "keepUpToDate": False, "duration": duration},
        **{"barSize": "5 secs", "formatDate": 1, "useRTH": True, "conId": KO.con_id},
        **{"symbol": "", "secType": "", "localSymbol": ""},
    }
    query = read_query(values, span.open + 720 * SECOND)
    data, _ = _history(market, query, 5)
    (payload,) = FrameReader().feed(data)
    _, _, start, end, count, first, *_ = tokens_of(payload)
    assert (start, end) == (first, "20221229 09:42:00 US/Eastern")
    assert int(count) == query.count // 5
