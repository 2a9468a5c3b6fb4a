"""Recorded ticks are judged when a recording is closed: told and kept, and nothing is moved."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from models.domain.sessions import session_on
from tasks.market_data.tick_quality import judge_recorded
from warehouse.market import MarketWarehouse
from warehouse.market.ticks import TickFiles, schema_of

SESSION = session_on(date(2024, 1, 3))
NOW = datetime(2024, 1, 3, 22, tzinfo=UTC)


def recorded(kind: str, count: int, **own: object) -> pa.Table:
    opens = SESSION.open.replace(tzinfo=None)
    rows = {
        "ts": [opens + timedelta(seconds=second) for second in range(count)],
        "known_at": [opens] * count,
        "seq": list(range(count)),
        "source": ["ibkr"] * count,
        "symbol": ["BRK B"] * count,
    }
    schema = schema_of(kind)
    empty = {name: [None] * count for name in schema.names if name not in rows | own}
    return pa.table(rows | own | empty, schema=schema)


@pytest.fixture
def files(tmp_path) -> TickFiles:
    return TickFiles(tmp_path / "ticks")


def test_what_the_rules_find_is_told_by_rule_and_stays_as_it_was_heard(files, tmp_path):
    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    price = [50.0] * 40
    price[20] = 90.0
    trades = files.write("trades", recorded("trades", 40, price=price, size=[100.0] * 40), "a")
    sides = {"bid": [50.0] * 40, "ask": [50.01] * 40, "bid_size": [1.0] * 40}
    sides["ask_size"] = [1.0] * 40
    sides["ask"][7] = 49.99
    quotes = files.write("quotes", recorded("quotes", 40, **sides), "a")
    found = judge_recorded(store, (*trades.files, *quotes.files), "run", NOW)
    assert (found.rows, found.found) == (80, {"trades.jump": 1, "quotes.spread": 1})
    assert "80 trades and quotes judged" in found.summary
    results = {(one.table, one.expectation): one for one in store.quality.of_run("run")}
    assert results["quotes", "spread(spread)"].observed == "1 of 40 rows"
    assert results["trades", "size(size)"].passed
    assert {one.symbol for one in results.values()} == {"BRK B"}
    assert (len(files.read("trades")), store.quarantine.count()) == (40, 0)
