"""Bar files as people have them: guessed, shown, overridable; and every bad one told apart."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.domain.instruments import SymbolSpan
from models.domain.sessions import session_dates
from tasks.sources.files import FileOptions, plan_import
from tasks.sources.imports import import_files, import_sample, import_table
from tasks.sources.landing import LandingReport
from warehouse.market import MarketWarehouse
from warehouse.market.minute_rows import BEYOND

NY = "America/New_York"
DAYS = session_dates(date(2024, 1, 2), date(2024, 3, 28))


@pytest.fixture
def store(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)


@pytest.fixture
def write(tmp_path: Path):
    """Write a frame (or text) as a file and return its path."""

    def make(content, name="bars.csv") -> Path:
        path = tmp_path / "files" / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif name.endswith("parquet"):
            content.to_parquet(path, index=False)
        else:
            content.to_csv(path, index=False)
        return path

    return make


def daily(symbol="KO", days=DAYS, start=60.0) -> pd.DataFrame:
    close = start + np.arange(len(days)) * 0.25
    return pd.DataFrame(
        {
            **{"Ticker": symbol, "Date": [f"{day}" for day in days], "Open": close - 0.1},
            **{"High": close + 0.5, "Low": close - 0.5, "Close": close, "Vol": 1000},
        }
    )


def minutes(zone_text="") -> pd.DataFrame:
    stamps = pd.date_range("2024-01-02 09:30", periods=60, freq="min")
    close = 60 + np.arange(60) * 0.01
    prices = {"o": close, "h": close + 0.1, "l": close - 0.1, "c": close, "v": 10}
    return pd.DataFrame({"timestamp": stamps.strftime(f"%Y-%m-%d %H:%M:%S{zone_text}"), **prices})


def bring(store, path, **options) -> LandingReport:
    register = options.pop("register", True)
    plan = plan_import(path, FileOptions(**options))
    return import_files(store, plan, lambda _text: None, register=register).landing


def test_one_long_file_is_guessed_shown_and_merged_once(store, write):
    path = write(pd.concat([daily(), daily("PEP", start=170.0)]))
    shown = "\n".join(plan_import(path, FileOptions()).lines)
    assert "layout    long" in shown and "close     column 'Close'" in shown
    assert "volume    column 'Vol'" in shown and "bars      of 1d" in shown
    report = bring(store, path)
    assert (report.added, report.symbols) == (2 * len(DAYS), {"KO", "PEP"})
    report.rejected.update({"it is blue": 2, "it is late": 1})
    assert report.lines[1:3] == [
        "  quarantined: 2 because it is blue",
        "  quarantined: 1 because it is late",
    ]
    assert "\n" not in report.summary
    again = bring(store, path)
    assert (again.added, again.unchanged) == (0, 2 * len(DAYS))
    assert {instrument.symbol for instrument in store.instruments.all()} == {"KO", "PEP"}


def test_prices_that_a_vendor_has_adjusted_are_not_adjusted_twice(store, write, tmp_path):
    split = DAYS[30]
    raw = daily(start=60.0)
    after = np.array(DAYS) >= split
    raw.loc[after, ["Open", "High", "Low", "Close"]] /= 2
    vendor = raw.copy()
    vendor.loc[~after, ["Open", "High", "Low", "Close"]] /= 2
    table = tmp_path / "a.csv"
    table.write_text(f"symbol,ex_date,kind,value\nKO,{split},split,2\nPEP,{split},split,2\n")
    import_table(store, "actions", table)
    options = FileOptions(adjusted="splits", adjusted_through=DAYS[-1])
    path = write(vendor)
    assert "for splits to 2024-03-28" in "\n".join(plan_import(path, options).lines)
    report = bring(store, path, adjusted="splits", adjusted_through=DAYS[-1])
    assert (report.added, report.quality.refused.total()) == (len(DAYS), 0)
    bring(store, write(raw.assign(Ticker="PEP"), "raw.csv"))
    for on in (DAYS[0], DAYS[29], split, DAYS[-1]):
        views = store.bars.adjusted(last=on, on=on).pivot(
            index="session", columns="symbol", values="close"
        )
        np.testing.assert_allclose(views["KO"], views["PEP"])
    with pytest.raises(InvalidInput, match="minutes are kept as they were traded"):
        plan_import(write(minutes(), "KO.csv"), FileOptions(zone=NY, adjusted="splits"))


def test_unadjusted_bars_beside_adjusted_ones_pass_once_the_splits_are_on_record(
    store, write, tmp_path
):
    cut = 40
    vendor = daily(start=60.0).iloc[:cut]
    vendor[["Open", "High", "Low", "Close"]] /= 20
    bring(store, write(vendor), adjusted="splits", adjusted_through=date(2024, 6, 28))
    raw = write(daily(start=60.0).iloc[cut:], "raw.csv")
    report = bring(store, raw)
    (reason,) = report.quality.refused
    assert "adjusted for splits (the sample's, a vendor's) beside unadjusted ones" in reason
    table = tmp_path / "a.csv"
    table.write_text("symbol,ex_date,kind,value\nKO,2024-06-10,split,20\n")
    import_table(store, "actions", table)
    report = bring(store, raw)
    assert (report.added, report.quality.settled) == (len(DAYS) - cut, len(DAYS) - cut)
    seen = store.bars.adjusted(on=DAYS[-1])["close"]
    np.testing.assert_allclose(seen, daily(start=60.0)["Close"])


def test_one_file_a_symbol_takes_the_name_of_the_file(store, write):
    folder = write(daily().drop(columns="Ticker"), "ko.csv").parent
    write(daily(start=170.0).drop(columns="Ticker"), "PEP.parquet")
    report = bring(store, folder)
    assert (report.added, report.symbols) == (2 * len(DAYS), {"KO", "PEP"})


def test_a_wide_file_of_closes_and_one_of_every_field(store, write):
    closes = pd.DataFrame({"Date": [str(day) for day in DAYS], "KO": 60.0, "PEP": 170.0})
    closes.loc[:4, "PEP"] = np.nan
    path = write(closes)
    assert "open, high and low are taken to be the close" in "\n".join(
        plan_import(path, FileOptions()).lines
    )
    report = bring(store, path)
    assert report.added == 2 * len(DAYS) - 5
    assert sum(report.left_out.values()) == 5
    frame = daily()
    fields = {f"JNJ_{name.lower()}": frame[name] for name in ("Open", "High", "Low", "Close")}
    assert bring(store, write(pd.DataFrame({"Date": frame["Date"], **fields}))).added == len(DAYS)
    assert store.bars.daily(["JNJ"])["high"].iloc[0] == 60.5


def test_columns_can_be_named_otherwise(store, write):
    path = write(daily().assign(adj=30.0).rename(columns={"Close": "weird"}))
    with pytest.raises(InvalidInput, match=r"no column for close.*weird.*--map close=COLUMN"):
        plan_import(path, FileOptions())
    plan = plan_import(path, FileOptions(overrides={"close": "weird"}))
    assert plan.columns.unused == ("adj",)
    with pytest.raises(InvalidInput, match="there is no such column"):
        plan_import(path, FileOptions(overrides={"close": "nope"}))
    with pytest.raises(InvalidInput, match="map one of symbol"):
        plan_import(path, FileOptions(overrides={"price": "weird"}))


def test_minutes_need_a_time_zone_and_get_it_right_across_dst(store, write):
    path = write(minutes(), "KO.csv")
    with pytest.raises(InvalidInput, match="--timezone America/New_York"):
        plan_import(path, FileOptions())
    with pytest.raises(InvalidInput, match="Mars/Base is unknown"):
        plan_import(path, FileOptions(zone="Mars/Base"))
    assert bring(store, path, zone=NY).added == 60
    bars = store.minutes.bars(["KO"])
    assert bars["ts"].iloc[0] == datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    aware = bring(store, write(minutes("-05:00"), "KO.csv"))
    assert (aware.added, aware.unchanged) == (0, 60), "the same moments"
    summer = minutes().replace("2024-01-02", "2024-07-02", regex=True)
    bring(store, write(summer, "KO.csv"), zone=NY)
    assert store.minutes.bars(["KO"])["ts"].iloc[-60].hour == 13


def test_epochs_and_american_dates_are_recognised(store, write):
    frame = minutes()
    moments = pd.to_datetime(frame["timestamp"]).dt.tz_localize(NY)
    path = write(frame.assign(timestamp=[int(m.timestamp()) for m in moments]), "KO.csv")
    assert "since 1970 UTC" in plan_import(path, FileOptions()).times.text
    american = daily().assign(Date=[f"{day:%m/%d/%Y}" for day in DAYS])
    bring(store, write(american))
    assert store.bars.daily(["KO"])["session"].tolist() == list(DAYS)


def test_mixed_time_zones_are_refused_or_quarantined(store, write):
    mixed = pd.concat([minutes(), minutes("-05:00").iloc[5:7]])
    with pytest.raises(InvalidInput, match="row 61.*time zone of some is not known"):
        plan_import(write(mixed, "KO.csv"), FileOptions(zone=NY))
    many = [
        minutes().assign(timestamp=lambda f, d=d: f["timestamp"].str.replace("2024-01-02", str(d)))
        for d in DAYS[:10]
    ]
    late = pd.concat([*many, minutes("Z").iloc[:3]])
    report = bring(store, write(late, "KO.csv"), zone=NY)
    assert report.added == 600
    assert dict(report.rejected) == {
        "the time has an offset from UTC, though others of the file have none": 3
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Close": np.nan}, "a value is missing"),
        ({"Close": "n/a"}, "a value is missing"),
        ({"Low": -5.0}, "a price is not finite and above zero"),
        ({"High": 1.0}, "the high or the low does not enclose the other prices"),
        ({"Low": 62.0}, "the high or the low does not enclose the other prices"),
        ({"Vol": -1}, "the volume is below zero or not whole"),
        ({"Vol": 10.5}, "the volume is below zero or not whole"),
        ({"Vol": 1e19}, "the volume is below zero or not whole"),
        ({"High": 2e7}, "a price is not below 1e7 USD"),
        ({"Date": "2024-01-06"}, "New York has no session on its date"),
        ({"Date": "2039-01-04"}, BEYOND),
        ({"Date": "soon"}, "the date or time cannot be read"),
        ({"Ticker": "?!"}, "'?!' is no symbol"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason(store, write, change, reason):
    frame = daily().astype(object)
    for name, value in change.items():
        frame.loc[7, name] = value
    report = bring(store, write(frame))
    assert dict(report.rejected) == {reason: 1}
    assert report.added == len(DAYS) - 1
    [kept] = store.quarantine.rows("bars_daily")
    assert kept.reason == reason


def test_duplicates_and_disorder(store, write):
    frame = daily()
    twice = pd.concat([frame, frame.iloc[[3]], frame.iloc[[5]].assign(Close=60.9)])
    report = bring(store, write(twice.sample(frac=1.0, random_state=1)))
    assert dict(report.rejected) == {"another row has the same symbol and session": 2}
    assert report.added == len(DAYS) - 1
    assert DAYS[5] not in set(store.bars.daily()["session"]), "neither of two that contradict"


def test_a_year_of_zeros_stops_and_a_part_of_zeros_is_quarantined(store, write):
    zeros = daily().assign(Open=0, High=0, Low=0, Close=0)
    with pytest.raises(InvalidInput, match=r"61 of 61 rows are no bars.*nothing of this part"):
        bring(store, write(zeros))
    with pytest.raises(InvalidInput, match="31 of 61 rows are no bars"):
        bring(store, write(pd.concat([zeros.iloc[:31], daily().iloc[31:]])))
    assert store.bars.coverage().empty
    report = bring(store, write(pd.concat([zeros.iloc[:20], daily().iloc[20:]])))
    assert (report.added, sum(report.rejected.values())) == (41, 20)


def test_unknown_symbols_need_a_word_and_changed_ones_are_followed(store, write, tmp_path):
    both = write(pd.concat([daily("FB"), daily("META", start=90.0)]))
    with pytest.raises(InvalidInput, match=r"no instruments.*: FB, META.*--new-symbols"):
        bring(store, both, register=False)
    names = tmp_path / "tickers.csv"
    names.write_text(
        "instrument,symbol,valid_from,valid_to\nMETA,FB,2012-05-18,2024-02-01\nMETA,META,2024-02-01,\n"
    )
    assert import_table(store, "tickers", names) >= 2
    assert store.instruments.spans()[0] == SymbolSpan(
        "META", "FB", date(2012, 5, 18), date(2024, 2, 1)
    )
    report = bring(store, both, register=False)
    bars = store.bars.daily()
    assert set(bars["symbol"]) == {"META"} and len(bars) == len(DAYS)
    assert bars["close"].diff().max() > 20, "FB's prices before, META's after"
    assert sum(report.rejected.values()) == len(DAYS), "each ticker outside its own days"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("Date,Open\n2024-01-02,1\n", "no column for high"),
        ("a,b,c\n1,2,3\n", "no close|no column|no known form|no rows"),
        ("Date,Open,High,Low,Close,Volume\n2024-01-02,1,1,1\n", "cannot be read as a table"),
    ],
)
def test_what_is_no_bar_file_is_told_so(write, text, told):
    with pytest.raises(InvalidInput, match=told):
        plan_import(write(text, "KO.csv"), FileOptions())


def test_bars_of_five_minutes_are_not_taken_for_minutes(write):
    with pytest.raises(InvalidInput, match="300 s long"):
        plan_import(write(minutes().iloc[::5], "KO.csv"), FileOptions(zone=NY))


def test_the_sample_and_reference_tables(store, tmp_path):
    report = import_sample(store, lambda _text: None)
    assert (report.landing.added, len(report.new)) == (20 * 8313, 20)
    assert set(store.actions.bases().values()) == {date(2022, 12, 28)}
    table = tmp_path / "u.csv"
    table.write_text("universe,symbol,valid_from,valid_to\nold,WM,,2008-09-25\nold,JPM,,\n")
    assert import_table(store, "universe", table) == 2
    assert store.universes.members("old", date(2008, 9, 25)) == ("JPM",)
    table.write_text("symbol,ex_date,kind,value\nAAPL,2020-08-31,split,4\nAAPL,31.8.20,split,4\n")
    with pytest.raises(InvalidInput, match=r"line 3: ex_date is '31.8.20'"):
        import_table(store, "actions", table)
    table.write_text("symbol,ex_date,kind\n")
    with pytest.raises(InvalidInput, match="no column value"):
        import_table(store, "actions", table)
