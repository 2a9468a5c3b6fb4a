"""What a chart shows: every missing bar in a red band, a split told once, thin bars of volume."""

from datetime import date

import pandas as pd

from models.domain.sessions import session_dates
from tasks.market_data.data_charts import MOST_GAPS, candle_chart, gap_bands

DAYS = session_dates(date(2004, 6, 1), date(2006, 6, 30))


def test_missing_bars_that_follow_one_another_are_one_band() -> None:
    assert gap_bands([]) == []
    assert gap_bands([7, 3, 4, 5, 9]) == [(3, 5), (7, 7), (9, 9)]
    scattered = [*range(0, 1000, 2), *range(2000, 2500)]
    bands = gap_bands(scattered)
    assert len(bands) == MOST_GAPS and bands[-1] == (2000, 2499), "the longest are drawn"


def test_a_gap_of_two_years_is_red_from_its_first_to_its_last_session() -> None:
    kept = [*DAYS[:20], *DAYS[-10:]]
    bars = pd.DataFrame({"session": kept, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5})
    gaps = [str(day) for day in DAYS[20:-10]]
    assert len(gaps) > MOST_GAPS
    splits = {str(DAYS[5]): 7.0}
    figure = candle_chart("QQQ", "1d", bars.assign(volume=5), gaps, splits=splits, quarantined=0)
    bands = {(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"}
    assert bands == {(19.5, 19.5 + len(gaps))}
    lines = [shape.x0 for shape in figure.layout.shapes if shape.type == "line"]
    assert lines == [4.5, 4.5], "through prices and volume"
    told = [note.text for note in figure.layout.annotations]
    assert told == ["split, 7 for 1"]
    assert f"{len(gaps):,} missing (red bands)" in figure.layout.title.text
