"""What a bar file's head is taken for where more than one reading is possible."""

from pathlib import Path

import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from tasks.sources.file_rows import COMMA
from tasks.sources.file_times import AMBIGUOUS, TimeForm, guess_times, read_times
from tasks.sources.files import FileOptions, plan_import
from tasks.sources.imports import import_files
from tasks.sources.told_reasons import UNKNOWN_ADVICE, mostly_unknown, told
from warehouse.market import MarketWarehouse

BAR = "10,11,9,10,500"
FIELDS = ("Open", "High", "Low", "Close", "Adj Close", "Volume")


@pytest.fixture
def write(tmp_path: Path):
    def make(*lines: str, name: str = "bars.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return make


def head(*names: str) -> str:
    return ",".join(names)


@pytest.mark.parametrize("fields_first", [True, False])
@pytest.mark.parametrize("index_line", [True, False])
def test_a_table_with_two_header_lines_is_wide(write, tmp_path, fields_first, index_line):
    fields = head("Price", *(field for field in FIELDS for _ in "ab"))
    symbols = head("Ticker", *(["KO", "BRK-B"] * len(FIELDS)))
    lines = [fields, symbols] if fields_first else [symbols, fields]
    lines += [head("Date", *[""] * 12)] if index_line else []
    rows = [f"2024-01-0{day},10,20,11,21,9,19,10,20,9.5,19.5,500,600" for day in (2, 3)]
    plan = plan_import(write(*lines, *rows), FileOptions())
    assert plan.columns.layout == "wide" and plan.timeframe == "1d"
    assert plan.columns.wide["BRK-B_Close"] == ("BRK-B", "close")
    assert plan.columns.unused == ("KO_Adj Close", "BRK-B_Adj Close")

    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    import_files(store, plan, lambda _text: None, register=True)
    bars = store.bars.daily().set_index(["symbol", "session"])
    assert len(bars) == 4
    assert (
        bars.loc["BRK-B", ["open", "high", "low", "close", "volume"]].to_numpy().tolist()
        == [[20, 21, 19, 20, 600]] * 2
    )


def test_one_header_line_over_text_that_is_no_symbol_stays_one(write):
    path = write("Date,Open,High,Low,Close,Volume", "2024-01-02,nan,nan,nan,nan,nan",
                 f"2024-01-03,{BAR}")  # fmt: skip
    assert plan_import(path, FileOptions()).columns.layout == "per-symbol"


def test_dates_that_may_be_day_or_month_first_are_asked_for(write):
    lines = ["Symbol,Date,Open,High,Low,Close,Volume"]
    path = write(*lines, *(f"S{n},02/01/2024,{BAR}" for n in range(30)))
    with pytest.raises(InvalidInput, match=r"day or the month .*--time-format '%m/%d/%Y' or '%d/"):
        plan_import(path, FileOptions())
    assert plan_import(path, FileOptions(time_format="%d/%m/%Y")).times.form == "%d/%m/%Y"
    with pytest.raises(InvalidInput, match="does not read the file"):
        plan_import(path, FileOptions(time_format="%Y/%d/%m"))
    with pytest.raises(InvalidInput, match="does not read the file"):
        plan_import(path, FileOptions(time_format="%d/%Q/%Y"))
    told_apart = write(*lines, f"KO,02/01/2024,{BAR}", f"KO,02/13/2024,{BAR}", name="us.csv")
    assert plan_import(told_apart, FileOptions()).times.form == "%m/%d/%Y"


def test_the_year_of_a_spelt_out_date_is_no_offset_from_utc(write):
    lines = ["Symbol,Date,Open,High,Low,Close,Volume"]
    path = write(*lines, *(f"KO,{day}-Jan-2024,{BAR}" for day in (2, 3, 16)))
    assert plan_import(path, FileOptions()).times.text == "%d-%b-%Y, no time zone"
    path = write(*lines, *(f"KO,{day:02}-01-2024,{BAR}" for day in (2, 3, 16)))
    plan = plan_import(path, FileOptions(time_format="%d-%m-%Y"))
    assert plan.times.text == "%d-%m-%Y, no time zone"


def test_clocks_that_change_leave_times_that_are_none_or_two():
    texts = pd.Series(["2024-11-03 01:30:00", "2024-11-03 02:00:00", "2024-03-10 02:30:00"])
    moments, why = read_times(texts, TimeForm("ISO8601", False, "America/New_York"))
    assert why.tolist() == [AMBIGUOUS, "", AMBIGUOUS]
    assert moments[1] == pd.Timestamp("2024-11-03 07:00", tz="UTC")


def test_epochs_are_told_apart_by_their_digits():
    for number, unit in ((10**9, "s"), (10**12, "ms"), (10**15, "us"), (10**18, "ns")):
        form = guess_times([str(number)], None)
        moments, _ = read_times(pd.Series([str(number)]), form)
        assert form.form == unit and moments[0] == pd.Timestamp("2001-09-09 01:46:40", tz="UTC")


def test_a_column_that_is_there_twice_is_asked_for(write):
    path = write("Symbol,Date,Open,High,Low,Close,Close,Volume", "KO,2024-01-02,1,1,1,1,2,5")
    with pytest.raises(InvalidInput, match="bars.csv has the column 'Close' 2 times"):
        plan_import(path, FileOptions())
    noted = write("Symbol,Date,Open,High,Low,Close,Volume,Note,Note", f"KO,2024-01-02,{BAR},a,b")
    assert plan_import(noted, FileOptions()).columns.unused == ("Note", "Note")


def test_a_number_with_a_comma_is_refused_as_such(write, tmp_path):
    rows = [f"KO;2024-01-{day:02};60,1;60,5;59,5;60,2;1000" for day in range(2, 32)]
    plan = plan_import(write("symbol;date;open;high;low;close;volume", *rows), FileOptions())
    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    with pytest.raises(InvalidInput, match="30 because a number has a comma; write a decimal poin"):
        import_files(store, plan, lambda _text: None, register=True)
    wide = [f'2024-01-{day:02},60.5,70.5,80.5,"1,060.5"' for day in range(2, 32)]
    lines = ("Date,KO,PEP,MRK,JNJ", *wide)
    plan = plan_import(write(*lines, name="wide.csv"), FileOptions(layout="wide"))
    report = import_files(store, plan, lambda _text: None, register=True).landing
    assert report.rejected[COMMA] == 30 and report.added == 3 * 21, "no empty cells, but refused"


def test_a_zone_without_daylight_saving_is_refused(write):
    path = write("symbol,ts,open,high,low,close,volume", f"KO,2024-07-01 09:30:00,{BAR}",
                 f"KO,2024-07-01 09:31:00,{BAR}")  # fmt: skip
    with pytest.raises(InvalidInput, match="EST has no daylight saving.*America/New_York"):
        plan_import(path, FileOptions(zone="EST"))


def test_a_file_without_volume_is_taken_on_a_word(write):
    path = write("Date,Open,High,Low,Close", "2024-01-02,10,11,9,10", "2024-01-03,10,11,9,10")
    with pytest.raises(InvalidInput, match="--map volume= takes 0 shares"):
        plan_import(path, FileOptions())
    plan = plan_import(path, FileOptions(overrides={"volume": ""}))
    assert "volume    none: 0 shares" in plan.lines


def test_unknown_symbols_are_told_as_one_reason_with_what_to_do():
    from collections import Counter

    reasons = [f"unknown symbol S{n:02}: it is no instrument" for n in range(40)] + ["other"] * 3
    text = told(Counter(reasons))
    assert text.startswith("40 because 40 symbols are no instruments of the warehouse: S00, S01")
    assert text.endswith("S09 …; 3 because other")
    assert mostly_unknown(reasons) and "--new-symbols" in UNKNOWN_ADVICE
    assert told(Counter(f"reason {n}" for n in range(20))).endswith("; 12 for other reasons")
