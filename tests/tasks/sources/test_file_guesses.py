"""What a bar file's head is taken for where more than one reading is possible."""

from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from tasks.sources.files import FileOptions, plan_import
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

    from tasks.sources.imports import import_files

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
