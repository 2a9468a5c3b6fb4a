"""One server for all who need it at once: the first starts it, the last one stops it."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput, RetryLater
from tasks.processes import Service, start_ticks
from tasks.services.shared_server import SharedServer

SLEEPER = [sys.executable, "-c", "import time; time.sleep(120)"]


@pytest.fixture
def made(tmp_path):
    """The services that were started; none is left behind."""
    services: list[Service] = []
    yield services
    for service in services:
        service.stop(grace=0.1)


@pytest.fixture
def shared(tmp_path, made):
    def start():
        made.append(Service.start("server", SLEEPER, tmp_path / "log", {}))
        return 4000 + len(made), made[-1]

    def make(patience: float = 20.0, answers=lambda port: True) -> SharedServer:
        return SharedServer(tmp_path / "home", start, answers, patience, silence=0.5)

    return make


def test_the_second_user_takes_the_first_ones_server_and_keeps_it(shared, made, tmp_path):
    first, second = shared().use(), shared().use()
    assert first.__enter__() == 4001
    assert second.__enter__() == 4001
    first.__exit__(None, None, None)
    assert made[0].exit_code is None, "somebody still uses it"
    second.__exit__(None, None, None)
    assert made[0].exit_code is not None
    assert not (tmp_path / "home" / "server.json").exists()


def test_users_who_come_together_start_one(shared, made):
    ports, together = [], threading.Barrier(4)

    def work():
        with shared().use() as port:
            together.wait(20)
            ports.append(port)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ports == [4001] * 4
    assert len(made) == 1
    assert made[0].exit_code is not None


def test_a_server_that_was_killed_is_replaced(shared, made):
    with shared().use():
        os.killpg(made[0].pid, signal.SIGKILL)
        os.waitpid(made[0].pid, 0)
        with shared().use() as port:
            assert port == 4002


def test_a_server_that_is_slow_to_answer_is_waited_for(shared, made):
    replies = iter([False, False, True])
    with shared().use(), shared(answers=lambda port: next(replies)).use() as port:
        assert port == 4001


def test_a_silent_server_is_stopped_only_when_nobody_uses_it(shared, made, tmp_path):
    silent = shared(answers=lambda port: False)
    with shared().use():
        with pytest.raises(RetryLater, match="has not answered for 0.5 s"), silent.use():
            pass
        assert made[0].exit_code is None
        kept = (tmp_path / "home" / "server.json").read_text()
    orphan = Service.start("server", SLEEPER, tmp_path / "log", {})
    made.append(orphan)
    assert str(made[0].pid) in kept
    text = json.dumps([4711, orphan.pid, start_ticks(orphan.pid)])
    (tmp_path / "home" / "server.json").write_text(text)
    with silent.use() as port:
        assert port == 4003
    assert orphan.exit_code is not None


def test_what_a_killed_user_left_is_used_and_then_stopped(shared, made, tmp_path):
    orphan = Service.start("server", SLEEPER, tmp_path / "log", {})
    made.append(orphan)
    home = tmp_path / "home"
    home.mkdir()
    (home / "server.json").write_text(f'[4711, {orphan.pid}, "{start_ticks(orphan.pid)}"]')
    with shared().use() as port:
        assert port == 4711
    assert orphan.exit_code is not None


@pytest.mark.parametrize("text", ["", "[1]", "{}", '["x", 1, 2]', '[4711, 4194305, "12"]'])
def test_a_record_of_nothing_is_no_server(shared, tmp_path, text):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "server.json").write_text(text)
    with shared().use() as port:
        assert port == 4001


def test_a_record_that_names_another_process_harms_none(shared, made, tmp_path):
    """Its id was given again since: neither taken for the server nor ended."""
    innocent = Service.start("innocent", SLEEPER, tmp_path / "log", {})
    made.append(innocent)
    home = tmp_path / "home"
    home.mkdir()
    (home / "server.json").write_text(f'[4711, {innocent.pid}, "1"]')
    with shared().use() as port:
        assert port == 4002
    assert innocent.exit_code is None


def test_a_server_that_leads_no_group_is_left_alone(shared, made, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    with subprocess.Popen(SLEEPER) as member:  # of the group that runs the tests
        try:
            record = [4711, member.pid, start_ticks(member.pid)]
            (home / "server.json").write_text(json.dumps(record))
            with shared().use() as port:
                assert port == 4711
            assert member.poll() is None
        finally:
            member.kill()


def test_a_start_that_hangs_elsewhere_is_told(shared):
    with shared()._deciding(), pytest.raises(RetryLater, match="starting a Prefect server"):
        shared(patience=0.2).use().__enter__()


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    where = tmp_path / "file" / "below"
    with pytest.raises(InvalidInput, match="ROBO_HOME"):
        SharedServer(where, lambda: (1, None), lambda port: True, 1.0).use().__enter__()


def test_a_process_is_told_by_its_start():
    assert start_ticks(os.getpid()) == start_ticks(os.getpid()) != ""
    assert start_ticks(2**22 + 1) == ""
    assert Path("/proc/self").exists() is False or start_ticks(os.getpid()) != start_ticks(1)
