"""Real closes are served exactly, bars aggregate exactly, and no day depends on a later one."""

from datetime import date

import numpy as np
import pytest

from gateway.market.bars import daily_bars, grouped, intraday_bars
from gateway.market.closes import Closes, sample_path
from gateway.market.intraday import u_shape
from gateway.market.market import Market
from gateway.market.universe import BY_SYMBOL, INSTRUMENTS, REAL
from gateway.timeline import SECOND, to_micros
from models.domain.sessions import at_exchange_time

AFTER = to_micros(at_exchange_time(date(2022, 12, 29), 8))


def test_history_is_the_shipped_sample_to_the_last_decimal(closes):
    import pandas as pd

    sample = pd.read_csv(sample_path(), index_col=0, parse_dates=True)
    assert closes.dates[: closes.real] == [stamp.date() for stamp in sample.index]
    for column, instrument in enumerate(INSTRUMENTS[:REAL]):
        ours = closes.column(column, 0, closes.real)
        assert (ours == sample[instrument.symbol].to_numpy()).all()


@pytest.mark.parametrize("column", [0, 5, 16])
def test_daily_bars_are_exact_aggregates_of_their_minutes(market, column):
    bars = market.daily(column, market.closes.real)
    half_days = [o for o in range(8000, 8313) if market.span(o).minutes != 390]
    assert half_days
    for ordinal in [0, 1, 17, 4000, 8312, *half_days]:
        minutes, volumes, _ = market.minutes(column, ordinal)
        assert minutes.points.shape[1] == market.span(ordinal).minutes + 1
        assert bars.open[ordinal] == minutes.points[0, 0]
        assert bars.high[ordinal] == minutes.high.max()
        assert bars.low[ordinal] == minutes.low.min()
        assert bars.close[ordinal] == minutes.points[0, -1] == market.closes.close(ordinal, column)
        assert bars.volume[ordinal] == volumes.sum()


def test_bars_are_sane_over_all_history(market):
    bars = market.daily(3, market.closes.real)
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low > 0).all()
    assert (bars.volume > 0).all()
    spread = np.log(bars.high / bars.low)
    assert 0.005 < np.median(spread) < 0.06


def test_a_day_does_not_depend_on_how_many_days_are_drawn(closes):
    few, many = Market(7, closes), Market(7, closes)
    short, long = few.daily(2, 700), many.daily(2, 1500)
    for name in ("open", "high", "low", "close", "volume"):
        assert (getattr(short, name) == getattr(long, name)[:700]).all()


def test_a_few_recent_days_make_no_more_than_their_own_blocks(closes):
    market, whole = Market(7, closes), Market(7, closes)
    made = []
    source = market.source
    drawn = source.days

    def counted(column, first, lengths):
        made.append(len(lengths))
        return drawn(column, first, lengths)

    source.days = counted
    end = closes.real
    recent = market.days(4, end - 7, end)
    assert sum(made) <= 64
    long = whole.daily(4, end)
    for name in ("open", "high", "low", "close", "volume"):
        assert (getattr(recent, name) == getattr(long, name)[-7:]).all()
    assert len(market.days(4, end - 40, end - 33).close) == 7
    grown = market.days(4, end - 7, closes.ordinal(date(2023, 1, 20)))
    assert (grown.close[:7] == recent.close).all()


@pytest.mark.parametrize("symbol", ["SPY", "XLE", "SPX", "VIX", "EUR.USD", "USD.JPY", "SIM007"])
def test_simulated_instruments_have_sane_histories(market, symbol):
    instrument = BY_SYMBOL[symbol]
    bars = market.days(instrument.column, 7000, 7200)
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    ticks = bars.close / float(instrument.tick)
    assert np.allclose(ticks, np.round(ticks), atol=1e-4)
    assert (bars.volume > 0).all() == (instrument.sec_type == "STK")
    path = market.path(instrument.column, 7100)
    assert path.mid[-1] == bars.close[100]
    assert len(path.mid) == market.hours(instrument.column, 7100).seconds + 1


def test_a_fund_follows_its_companies(closes):
    energy = np.diff(np.log(closes.column(BY_SYMBOL["XLE"].column, 6000, 7000)))
    parts = [
        np.diff(np.log(closes.column(BY_SYMBOL[s].column, 6000, 7000))) for s in ("CVX", "XOM")
    ]
    assert np.corrcoef(energy, parts[0])[0, 1] > 0.6
    assert np.corrcoef(energy, parts[1])[0, 1] > 0.6


def test_a_longer_history_changes_no_earlier_simulated_close():
    short, long = Closes(7), Closes(7)
    long.ordinal(date(2023, 6, 1))
    for column in (20, 27, 28, 31, 90):
        assert (short.column(column, 0, 8313) == long.column(column, 0, 8313)).all()
        assert (short.vols(column, 0, 8313) == long.vols(column, 0, 8313)).all()


def test_another_seed_is_another_market_around_the_same_closes(market):
    ours, theirs = market.daily(0, 300), Market(8).daily(0, 300)
    assert (ours.close[:300] == theirs.close[:300]).all()
    assert (ours.open[:300] != theirs.open[:300]).all()


def test_later_closes_keep_the_cross_section_of_a_real_day():
    closes = Closes(7)
    real = np.diff(np.log(np.array(closes._closes[: closes.real])), axis=0)
    ordinal = closes.ordinal(date(2023, 3, 1))
    assert closes.ordinal(date(2023, 1, 3)) < ordinal
    drawn = np.log(np.array(closes._closes[ordinal]) / np.array(closes._closes[ordinal - 1]))
    distance = np.abs(real - drawn).max(axis=1)
    assert distance.min() < 0.0005  # rounding to cents
    again = Closes(7)
    again.ordinal(date(2023, 6, 1))
    assert (again._closes[ordinal] == closes._closes[ordinal]).all()


def test_seconds_stay_inside_their_minutes_and_end_on_the_close(market):
    ordinal = market.closes.ordinal(date(2022, 12, 29))
    path = market.path(4, ordinal)
    minutes, volumes, _ = market.minutes(4, ordinal)
    inside = path.mid[1:].reshape(390, 60)
    assert (inside <= minutes.high[0][:, None]).all()
    assert (inside >= minutes.low[0][:, None]).all()
    assert (path.mid[::60] == minutes.points[0]).all()
    assert (path.volume[1:].reshape(390, 60).sum(axis=1) == volumes).all()
    assert (path.sold <= path.volume).all()
    assert (path.spread >= 1).all()


def test_volume_is_u_shaped(market):
    total = np.zeros(390)
    for ordinal in range(8200, 8230):
        if market.span(ordinal).minutes == 390:
            total += market.minutes(7, ordinal)[1]
    assert total[:30].sum() > 1.5 * total[180:210].sum()
    assert total[-30:].sum() > 1.2 * total[180:210].sum()
    assert u_shape(390).sum() == pytest.approx(1.0)


def test_a_running_day_shows_only_what_has_happened(market):
    ordinal = market.closes.ordinal(date(2022, 12, 29))
    span = market.span(ordinal)
    assert daily_bars(market, 0, ordinal, ordinal + 1, span.open) == []
    until = span.open + 3_723 * SECOND
    (partial,) = daily_bars(market, 0, ordinal, ordinal + 1, until)
    path = market.path(0, ordinal)
    assert partial.close == round(float(path.mid[3_723]), 2)
    assert partial.volume == path.traded[3_723]
    (whole,) = daily_bars(market, 0, ordinal, ordinal + 1, span.close)
    daily = market.daily(0, ordinal + 1)
    assert (whole.open, whole.high, whole.low, whole.close, whole.volume) == (
        daily.open[ordinal],
        daily.high[ordinal],
        daily.low[ordinal],
        daily.close[ordinal],
        daily.volume[ordinal],
    )


@pytest.mark.parametrize("seconds", [5, 60, 300, 1800, 3600, 14_400])
def test_intraday_bars_of_every_size_add_up_to_the_day(market, seconds):
    ordinal = market.closes.real - 1
    (day,) = daily_bars(market, 6, ordinal, ordinal + 1, AFTER)
    bars = intraday_bars(market, 6, ordinal, AFTER, seconds)
    assert bars[0].open == day.open
    assert bars[-1].close == day.close
    assert sum(bar.volume for bar in bars) == day.volume
    if seconds >= 60:
        assert max(bar.high for bar in bars) == day.high
        assert min(bar.low for bar in bars) == day.low
    assert all((bar.start // SECOND) % min(seconds, 1800) == 0 for bar in bars)


def test_weeks_and_months_merge_days(market):
    end = market.closes.real
    days = daily_bars(market, 1, end - 60, end, AFTER)
    weeks = grouped(days, lambda day: day.isocalendar()[:2])
    assert sum(bar.volume for bar in weeks) == sum(bar.volume for bar in days)
    assert weeks[-1].day == date(2022, 12, 28)
    months = grouped(days, lambda day: (day.year, day.month))
    assert [bar.day.month for bar in months][-2:] == [11, 12]
    assert months[-1].high == max(bar.high for bar in days if bar.day.month == 12)
