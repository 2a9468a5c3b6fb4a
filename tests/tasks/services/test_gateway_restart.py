"""The supervisor starts a gateway that died again, with its state; not one that was stopped."""

import os
import signal
import sys
import time

import pytest

from models.domain.errors import RetryLater
from tasks.processes import Service, free_port
from tasks.services.gateway_process import find_gateway, start_gateway, stop_gateway
from tasks.services.restarts import RestartBudget
from tasks.services.services import Stack
from tasks.settings import load_settings


@pytest.fixture
def said():
    """What the supervisor wrote on the console."""
    return []


@pytest.fixture
def stack(tmp_path, said):
    """A stack without any service yet; whatever a test starts ends with it."""
    ports = {"port": free_port(), "control_port": free_port()}
    made = Stack(load_settings(home=tmp_path / "home", **ports), said.append)
    yield made
    made.stop()


def wait_for(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    assert condition()


def test_a_killed_gateway_comes_back_and_a_stopped_one_stays_down(stack, said):
    settings = stack.settings
    stack.gateway = start_gateway(settings)
    stack.services.append(stack.gateway)
    wait_for(lambda: find_gateway(settings) is not None)
    first = find_gateway(settings)

    os.killpg(stack.gateway.pid, signal.SIGKILL)
    wait_for(lambda: stack.services[0].exit_code is not None)
    stack._see_end(stack.services[0])
    wait_for(lambda: find_gateway(settings) is not None)
    second = find_gateway(settings)
    assert second.pid == stack.gateway.pid != first.pid
    assert second.account == first.account
    assert "starting it again in 1 s (restart 1 of 5)" in said[0]

    stop_gateway(settings)
    wait_for(lambda: stack.services[0].exit_code is not None)
    stack._see_end(stack.services[0])
    assert stack.services == []
    assert "robo gateway run" in said[1]


def test_after_the_last_restart_and_for_any_other_service_the_stack_ends(stack, tmp_path):
    code = "import sys; print('no disk'); sys.exit(3)"
    ended = Service.start("gateway", [sys.executable, "-c", code], tmp_path / "log", {})
    wait_for(lambda: ended.exit_code is not None)
    stack.services.append(ended)
    with pytest.raises(RetryLater, match=r"ended with code 3(?s:.*)no disk"):
        stack.watch()
    stack.gateway, stack.restarts = ended, RestartBudget(most=0)
    with pytest.raises(RetryLater, match=r"after 0 restarts in 10 minutes(?s:.*)no disk"):
        stack.watch()
