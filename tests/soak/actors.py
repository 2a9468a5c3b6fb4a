"""Processes forked from an interpreter that has everything imported: a gateway, a session."""

import asyncio
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from halt_steps import dying_at_step

from gateway.limits import UNLIMITED
from gateway.options import GatewayOptions
from gateway.server import Ready, serve
from models.domain.errors import HaltTrading, RetryLater, RoboError, SkipToday
from tasks.broker.ibkr import Client
from tasks.crash_points import Boundary
from tasks.halts.flattening import FlattenOrder, flatten, require_flat
from tasks.halts.halting import HaltOrder, halt_trading
from tasks.halts.resuming import resume_trading
from tasks.limits import load_limits
from tasks.session.sessions import ExecutionSession
from tasks.session.supervision import SupervisedSession
from tasks.settings import Settings
from tasks.stores import open_ledger

SPEED = 3600.0
BY = "the soak"
DONE, BROKEN, LATER, HALTED, SKIPPED, STOPPED = 0, 1, 10, 11, 12, 13
EXITS = ((HaltTrading, HALTED), (RetryLater, LATER), (SkipToday, SKIPPED), (Exception, BROKEN))


class Terminated(BaseException):
    """SIGTERM arrived."""


def fork(body: Callable[[], int], log: Path) -> int:
    """Run `body` in a new process, its words appended to `log`; return the process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = BROKEN
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        words = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(words, 1)
        os.dup2(words, 2)
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s", force=True
        )
        logging.getLogger("ib_async").setLevel(logging.ERROR)
        code = body()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


@dataclass
class GatewayActor:
    """One simulated gateway; killed and started again it keeps its ports and its state."""

    folder: Path
    seed: int
    log: Path
    port: int = 0
    control_port: int = 0
    pid: int = 0

    def start(self) -> None:
        """Fork it, and return once it listens."""
        told, tell = os.pipe()

        def ready(where: Ready) -> None:
            os.write(tell, f"{where.port} {where.control_port}\n".encode())

        def body() -> int:
            options = GatewayOptions(
                state_dir=self.folder,
                port=self.port,
                control_port=self.control_port,
                speed=SPEED,
                clock="step",
                seed=self.seed,
                pacing=UNLIMITED,
            )
            asyncio.run(serve(options, ready))
            return DONE

        self.pid = fork(body, self.log)
        os.close(tell)
        with os.fdopen(told) as lines:
            words = lines.readline().split()
        if not words:
            raise RuntimeError(f"the gateway did not start; see {self.log}")
        self.port, self.control_port = int(words[0]), int(words[1])


def start_session(settings: Settings, plan: Boundary, log: Path) -> int:
    """Fork one execution session whose boundaries `plan` sees; return the process id.

    As in a flow it works on a thread of its own, and SIGTERM asks it to stop.
    """

    def body() -> int:
        signal.signal(signal.SIGTERM, _interrupt)
        limits = load_limits(settings.limits_path)
        with open_ledger(settings) as ledger:
            supervised = SupervisedSession(
                lambda _report, stop: ExecutionSession(
                    settings=settings,
                    ledger=ledger,
                    limits=limits,
                    session=None,
                    longest_wait=1e9,
                    on_progress=lambda _progress: None,
                    stop=stop,
                    crash_plan=plan,
                ).run()
            )
            supervised.run(lambda _progress: None)
        return DONE

    return fork(partial(_told, body), log)


def start_verb(verb: str, settings: Settings, plan: Boundary, dies_at: int, log: Path) -> int:
    """Fork a person's `robo halt`, `flatten` (a halt, then the closing) or `resume`.

    `plan` sees the order path's boundaries of a flatten and a resume; with `dies_at` the process
    dies at that step of the halt.
    """

    def body() -> int:
        if verb == "resume":
            with open_ledger(settings) as ledger:
                resume_trading(settings, ledger, "seen to", BY, boundary=plan)
            return DONE
        with dying_at_step(dies_at):
            halted = halt_trading(settings, HaltOrder("enough", BY))
        if halted.trouble or halted.still_working:
            raise RetryLater(f"{halted.trouble}; {halted.still_working} orders still work")
        if verb == "flatten":
            limits = load_limits(settings.limits_path)
            with open_ledger(settings) as ledger:
                order = FlattenOrder(BY, "enough")
                require_flat(
                    asyncio.run(flatten(settings, ledger, limits, order, _log, boundary=plan))
                )
        return DONE

    return fork(partial(_told, body), log)


def _told(body: Callable[[], int]) -> int:
    """Run a body; return its code, or that of the error which it ended with."""
    Client.MaxRequests = 0  # the gateway does not count either: a crash comes sooner
    try:
        return body()
    except Terminated:
        return STOPPED
    except RoboError as error:
        _log(f"{type(error).__name__}: {error}")
        return next(code for kind, code in EXITS if isinstance(error, kind))


def _interrupt(*_: object) -> None:
    raise Terminated


def _log(text: str) -> None:
    logging.getLogger("soak").info("%s", text)


def wait_for_one(pids: set[int], patience: float) -> tuple[int, int]:
    """Return (process id, exit code; below 0 a signal) of the first to end; (0, 0) when none does.

    `patience` is in seconds.
    """
    pause, deadline = 0.0005, time.monotonic() + patience
    while True:
        for pid in pids:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return ended, os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return 0, 0
        time.sleep(pause)
        pause = min(pause * 1.3, 0.01)


def end(pid: int) -> None:
    """Kill one process and reap it, if it is there."""
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
