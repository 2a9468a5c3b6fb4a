"""Tick files: Lean's traps, LOBSTER's books, and the real files where they are."""

import os
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from tasks.market_data.tick_files import TickImport, TickTarget, import_ticks
from warehouse.market import MarketWarehouse
from warehouse.market.ticks import TickFiles

NOW = datetime(2024, 1, 2, tzinfo=UTC)
OPEN = 34_200_000  # ms after midnight, 09:30
REAL = os.environ.get("ROBO_TEST_DATA", "")


@pytest.fixture
def target(tmp_path: Path) -> TickTarget:
    warehouse = MarketWarehouse(tmp_path / "warehouse.duckdb", deadline=5)
    return TickTarget(TickFiles(tmp_path / "ticks"), warehouse, None, NOW)


def _archive(folder: Path, name: str, lines: list[str]) -> Path:
    place = folder / "bac" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as packed:
        packed.writestr(name.replace(".zip", ".csv"), "\n".join(lines))
    return place


def _run(target: TickTarget, path: Path) -> list[TickImport]:
    return list(import_ticks(target, path))


def test_lean_quotes_are_made_whole(tmp_path: Path, target: TickTarget) -> None:
    path = _archive(tmp_path, "20131007_quote.zip", [
        f"{OPEN - 5000},140000,1,0,0,T,1E5,0",  # before the open, but it tells the bid
        f"{OPEN},0,0,140100,3,P,1,0",
        f"{OPEN + 10},140050,2,0,0,P,1,0",
        f"{OPEN + 20},150000,2,0,0,P,1,1",  # suspicious: not carried forward
        f"{OPEN + 30},140100,9,0,0,P,1,0",  # locked
        f"{OPEN + 40},140300,9,0,0,P,1,0",  # crossed
        f"{OPEN + 50},0,0,140400,7,P,1,0",
    ])  # fmt: skip
    (done,) = _run(target, path)
    assert done.rows == {"quotes": 3} and done.symbol == "BAC"
    gone = {why: count for why, count in done.dropped.items() if count}
    assert gone == {"suspicious": 1, "before the open": 1, "locked": 1, "crossed": 1}
    rows = target.files.read("quotes")[["bid", "bid_size", "ask", "ask_size"]].to_numpy().tolist()
    assert rows == [[14.0, 1, 14.01, 3], [14.005, 2, 14.01, 3], [14.03, 9, 14.04, 7]]
    _run(target, path)
    assert len(target.files.read("quotes")) == 3


def test_lean_conditions_stay_hexadecimal_and_bad_prices_stay_out(
    tmp_path: Path, target: TickTarget
) -> None:
    steady = [f"{OPEN + 60 + n},140000,1,P,0,0" for n in range(40)]
    path = _archive(tmp_path, "20131007_trade.zip", [
        f"{OPEN},140000,100,P,1E5,0", f"{OPEN + 1},0,100,P,0,0", *steady,
        f"{OPEN + 200},980000,100,P,0,0", *(line.replace("34200", "34201") for line in steady),
    ])  # fmt: skip
    (done,) = _run(target, path)
    assert done.dropped["without a price"] == 1 and done.dropped["quarantined"] == 1
    trades = target.files.read("trades")
    assert trades["conditions"].iloc[0] == "1E5" and trades["price"].max() == 14.0
    (row,) = target.warehouse.quarantine.rows("trades")
    assert row.content["price"] == 98.0 and "neighbours" in row.reason


def test_leans_minute_bars_are_not_taken_for_ticks(tmp_path: Path, target: TickTarget) -> None:
    bar = f"{OPEN},140000,140100,139900,140050,5200"
    path = _archive(tmp_path, "20131007_trade.zip", [bar])
    with pytest.raises(InvalidInput, match=r"20131007_trade.zip in bac .*robo ingest lean"):
        _run(target, path)


def test_lobster_pairs_become_trades_quotes_and_depth(tmp_path: Path, target: TickTarget) -> None:
    name = "KO_2013-10-07_34200000_57600000_{}_2.csv"
    (tmp_path / name.format("message")).write_text(
        "34200.0,1,1,100,400000,1\n34201.5,4,1,40,400000,1\n34202.0,5,0,10,400100,-1\n"
        "57600.5,3,1,60,400000,1\n"
    )
    (tmp_path / name.format("orderbook")).write_text(
        "400200,50,400000,100,9999999999,0,-9999999999,0\n"
        "400200,50,400000,60,9999999999,0,-9999999999,0\n"
        "400200,50,400000,60,400300,5,-9999999999,0\n"
        "400200,50,-9999999999,0,400300,5,-9999999999,0\n"
    )
    (done,) = _run(target, tmp_path)
    assert done.rows == {"trades": 2, "quotes": 2, "depth": 4}
    assert done.dropped["events outside the session"] == 1
    trades = target.files.read("trades")
    assert trades["price"].tolist() == [40.0, 40.01]
    assert trades["conditions"].tolist() == ["", "hidden"]
    depth = target.files.read("depth")
    assert depth[["side", "position", "price", "size"]].to_numpy().tolist() == [
        ["bid", 0, 40.0, 100], ["ask", 0, 40.02, 50], ["bid", 0, 40.0, 60], ["ask", 1, 40.03, 5],
    ]  # fmt: skip


def test_a_lobster_book_with_an_empty_side_and_its_last_moment(
    tmp_path: Path, target: TickTarget
) -> None:
    name = "KO_2013-10-07_34200000_57600000_{}_1.csv"
    (tmp_path / name.format("message")).write_text(
        "34200.0,1,1,100,400000,1\n34201.0,3,1,100,400000,1\n34202.0,1,2,70,399900,1\n"
        "57600.0,4,2,70,399900,1\n"
    )
    (tmp_path / name.format("orderbook")).write_text(
        "400200,50,400000,100\n400200,50,-9999999999,0\n400200,50,399900,70\n"
        "400200,50,-9999999999,0\n"
    )
    (done,) = _run(target, tmp_path)
    gone = {why: count for why, count in done.dropped.items() if count}
    assert gone == {"events outside the session": 1}, "the close belongs to no session"
    quotes = target.files.read("quotes")[["bid", "bid_size", "ask", "ask_size"]]
    assert quotes.to_numpy().tolist() == [[40.0, 100, 40.02, 50], [39.99, 70, 40.02, 50]]
    depth = target.files.read("depth")
    assert depth[["side", "operation", "price", "size"]].to_numpy().tolist() == [
        ["bid", "update", 40.0, 100], ["ask", "update", 40.02, 50], ["bid", "delete", 0.0, 0.0],
        ["bid", "update", 39.99, 70],
    ]  # fmt: skip


def test_files_that_cannot_be_used_are_named(tmp_path: Path, target: TickTarget) -> None:
    with pytest.raises(InvalidInput, match="holds no ticks"):
        _run(target, tmp_path)
    with pytest.raises(InvalidInput, match="market is closed on 2013-10-06"):
        _run(target, _archive(tmp_path, "20131006_trade.zip", ["1,2,3,P,0,0"]))
    with pytest.raises(InvalidInput, match="20131008_trade.zip cannot be read"):
        _run(target, _archive(tmp_path, "20131008_trade.zip", ["soon,2,3,P,0,0"]))
    alone = tmp_path / "KO_2013-10-07_message_1.csv"
    alone.write_text("34200.0,1,1,100,400000,1\n")
    with pytest.raises(InvalidInput, match="orderbook_1.csv is missing"):
        _run(target, alone)


@pytest.mark.skipif(not REAL, reason="ROBO_TEST_DATA names no folder of real data")
def test_real_lean_ticks_import_whole(target: TickTarget) -> None:
    done = _run(target, Path(REAL) / "lean" / "tick")
    assert {item.symbol for item in done} == {"BAC"} and len(done) == 4
    quotes = target.files.read("quotes", ["BAC"], date(2013, 10, 7), date(2013, 10, 7))
    assert len(quotes) > 100_000 and (quotes["bid"] < quotes["ask"]).all()
    assert quotes["ts"].is_monotonic_increasing
    trades = target.files.read("trades", ["BAC"])
    assert trades["price"].between(13, 15).all()
    for item in done:
        seen = sum(item.rows.values())
        assert item.dropped.get("quarantined", 0) < 0.001 * seen
