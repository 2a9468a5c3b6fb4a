"""One Prefect server for all verbs that run at once; the first starts it, the last one stops it.

Two servers on one SQLite file lock each other out. Who uses the server holds a shared lock on one
file, which the kernel gives back when a process dies; a second file is locked for the moment in
which somebody decides to start or to stop it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from models.domain.errors import InvalidInput, RetryLater
from tasks.processes import STOP_GRACE, Service, start_ticks

LOOK_EVERY = 0.1
LOWEST_PID = 1


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """Where the shared server is; `started` tells its process from a later one of the same id."""

    port: int
    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Say whether that very process runs."""
        return bool(self.started) and start_ticks(self.pid) == self.started


class SharedServer:
    """The server of one folder: `start` makes one, `answers` says whether one on a port is ours."""

    def __init__(
        self,
        folder: Path,
        start: Callable[[], tuple[int, Service]],
        answers: Callable[[int], bool],
        patience: float,
        silence: float = 60.0,
    ) -> None:
        self._folder = folder
        self._start = start
        self._answers = answers
        self._patience = patience
        self._silence = silence

    @contextmanager
    def use(self) -> Iterator[int]:
        """Give the port of the running server, started now if there was none.

        Raises RetryLater when another process takes longer than `patience` seconds to start it,
        InvalidInput when the folder cannot be written.
        """
        users = self._open("server-users.lock")
        try:
            with self._deciding():
                record = self._running(users) or self._started()
                fcntl.flock(users, fcntl.LOCK_SH)
            try:
                yield record.port
            finally:
                with self._deciding():
                    self._leave(users)
        finally:
            users.close()

    def _running(self, users: BinaryIO) -> ServerRecord | None:
        """Return the server once it answers, which may take long on a busy machine; None for none.

        One that stays silent is stopped, as it would hold the database, unless somebody uses it.
        """
        record = self._read()
        deadline = time.monotonic() + self._silence
        while record is not None and record.is_alive:
            if self._answers(record.port):
                return record
            if time.monotonic() > deadline:
                if not _taken(users):
                    raise RetryLater(
                        f"the Prefect server (pid {record.pid}) that another robo started has not "
                        f"answered for {self._silence:g} s; let that one end, then run this again"
                    )
                _stop(record)
            time.sleep(LOOK_EVERY)
        return None

    def _started(self) -> ServerRecord:
        port, service = self._start()
        record = ServerRecord(port, service.pid, start_ticks(service.pid))
        self._place.write_text(json.dumps([record.port, record.pid, record.started]))
        return record

    def _leave(self, users: BinaryIO) -> None:
        """Stop the server unless somebody else uses it."""
        if not _taken(users):
            return  # closing the file gives our share back
        record = self._read()
        if record is not None:
            _stop(record)
        self._place.unlink(missing_ok=True)

    @property
    def _place(self) -> Path:
        return self._folder / "server.json"

    def _read(self) -> ServerRecord | None:
        with suppress(OSError, ValueError, TypeError):
            port, pid, started = json.loads(self._place.read_text())
            record = ServerRecord(int(port), int(pid), str(started))
            # To the kernel a group 0 is our own, and group 1 is every process there is.
            return record if record.pid > LOWEST_PID and record.started else None
        return None

    @contextmanager
    def _deciding(self) -> Iterator[None]:
        """Hold the lock of whoever starts or stops the server."""
        file = self._open("server-start.lock")
        deadline = time.monotonic() + self._patience
        try:
            while not _taken(file):
                if time.monotonic() > deadline:
                    raise RetryLater(
                        f"another robo has been starting a Prefect server for {self._patience:g} "
                        f"s; see {self._folder / 'server.log'}, end that one, then run this again"
                    )
                time.sleep(LOOK_EVERY)
            yield
        finally:
            file.close()

    def _open(self, name: str) -> BinaryIO:
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return path.open("ab")
        except OSError as error:
            raise InvalidInput(
                f"{path} cannot be written ({error.strerror}); make its folder writable, or set "
                "ROBO_HOME to a folder that is"
            ) from error


def _taken(file: BinaryIO) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _stop(record: ServerRecord) -> None:
    """End the server's process group, which may be another process's child: politely, then not.

    Nothing is signalled unless the very process of the record runs and leads its own group: a
    record may be stale or damaged, and the number in it then is somebody else's.
    """
    if not record.is_alive or not _leads_group(record.pid):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):  # the second also for helpers left in the group
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(record.pid, number)
        deadline = time.monotonic() + STOP_GRACE
        while record.is_alive and time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(record.pid, os.WNOHANG)
            time.sleep(LOOK_EVERY)


def _leads_group(pid: int) -> bool:
    with suppress(OSError):
        return os.getpgid(pid) == pid
    return False
