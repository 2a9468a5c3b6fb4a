"""Lean's files, made by hand: its times in both halves of the year, its factors as actions."""

import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput
from models.domain.instruments import SymbolSpan
from tasks.sources.lean import LeanSource, lean_folder, read_actions
from tasks.sources.tickers import TickerBook

FB = SymbolSpan("META", "FB", valid_to=date(2022, 6, 9))


def _zip(folder: Path, name: str, *lines: str) -> None:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as packed:
        packed.writestr("rows.csv", "\n".join(lines))


async def test_prices_are_ten_thousandths_and_times_new_yorks(tmp_path: Path) -> None:
    _zip(tmp_path, "daily/fb.zip", "20140106 00:00,545000,572600,544800,572000,68852600")
    for day in ("20140307", "20140310"):  # the last session of winter time, the first of summer's
        _zip(tmp_path, f"minute/fb/{day}_trade.zip", "34200000,700000,700100,699900,700050,900")
    book = TickerBook([FB], register=True)
    daily, minutes = [batch async for batch in LeanSource(lean_folder(tmp_path), book).batches()]
    assert daily.frame.to_dict("records") == [
        {"symbol": "META", "session": date(2014, 1, 6), "open": 54.5, "high": 57.26, "low": 54.48,
         "close": 57.2, "volume": 68852600}
    ]  # fmt: skip
    assert minutes.frame["ts"].tolist() == [
        datetime(2014, 3, 7, 14, 30, tzinfo=UTC), datetime(2014, 3, 10, 13, 30, tzinfo=UTC),
    ]  # fmt: skip
    assert minutes.frame["close"].tolist() == [70.005, 70.005]
    assert (daily.timeframe, minutes.timeframe) == ("1d", "1m")


def test_factors_are_splits_and_dividends_of_the_next_session(tmp_path: Path) -> None:
    path = tmp_path / "aapl.csv"
    path.write_text(
        "20140606,0.98,0.142857,645.57\n20140806,0.99,1,94.96\n20201231,1,1,132.69\n"
        "20501231,1,1,0\n"
    )
    split, first, second = read_actions(path)
    assert split == CorporateAction("AAPL", date(2014, 6, 9), ActionKind.SPLIT, 7.0), "a Monday"
    assert (first.ex_date, first.kind) == (date(2014, 6, 9), ActionKind.DIVIDEND)
    assert first.value == pytest.approx(645.57 * (1 - 0.98 / 0.99), abs=1e-6)
    assert second.ex_date == date(2014, 8, 7)
    assert second.value == pytest.approx(94.96 * 0.01, abs=1e-6)


def test_files_of_another_form_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name the folder that holds those"):
        lean_folder(tmp_path)
    path = tmp_path / "aapl.csv"
    path.write_text("2014,1\n")
    with pytest.raises(InvalidInput, match="aapl.csv"):
        read_actions(path)
