"""`robo serve`: server, worker, UIs and gateway as one, with deployments that run."""

import base64
import signal
import urllib.error

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(400)]

DEPLOYMENTS = {
    "ingest-daily": ("30 17 * * 1-5", "ENQUEUE"),
    "ingest-intraday": ("25 9 * * 1-5", "CANCEL_NEW"),
    "ingest-minutes": ("0 18 * * 1-5", "ENQUEUE"),
    "retrain-weekly": ("0 9 * * 6", "ENQUEUE"),
    "rebalance-daily": ("45 8 * * 1-5", "CANCEL_NEW"),
    "execute-intraday": ("20 9 * * 1-5", "CANCEL_NEW"),
    "reconcile-open": ("0 9 * * 1-5", "CANCEL_NEW"),
    "reconcile-close": ("30 16 * * 1-5", "CANCEL_NEW"),
}
BY_HAND = {"halt", "resume", "ingest-backfill"}  # no schedule
SWITCHED_OFF = {"record-ticks"}  # its schedule is for whoever wants it
SATURDAY = "2022-12-31T15:00:00+00:00"


class Api:
    """The served Prefect API, asked with the credential and the CSRF token that it demands."""

    def __init__(self, home, ask):
        self.url = f"http://127.0.0.1:{home.ports['ROBO_PREFECT_PORT']}/api"
        self.credential = (home.folder / "var/prefect/api-auth").read_text().strip()
        self._ask = ask
        basic = base64.b64encode(self.credential.encode()).decode()
        self.headers = {"Authorization": f"Basic {basic}"}
        token = ask(f"{self.url}/csrf-token?client=journey", **self.headers)["token"]
        self.headers |= {"Prefect_Csrf_Token": token, "Prefect_Csrf_Client": "journey"}

    def post(self, path, body):
        return self._ask(f"{self.url}/{path}", body, **self.headers)

    def last_run(self, deployment):
        [found] = self.post(
            "flow_runs/filter",
            {
                "deployments": {"name": {"any_": [deployment]}},
                "flow_runs": {"state": {"name": {"not_any_": ["Scheduled"]}}},
                "sort": "EXPECTED_START_TIME_DESC",
                "limit": 1,
            },
        )
        return found["state"]


def run_deployment(home, api, name, *parameters):
    """Run a deployment as an operator does, wait for its end, and return its final state."""
    environment = home.environment | {
        "PREFECT_HOME": str(home.folder / "var/prefect"),
        "PREFECT_API_URL": api.url,
        "PREFECT_API_AUTH_STRING": api.credential,
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
    }
    program = ["-m", "prefect", "deployment", "run", name, "--watch", *parameters]
    watching = home.launch(program, environment)
    assert watching.wait(150) == 0, watching.text
    return api.last_run(name.partition("/")[2])


def refusal(ask, url, body=None, **headers):
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(url, body, **headers)
    return refused.value.code


def require_closed_doors(api, ask):
    """Nobody reads without the credential, and no web page makes a browser write with it."""
    url, wrong = f"{api.url}/admin/version", base64.b64encode(b"robo:guess").decode()
    assert refusal(ask, url) == 401
    assert refusal(ask, url, Authorization=f"Basic {wrong}") == 401
    assert ask(url, Authorization=api.headers["Authorization"])
    writing = f"{api.url}/flow_runs/filter"
    assert refusal(ask, writing, {"limit": 1}) in (401, 403)
    anonymous = {name: text for name, text in api.headers.items() if name != "Authorization"}
    assert refusal(ask, writing, {"limit": 1}, **anonymous) == 401
    assert refusal(ask, writing, {"limit": 1}, Authorization=api.headers["Authorization"]) == 403


def require_deployments(api):
    listed = {d["name"]: d for d in api.post("deployments/filter", {"limit": 50})}
    assert listed.keys() == DEPLOYMENTS.keys() | BY_HAND | SWITCHED_OFF
    assert not [name for name in BY_HAND if listed[name]["schedules"]]
    [automation] = api.post("automations/filter", {"limit": 50})
    assert automation["trigger"]["expect"] == ["prefect.flow-run.Crashed"]
    assert automation["actions"][0]["deployment_id"] == listed["execute-intraday"]["id"]
    for name, (cron, strategy) in DEPLOYMENTS.items():
        [schedule] = listed[name]["schedules"]
        assert schedule["active"]
        assert schedule["schedule"]["cron"] == cron
        assert schedule["schedule"]["timezone"] == "America/New_York"
        assert listed[name]["concurrency_options"]["collision_strategy"] == strategy
        assert listed[name]["work_pool_name"] == "robo"


@pytest.mark.lasts(90)
def test_serve_runs_the_deployments_and_stops_as_one(traded_home, new_home, household, ask):
    home = traded_home
    stack = home.start("serve")
    stack.wait_for("everything runs", 200)
    assert sorted(home.listening()) == sorted(home.ports)
    api = Api(home, ask)
    assert api.credential not in stack.text
    assert (home.folder / "var/prefect/api-auth").stat().st_mode & 0o077 == 0
    require_closed_doors(api, ask)
    require_deployments(api)

    taken = new_home("other")
    text = taken.robo("serve", code=2, ROBO_PREFECT_PORT=str(home.ports["ROBO_PREFECT_PORT"]))
    assert str(home.ports["ROBO_PREFECT_PORT"]) in text
    assert "ROBO_PREFECT_PORT" in text

    assert "20 bars added" in home.robo("ingest")  # yesterday's, recorded by the served API
    home.fork = household.fork
    planned = run_deployment(home, api, "rebalance/rebalance-daily")
    assert (planned["type"], planned["name"]) == ("COMPLETED", "Completed")
    assert "2022-12-30" in planned["message"]
    assert home.ledger("SELECT count(*) > 0 FROM parents WHERE session = '2022-12-30'") == [(1,)]

    halted = run_deployment(home, api, "halt/halt")
    assert (halted["type"], halted["message"][:7]) == ("COMPLETED", "halted:")
    assert home.ledger("SELECT halted_by, resumed_at FROM halts") == [("the Prefect UI", None)]
    why = 'parameters={"reason": "it was a try"}'
    resumed = run_deployment(home, api, "resume/resume", "--param", why)
    assert (resumed["type"], resumed["message"][:7]) == ("COMPLETED", "resumed")
    assert home.ledger("SELECT resume_reason FROM halts") == [("it was a try",)]

    control = str(home.ports["ROBO_CONTROL_PORT"])
    home.robo("gateway", "advance", "--to", SATURDAY, "--control-port", control)
    skipped = run_deployment(home, api, "execute/execute-intraday")
    assert (skipped["type"], skipped["name"]) == ("COMPLETED", "Skipped")
    assert "market closed" in skipped["message"]

    stack.signal(signal.SIGTERM)
    assert stack.wait(60) == 0
    assert home.survivors() == {}
    assert home.listening() == []
