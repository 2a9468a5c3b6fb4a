"""A session on a thread of its own, while the caller shows its progress and takes signals."""

from __future__ import annotations

import asyncio
import logging
import queue
import signal
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from threading import Event, Thread
from types import FrameType
from typing import Any, Generic, TypeVar

from tasks.session.collector import few_collections

Result = TypeVar("Result")
Progress = TypeVar("Progress")

logger = logging.getLogger("robo.supervision")

STOP_DEADLINE = 60.0
LOOK_EVERY = 0.2


def _on_signal(act: Callable[[], None] | None) -> Callable[[], None]:
    """Let SIGUSR1 start `act`; return what puts the former handling back."""
    if act is None or threading.current_thread() is not threading.main_thread():
        return lambda: None

    def start(_number: int, _frame: FrameType | None) -> None:
        logger.error("SIGUSR1: halting")
        Thread(target=act, name="halt", daemon=True).start()

    before = signal.signal(signal.SIGUSR1, start)
    return lambda: _put_back(before)


def _put_back(handler: Any) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL if handler is None else handler)


class SupervisedSession(Generic[Result, Progress]):
    """A coroutine in its own thread and loop; its progress and its end come back to the caller.

    `make` receives a function that reports progress and the event that asks it to stop.
    """

    def __init__(
        self,
        make: Callable[[Callable[[Progress], None], Event], Coroutine[Any, Any, Result]],
    ) -> None:
        self._make = make
        self._stop = Event()
        self._progress: queue.Queue[Progress] = queue.Queue()
        self._result: list[Result] = []
        self._error: list[BaseException] = []

    def run(
        self,
        on_progress: Callable[[Progress], None],
        on_halt: Callable[[], None] | None = None,
    ) -> Result:
        """Return the session's result, or raise what it raised.

        SIGUSR1 calls `on_halt` at once, on a thread of its own: a hanging session is no obstacle.
        A signal that arrives meanwhile (Ctrl-C, Prefect's cancellation) asks the session to stop,
        waits until it has left everything in order, and is then raised again. A progress report
        that fails (Prefect's server is away) is logged and never ends the session.
        """
        context = copy_context()  # so that its log lines belong to the caller's flow run
        thread = Thread(target=context.run, args=(self._work,), name="session", daemon=True)
        restore = _on_signal(on_halt)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(LOOK_EVERY)
                self._show(on_progress)
            self._show(on_progress)
        except BaseException:
            self._stop.set()
            thread.join(STOP_DEADLINE)
            raise
        finally:
            restore()
        if self._error:
            raise self._error[0]
        return self._result[0]

    def _work(self) -> None:
        try:
            with few_collections():
                self._result.append(asyncio.run(self._make(self._progress.put, self._stop)))
        except BaseException as error:
            self._error.append(error)

    def _show(self, on_progress: Callable[[Progress], None]) -> None:
        while not self._progress.empty():
            progress = self._progress.get_nowait()
            try:
                on_progress(progress)
            except Exception as error:
                logger.warning("progress could not be shown: %s", error)
