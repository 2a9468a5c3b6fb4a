"""A real Prefect server and worker around a session: cancelled, killed, and deserted.

One server, one worker and one gateway for all of it, in one market day: they are dear.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-hunter2-of-the-cloud"
SPEED, FAST = 300, 3600  # market seconds a second: the plan of a day takes 76 s, or 6


class Control:
    """Prefect as an operator has it: its command line and its API."""

    def __init__(self, home, url, ask):
        self.home, self.url, self._ask = home, url, ask
        self.environment = home.environment | {
            "PREFECT_API_URL": url,
            "PREFECT_HOME": str(home.folder / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "PWD": str(ROOT),
        }

    def prefect(self, *words):
        program = ["-m", "prefect", "--no-prompt", *words]
        process = self.home.launch(program, self.environment, ROOT)
        assert process.wait(90) == 0, process.text

    def runs(self, *states):
        body = {"flow_runs": {"state": {"type": {"any_": list(states)}}}} if states else {}
        sort = {"sort": "EXPECTED_START_TIME_DESC", "limit": 20}
        deployments = {"deployments": {"name": {"any_": ["execute-intraday"]}}}
        return self._ask(f"{self.url}/flow_runs/filter", body | sort | deployments)


def wait(holds, timeout):
    """Return once something holds; fail when it does not within so many seconds."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout} s in vain"
        time.sleep(0.2)


def shares(home):
    """Shares in the ledger; none before the ledger or its first fill."""
    if not home.ledger_file.exists():
        return 0
    return home.ledger("SELECT COALESCE(SUM(quantity), 0) FROM executions")[0][0]


def session_pid(home):
    [(pid,)] = home.ledger("SELECT pid FROM leases WHERE name = 'trading-simulated'")
    return pid


@pytest.mark.lasts(85)
def test_a_run_is_cancelled_killed_and_deserted_and_no_share_is_bought_twice(
    new_home, prefect_of, household, ask, tmp_path
):
    server, url = prefect_of()
    home = new_home(PREFECT_CLIENT_MAX_RETRIES="1", PREFECT_API_KEY=CANARY)
    home.fork = household.fork  # the worker's own children are interpreters of their own
    home.plan()
    gateway = home.start_gateway(SPEED)
    control = Control(home, url, ask)
    control.prefect("work-pool", "create", "robo", "--type", "process")
    control.prefect("deploy", "--name", "execute-intraday")
    worker = home.launch(
        ["-m", "prefect", "worker", "start", "--pool", "robo", "--type", "process"],
        control.environment,
    )
    total = sum(n for (n,) in home.ledger("SELECT quantity FROM parents"))

    # 1. cancelled by the command line: what works ends, the lease is given back
    control.prefect("deployment", "run", "execute/execute-intraday")
    wait(lambda: shares(home) > 0, 90)
    [run] = control.runs("RUNNING")
    control.prefect("flow-run", "cancel", run["id"])
    wait(lambda: control.runs("CANCELLED"), 60)
    wait(lambda: home.ledger("SELECT MIN(released) FROM leases") == [(1,)], 30)
    cancelled_at = shares(home)
    assert 0 < cancelled_at < total
    assert home.working_orders() == []

    # 2. run again, and its process is killed: Prefect marks the run, the automation starts another
    control.prefect("deployment", "run", "execute/execute-intraday")
    wait(lambda: shares(home) > cancelled_at, 90)
    pid = session_pid(home)
    assert str(home.folder) in Path(f"/proc/{pid}/environ").read_text()
    os.kill(pid, signal.SIGKILL)
    wait(lambda: control.runs("CRASHED"), 60)
    killed_at = shares(home)
    wait(lambda: shares(home) > killed_at, 120)

    # 3. the server dies in the middle and comes back
    assert control.runs("RUNNING")
    server.end()
    before = shares(home)
    wait(lambda: shares(home) > before, 60)  # no order waits for Prefect
    prefect_of(server)
    gateway.signal(signal.SIGTERM)
    gateway.wait()
    home.start_gateway(FAST)  # the rest of the day need not be watched
    wait(lambda: set(home.ledger("SELECT state FROM parents")) == {("FILLED",)}, 120)
    wait(lambda: control.runs("COMPLETED"), 60)
    at_broker = home.broker_executions()
    by_parent = Counter()
    for order_ref, count in at_broker.values():
        by_parent[order_ref.rsplit(".", 2)[0]] += count
    assert by_parent == dict(home.ledger("SELECT parent_id, quantity FROM parents"))
    assert home.working_orders() == []

    # nothing that any of them kept shows the secret that all of them were given
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "prefect.db" for path in files)
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]
    assert CANARY not in worker.text
