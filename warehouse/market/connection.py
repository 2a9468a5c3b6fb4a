"""Short openings of the DuckDB file: exclusive to write, shared to read, with waits for others.

One process may hold the file; whoever comes second gets an error at once. So nothing is prepared
while the file is open, and both readers and writers try again, with jitter, up to a deadline.
"""

from __future__ import annotations

import fcntl
import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput, RetryLater
from warehouse.market.schema import lacks_steps, migrate, utc_naive

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["MarketStore", "utc_naive"]

FIRST_PAUSE = 0.005
LONGEST_PAUSE = 0.05

_HOLDER = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_BUSY = ("could not set lock", "conflicting lock", "different configuration than existing")
TURN_PAUSE = 0.002  # seconds
OFFLINE = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
WRITE_MEMORY = "512MB"  # of DuckDB while it writes; what needs more goes through a file beside it
_OPENINGS: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


class MarketStore:
    """The DuckDB file at `path`; it is created and migrated by the first opening."""

    def __init__(self, path: Path, deadline: float) -> None:
        self.path = path
        self._deadline = deadline
        self._checked: tuple[int, int] | None = None  # the file whose schema was seen to be current

    @contextmanager
    def write(self) -> Generator[DuckDBPyConnection, None, None]:
        """Give the only connection to the file, in one transaction; close it at the end.

        Raises RetryLater when others hold the file beyond the deadline, InvalidInput when the file
        or its folder cannot be used.
        """
        with self._alone_in_process(), _translated(self.path):
            connection = self._open(read_only=False)
            try:
                connection.execute(f"SET memory_limit = '{WRITE_MEMORY}'")
                migrate(connection, str(self.path))
                connection.begin()
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
            finally:
                connection.close()

    @contextmanager
    def read(self) -> Generator[DuckDBPyConnection, None, None]:
        """Give a read-only connection; the file is created or migrated first when it needs to be.

        Raises as `write` does.
        """
        if not self.path.is_file() or self._lacks_steps():
            with self.write():
                pass
            self._checked = self._identity()
        with self._reader() as connection:
            yield connection

    @contextmanager
    def opened(self, path: Path, *, read_only: bool) -> Generator[DuckDBPyConnection, None, None]:
        """Give a connection to a copy of the file that nobody else uses; raises InvalidInput."""
        import duckdb

        with _translated(path):
            connection = duckdb.connect(str(path), read_only=read_only, config=dict(OFFLINE))
            try:
                yield connection
            finally:
                connection.close()

    @contextmanager
    def snapshot(self, folder: Path) -> Generator[DuckDBPyConnection, None, None]:
        """Give a connection to the content of one moment for as long as it takes.

        Others are kept waiting for no longer than it takes to copy the file into `folder`.
        """
        from warehouse.market.storage import copy_file

        copied = folder / f".{self.path.name}"
        try:
            copy_file(self, copied)
            with self.opened(copied, read_only=True) as connection:
                yield connection
        finally:
            copied.unlink(missing_ok=True)
            Path(f"{copied}.wal").unlink(missing_ok=True)

    @contextmanager
    def _reader(self) -> Generator[DuckDBPyConnection, None, None]:
        with self._alone_in_process(), _translated(self.path):
            connection = self._open(read_only=True)
            try:
                yield connection
            finally:
                connection.close()

    def _lacks_steps(self) -> bool:
        """Say whether migrations are pending; a file found current is not asked again."""
        identity = self._identity()
        if self._checked == identity:
            return False
        with self._reader() as connection:
            if lacks_steps(connection, str(self.path)):
                return True
        self._checked = identity
        return False

    def _identity(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    @contextmanager
    def _alone_in_process(self) -> Generator[None, None, None]:
        """Let the threads of this process open the file one after the other.

        Inside one process DuckDB shares an opening between connections, and a second one that
        comes while the first is being closed fails in several ways.
        """
        lock = _OPENINGS[str(self.path.absolute())]
        if not lock.acquire(timeout=self._deadline):
            raise RetryLater(
                f"another thread of this process has been using {self.path} for more than "
                f"{self._deadline:g} s; run this again once it has ended"
            )
        try:
            yield
        finally:
            lock.release()

    def _open(self, *, read_only: bool) -> DuckDBPyConnection:
        import duckdb

        if not read_only:
            _prepare_folder(self.path)
        started = time.monotonic()
        with _turn(self.path, self._deadline):
            return self._open_in_turn(duckdb, read_only, started)

    def _open_in_turn(self, duckdb: Any, read_only: bool, started: float) -> DuckDBPyConnection:
        pause = FIRST_PAUSE
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only, config=dict(OFFLINE))
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if not _is_busy(error):
                    raise
                if time.monotonic() - started + pause > self._deadline:
                    raise RetryLater(_held_text(self.path, self._deadline, error)) from error
            time.sleep(random.uniform(0.5, 1.5) * pause)  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def _turn(path: Path, deadline: float) -> Generator[None, None, None]:
    """Queue for the opening: whoever waits for the file keeps later comers behind.

    Without it readers that follow each other closely would never let a writer in. The turn is only
    a courtesy between our own processes; what protects the file is DuckDB's own lock.
    """
    try:
        file = path.with_name(f".{path.name}.turn").open("a")
    except OSError:  # a folder that cannot be written has no writers
        yield
        return
    with file:
        until = time.monotonic() + deadline
        while time.monotonic() <= until:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(random.uniform(0.5, 1.5) * TURN_PAUSE)  # noqa: S311
        yield


def _prepare_folder(path: Path) -> None:
    if path.is_dir():
        raise InvalidInput(f"the warehouse {path} is a folder; name a file (ROBO_HOME)")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"the folder of the warehouse {path} cannot be made ({error.strerror}); "
            "make it writable, or set ROBO_HOME to a folder that is"
        ) from error


def _is_busy(error: Exception) -> bool:
    return any(sign in str(error).lower() for sign in _BUSY)


def _held_text(path: Path, deadline: float, error: Exception) -> str:
    holder = _HOLDER.search(str(error))
    who = f"process {holder['pid']} ({holder['program']})" if holder else "another process"
    return (
        f"the warehouse {path} is held by {who}, for more than {deadline:g} s; "
        "wait for it to end, or end it, then run this again"
    )


@contextmanager
def _translated(path: Path) -> Generator[None, None, None]:
    """Turn DuckDB's failures about the file into the domain's, with what to do."""
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.FatalException, duckdb.InternalException) as error:
        cause = " ".join(str(error).split())
        lowered = cause.lower()
        if "no space left" in lowered or "disk full" in lowered:
            advice = "free space on its disk and run this again: what was committed is safe"
        elif "version number" in lowered or "newer" in lowered:
            advice = "it was written by a newer version: update duckdb, or name another file"
        elif any(sign in lowered for sign in ("permission", "read-only", "cannot open")):
            advice = "make the file and its folder readable and writable, or set ROBO_HOME"
        else:
            advice = "move it away, restore a backup, or run robo ingest to fill a new one"
        raise InvalidInput(f"the warehouse {path} cannot be used ({cause}); {advice}") from error
