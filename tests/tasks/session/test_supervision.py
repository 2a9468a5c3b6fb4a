"""A session on a thread of its own: its result, its errors, its progress and its stop."""

import asyncio
import os
import signal
import threading

import pytest

from models.domain.errors import HaltTrading
from tasks.session.supervision import SupervisedSession


def test_the_result_comes_back_and_every_progress_is_shown_in_order():
    async def work(report, stop):
        for number in range(5):
            report(number)
        return threading.current_thread().name

    shown = []
    assert SupervisedSession(work).run(shown.append) == "session"
    assert shown == [0, 1, 2, 3, 4]


def test_what_the_session_raises_is_raised():
    async def work(report, stop):
        report("last words")
        raise HaltTrading("stop")

    shown = []
    with pytest.raises(HaltTrading, match="stop"):
        SupervisedSession(work).run(shown.append)
    assert shown == ["last words"]


def test_an_interrupt_asks_the_session_to_stop_and_waits_for_it():
    left_in_order = []

    async def work(report, stop):
        report("working")
        while not stop.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        left_in_order.append(True)

    def interrupt(_progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SupervisedSession(work).run(interrupt)
    assert left_in_order == [True]


def test_a_session_that_does_not_stop_is_not_waited_for_forever(monkeypatch):
    monkeypatch.setattr("tasks.session.supervision.STOP_DEADLINE", 0.2)
    release, ended = threading.Event(), threading.Event()

    def stuck():
        release.wait(60)
        ended.set()

    async def work(report, stop):
        report("stuck")
        await asyncio.to_thread(stuck)

    def interrupt(_progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SupervisedSession(work).run(interrupt)
    assert not ended.is_set()
    release.set()


def test_progress_that_cannot_be_shown_ends_nothing(caplog):
    """Prefect's server may be away in the middle of the session."""

    async def work(report, stop):
        report(1)
        report(2)
        await asyncio.sleep(0.3)
        assert not stop.is_set()
        return "done"

    def no_server(_progress):
        raise ConnectionError("server away")

    with caplog.at_level("WARNING", "robo.supervision"):
        assert SupervisedSession(work).run(no_server) == "done"
    assert caplog.text.count("server away") == 2


def test_sigusr1_halts_at_once_even_while_the_session_hangs(monkeypatch):
    halted, release = threading.Event(), threading.Event()
    before = signal.getsignal(signal.SIGUSR1)

    async def work(report, stop):
        os.kill(os.getpid(), signal.SIGUSR1)
        release.wait(20)  # the loop is stuck: no task of it could take a signal
        return "done"

    def halt():
        halted.set()
        release.set()

    assert SupervisedSession(work).run(lambda _: None, on_halt=halt) == "done"
    assert halted.is_set()
    assert signal.getsignal(signal.SIGUSR1) == before
