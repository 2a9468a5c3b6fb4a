"""prefect.yaml: every deployment loads, has a form, a schedule in New York and the right limit."""

import importlib.util
import re
from datetime import time

import pytest
import yaml

NEW_YORK = "America/New_York"
SCHEDULES = {
    "ingest-daily": "30 17 * * 1-5",
    "ingest-intraday": "25 9 * * 1-5",
    "ingest-minutes": "0 18 * * 1-5",
    "record-ticks": "25 9 * * 1-5",
    "retrain-weekly": "0 9 * * 6",
    "rebalance-daily": "45 8 * * 1-5",
    "execute-intraday": "20 9 * * 1-5",
    "reconcile-open": "0 9 * * 1-5",
    "reconcile-close": "30 16 * * 1-5",
}
WRITERS = {
    "ingest-daily",
    "ingest-minutes",
    "retrain-weekly",
}  # they wait for one another; sessions are refused
NEEDED = {"resume": {"parameters": {"reason": "a reason is asked for"}}}  # a form left empty fails
BY_HAND = {"halt", "resume", "ingest-backfill"}
DOTTED = re.compile(r"^[a-z_]+(\.[a-z_]+)+$")

LOAD = """
import importlib, inspect, json
from prefect import Flow
from prefect.utilities.callables import parameter_schema
loaded = {}
for name, (entrypoint, parameters) in %r.items():
    module, _, attribute = entrypoint.rpartition(".")
    flow = getattr(importlib.import_module(module), attribute)
    assert isinstance(flow, Flow), entrypoint
    taken = flow.validate_parameters(parameters)
    try:
        flow.validate_parameters({"parameters": {"misspelt": 1}})
        strict = False
    except Exception as error:
        strict = "misspelt" in str(error)
    loaded[name] = {
        "file": inspect.getsourcefile(flow.fn),
        "schema": parameter_schema(flow).model_dump_for_openapi(),
        "model": type(taken["parameters"]).__name__,
        "strict": strict,
    }
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def deployments(root):
    listed = yaml.safe_load((root / "prefect.yaml").read_text())["deployments"]
    return {deployment["name"]: deployment for deployment in listed}


@pytest.fixture(scope="module")
def loaded(deployments, in_fresh_process):
    """What each entrypoint is, seen from a process outside the checkout."""
    wanted = {
        n: (d["entrypoint"], d.get("parameters", NEEDED.get(n, {}))) for n, d in deployments.items()
    }
    return in_fresh_process(LOAD % wanted)


def test_the_deployments_and_their_hours(deployments):
    scheduled = {n: d for n, d in deployments.items() if n not in BY_HAND}
    assert {n: d["schedules"][0]["cron"] for n, d in scheduled.items()} == SCHEDULES
    assert all("schedules" not in deployments[n] for n in BY_HAND)


def test_a_session_whose_engine_was_killed_is_run_again(deployments):
    [trigger] = deployments["execute-intraday"]["triggers"]
    assert trigger["expect"] == ["prefect.flow-run.Crashed"]
    assert trigger["match_related"]["prefect.resource.name"] == "execute-intraday"
    assert (trigger["threshold"], trigger["within"], trigger["posture"]) == (1, 0, "Reactive")
    assert [n for n, d in deployments.items() if "triggers" in d] == ["execute-intraday"]


def test_every_schedule_is_in_new_york(deployments):
    schedules = [schedule for d in deployments.values() for schedule in d.get("schedules", [])]
    assert len(schedules) == len(SCHEDULES)
    assert {schedule.get("timezone") for schedule in schedules} == {NEW_YORK}


def test_the_hours_lie_around_a_session_as_meant(deployments):
    """Plan, check and start before the 9:30 open; reconcile, then ingest after the close."""

    def at(name):
        minute, hour = deployments[name]["schedules"][0]["cron"].split()[:2]
        return time(int(hour), int(minute))

    opening, closing = time(9, 30), time(16)
    morning = [at("rebalance-daily"), at("reconcile-open"), at("execute-intraday"), opening]
    assert morning == sorted(morning)
    assert closing < at("reconcile-close") < at("ingest-daily")


def test_every_deployment_says_what_it_is(deployments):
    for name, deployment in deployments.items():
        assert len(deployment["description"]) > 20, name
        assert deployment["tags"], name
        assert deployment["work_pool"]["name"] == "robo", name


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_second_run_waits_or_is_refused(deployments, name):
    wanted = "ENQUEUE" if name in WRITERS else "CANCEL_NEW"
    limit = {"limit": 1, "collision_strategy": wanted}
    assert deployments[name]["concurrency_limit"] == limit


@pytest.mark.parametrize("name", SCHEDULES)
def test_entrypoints_are_modules_of_this_checkout(deployments, loaded, root, name):
    entrypoint = deployments[name]["entrypoint"]
    assert DOTTED.match(entrypoint), f"{entrypoint} is a file path"
    module = entrypoint.rpartition(".")[0]
    assert importlib.util.find_spec(module).origin == loaded[name]["file"]
    assert loaded[name]["file"].startswith(str(root / "flows"))


@pytest.mark.parametrize("name", SCHEDULES)
def test_parameters_are_a_checked_form(loaded, name):
    found = loaded[name]
    assert found["model"].endswith("Parameters")
    assert found["strict"], "a misspelt parameter is taken"
    fields = found["schema"]["definitions"][found["model"]]["properties"]
    assert fields
    for field, shown in fields.items():
        assert shown["title"][0].isupper(), field
        assert shown["description"].endswith("."), field
