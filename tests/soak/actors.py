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
from pathlib import Path
from threading import Event

from gateway.limits import UNLIMITED
from gateway.options import GatewayOptions
from gateway.server import Ready, serve
from models.domain.errors import HaltTrading, RetryLater, RoboError, SkipToday
from models.risk.limits import RiskLimits
from tasks.broker.ibkr import Client
from tasks.crash_points import Boundary
from tasks.sessions import ExecutionSession
from tasks.settings import Settings
from tasks.stores import open_ledger

SPEED = 3600.0
DONE, BROKEN, LATER, HALTED, SKIPPED = 0, 1, 10, 11, 12
EXITS = ((HaltTrading, HALTED), (RetryLater, LATER), (SkipToday, SKIPPED), (Exception, BROKEN))
LIMITS = RiskLimits(max_orders_per_minute=1800, duplicate_window=0)


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
    """Fork one execution session whose boundaries `plan` sees; return the process id."""

    def body() -> int:
        Client.MaxRequests = 0  # the gateway does not count either: a crash comes sooner
        try:
            with open_ledger(settings) as ledger:
                session = ExecutionSession(
                    settings=settings,
                    ledger=ledger,
                    limits=LIMITS,
                    session=None,
                    longest_wait=1e9,
                    on_progress=lambda _progress: None,
                    stop=Event(),
                    crash_plan=plan,
                )
                asyncio.run(session.run())
        except RoboError as error:
            logging.getLogger("soak").info("%s: %s", type(error).__name__, error)
            return next(code for kind, code in EXITS if isinstance(error, kind))
        return DONE

    return fork(body, log)


def wait_for_one(pids: set[int], deadline: float) -> tuple[int, int]:
    """Return (process id, exit code; below 0 a signal) of the first to end; (0, 0) when none does.

    `deadline` is of time.monotonic().
    """
    pause = 0.0005
    while time.monotonic() < deadline:
        for pid in pids:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return ended, os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(pause * 1.3, 0.01)
    return 0, 0


def end(pid: int) -> None:
    """Kill one process and reap it, if it is there."""
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
