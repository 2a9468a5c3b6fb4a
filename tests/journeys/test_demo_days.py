"""`robo demo` from nothing, then a second day that Ctrl-C interrupts and the next run finishes."""

import json
import signal
from collections import Counter

import duckdb
import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

STEPS = ["gateway", "ingest", "retrain", "rebalance", "execute", "reconcile", "summary"]
SYMBOLS = 20


def bars(home):
    """Bars in the warehouse: all of them, and distinct (symbol, session) pairs."""
    with duckdb.connect(str(home.state / "warehouse.duckdb"), read_only=True) as connection:
        query = "SELECT count(*), count(DISTINCT (symbol, session)) FROM bars_daily"
        return connection.execute(query).fetchone()


def runs(ask, url):
    """Flow runs by (flow, state), as the Prefect API lists them."""
    names = {flow["id"]: flow["name"] for flow in ask(f"{url}/flows/filter", {"limit": 50})}
    listed = ask(f"{url}/flow_runs/filter", {"limit": 200})
    return Counter((names[run["flow_id"]], run["state_name"]) for run in listed)


def day_artifacts(ask, url):
    wanted = {"artifacts": {"key": {"any_": ["trading-day"]}}, "limit": 50}
    return ask(f"{url}/artifacts/filter", wanted)


def answer_of(text):
    return json.loads(text.strip().splitlines()[-1])


def require_filled(answer, session):
    *orders, total = answer["orders"]
    assert answer["session"] == session
    assert orders
    assert {order["state"] for order in orders} == {"FILLED"}
    assert all(order["target shares"] == order["filled shares"] for order in orders)
    assert total["symbol"] == "total"
    assert total["filled shares"] == total["target shares"]
    assert float(answer["equity_before"]) > 0
    assert float(answer["equity_after"]) > 0


@pytest.mark.lasts(90)
def test_two_days_one_of_them_interrupted(traded_home, its_prefect, ask):
    home = traded_home
    require_filled(answer_of((home.folder / "answer.json").read_text()), "2022-12-29")
    first_runs = runs(ask, its_prefect)
    assert first_runs == {(name, "Completed"): 1 for name in ["trading-day", *STEPS]}
    assert day_artifacts(ask, its_prefect)
    stored, distinct = bars(home)
    assert stored == distinct > 150_000

    interrupted = home.start("demo", ROBO_GATEWAY_SPEED="600")
    interrupted.wait_for("[5/7] execute", 150)
    interrupted.wait_for(" 1 of ")
    interrupted.signal(signal.SIGINT)
    assert interrupted.wait(60) == 1
    assert "interrupted; what was done is kept: run the same command again" in interrupted.text
    assert home.survivors() == {}
    assert home.listening() == []

    answer = answer_of(home.robo("demo", "--json", timeout=240))
    require_filled(answer, "2022-12-30")
    assert home.survivors() == {}
    assert bars(home) == (stored + SYMBOLS, stored + SYMBOLS)
    sessions = home.ledger("SELECT DISTINCT session FROM parents ORDER BY session")
    assert sessions == [("2022-12-29",), ("2022-12-30",)]
    later_runs = runs(ask, its_prefect)
    for name in ["trading-day", "execute", "reconcile", "summary"]:
        assert later_runs[name, "Completed"] == 2, later_runs
    assert not [state for _, state in later_runs if state in ("Running", "Pending")]
    assert len(day_artifacts(ask, its_prefect)) >= 2
