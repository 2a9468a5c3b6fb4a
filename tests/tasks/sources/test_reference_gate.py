"""Instruments, splits and dividends pass their suites before they are kept."""

from datetime import UTC, date, datetime

import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput
from models.domain.instruments import Instrument
from tasks.quality.gate import Batch
from tasks.quality.reference_gate import admit_instruments
from tasks.sources.imports import import_table
from warehouse.market import MarketWarehouse

NOW = datetime(2024, 4, 1, tzinfo=UTC)
HEADER = "symbol,ex_date,kind,value\n"


@pytest.fixture
def store(tmp_path):
    return MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)


def test_a_split_of_one_for_one_is_quarantined_and_the_rest_is_kept(store, tmp_path):
    table, told = tmp_path / "actions.csv", []
    table.write_text(
        f"{HEADER}AAPL,2020-08-31,split,4\nAAPL,2014-06-09,split,1\nKO,2024-03-30,dividend,0.4\n"
    )
    assert import_table(store, "actions", table, NOW, progress=told.append) == 2
    assert told == ["1 are in quarantine: see `robo data quarantine list`"]
    kept = CorporateAction("AAPL", date(2020, 8, 31), ActionKind.SPLIT, 4.0)
    assert list(store.actions.of(["AAPL"])) == [kept]
    [row] = store.quarantine.rows("splits")
    assert (row.symbol, row.expectation, row.reason) == (
        "AAPL",
        "changes",
        "a ratio of 1 is no split",
    )
    results = {r.expectation: r for r in store.quality.of_run(row.run_id) if r.table == "dividends"}
    assert not results["session(outside)"].passed, "a Saturday is told, and kept"
    assert len(store.actions.of(["KO"])) == 1


def test_a_rule_that_stops_keeps_everything_out(store, tmp_path):
    from tasks.quality.imports import QualityFiles

    policy, table = tmp_path / "quality.toml", tmp_path / "actions.csv"
    policy.write_text('[dividends.session]\nseverity = "stop"\n')
    table.write_text(f"{HEADER}KO,2024-03-30,dividend,0.4\n")
    with pytest.raises(InvalidInput, match="the batch for dividends"):
        import_table(store, "actions", table, NOW, quality=QualityFiles(policy))
    assert not store.actions.of(["KO"])


def test_instruments_that_contradict_each_other_are_kept_out(store):
    found = [
        Instrument("KO", con_id=1, primary_exchange="NYSE"),
        Instrument("PEP", con_id=2, currency="dollars"),
        Instrument("JNJ", con_id=3, listed=date(2020, 1, 2), delisted=date(2019, 1, 2)),
        Instrument("MRK"),
    ]
    good = admit_instruments(store, found, Batch("ibkr", "run", NOW))
    assert [item.symbol for item in good] == ["KO", "MRK"]
    reasons = {row.symbol: row.reason for row in store.quarantine.rows("instruments")}
    assert set(reasons) == {"PEP", "JNJ"} and "before it is listed" in reasons["JNJ"]
    assert admit_instruments(store, [], Batch("ibkr", "run", NOW)) == ()
