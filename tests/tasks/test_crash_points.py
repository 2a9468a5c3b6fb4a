"""ROBO_CRASH_AT: which boundary is meant, and where it is refused."""

import os
import signal
import subprocess
import sys

import pytest

from models.domain.errors import InvalidInput
from tasks.crash_points import CrashPlan, CrashPoint, boundary_of, pass_by
from tasks.settings import load_settings


@pytest.mark.parametrize(
    ("text", "point"),
    [("12", CrashPoint("", 12)), ("send-after:2", CrashPoint("send-after", 2))],
)
def test_a_point_is_a_number_or_a_kind_and_a_number(text, point):
    assert CrashPoint.parse(text) == point


@pytest.mark.parametrize("text", ["0", "-1", "x", "send-after", "send-after:0", "nowhere:1", ":3"])
def test_any_other_text_is_refused_with_what_is_allowed(text):
    with pytest.raises(InvalidInput, match="send-after:2"):
        CrashPoint.parse(text)


def test_a_plan_acts_once_at_its_point():
    acted = []
    plan = CrashPlan(
        {
            CrashPoint("", 3): lambda: acted.append("third"),
            CrashPoint("send-after", 2): lambda: acted.append("second send"),
        }
    )
    for boundary in ("send-before", "send-after", "send-before", "send-after", "send-after"):
        plan(boundary)
    assert acted == ["third", "second send"]


def test_without_a_setting_nothing_happens():
    assert boundary_of("") is pass_by


def test_death_is_that_of_kill_minus_nine():
    code = "from tasks.crash_points import boundary_of as b; p = b('2')"
    code += "; p('send-after'); p('send-after'); print(1)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == b""


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_it_is_refused_outside_simulated_mode(mode):
    with pytest.raises(InvalidInput, match=rf"ROBO_CRASH_AT is '3' in mode {mode}.*unset it"):
        load_settings(mode=mode, crash_at="3")


def test_a_wrong_point_is_named():
    with pytest.raises(InvalidInput, match=r"ROBO_CRASH_AT.*'soon' is no crash point"):
        load_settings(mode="simulated", crash_at="soon")


@pytest.mark.parametrize(
    ("mode", "given", "floor"),
    [("simulated", 0.0, "0.2"), ("simulated", 0.1, "0.2"), ("paper", 9.0, "10"), ("live", 2, "10")],
)
def test_a_quiet_period_that_could_double_an_order_is_refused(mode, given, floor):
    with pytest.raises(InvalidInput, match=rf"ROBO_QUIET_PERIOD is .*give {floor} to 300"):
        load_settings(mode=mode, quiet_period=given)


def test_the_quiet_period_follows_the_mode():
    assert load_settings(mode="simulated").quiet_period == 2.0
    assert load_settings(mode="paper").quiet_period == 10.0
    assert os.environ.get("ROBO_QUIET_PERIOD") is None
