"""Where a universe's ledger is: a SQLite file of its own, or a database of the soak's PostgreSQL.

The server is the one of the ledger's own tests, with its data in a folder that goes with the soak.
"""

import importlib.util
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

TESTS = Path(__file__).parent.parent
FIXTURES = TESTS / "warehouse" / "conftest.py"
ENDED = (
    "SELECT count(DISTINCT parent_id || '.' || slice_no) FROM children "
    "WHERE state IN ('FILLED', 'CANCELLED', 'REJECTED')"
)


class LedgerPlace(Protocol):
    """A ledger's place, and what can be done to it from below."""

    url: str
    torn_at: str  # the boundary inside which a commit is broken

    def log_size(self) -> int: ...

    def break_commit(self, before: int) -> bool:
        """Break the commit at hand; say whether its process must die with it."""
        ...

    def ended_slices(self) -> int: ...

    def drop(self) -> None: ...


class FilePlace:
    """A SQLite file; its commit is torn by cutting the write-ahead log inside it."""

    torn_at = "commit-after"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ledger.sqlite"
        self._wal = folder / "ledger.sqlite-wal"
        self.url = f"sqlite:///{self._file}"

    def log_size(self) -> int:
        return self._wal.stat().st_size if self._wal.exists() else 0

    def break_commit(self, before: int) -> bool:
        after = self.log_size()
        if after > before:
            keep = before + (after - before) * 2 // 3 + 7
            os.truncate(self._wal, min(keep, after - 1))
        return True

    def ended_slices(self) -> int:
        """Count in a copy: to open the file itself would mend what the session has to mend."""
        with tempfile.TemporaryDirectory(prefix="robo-soak-") as folder:
            for path in (self._file, self._wal):
                if path.exists():
                    shutil.copy(path, folder)
            with closing(sqlite3.connect(Path(folder) / self._file.name)) as ledger:
                return int(ledger.execute(ENDED).fetchone()[0])

    def drop(self) -> None:
        """Do nothing: the file goes with its universe's folder."""


class ServerPlace:
    """A database of a server; its commit is broken by ending the server's side of it."""

    torn_at = "commit-before"

    def __init__(self, server: Any, name: str) -> None:
        self._server, self._name = server, name
        self.url = server.url.rpartition("/")[0] + f"/{name}"
        self._run(server.url, f"CREATE DATABASE {name}")

    def log_size(self) -> int:
        return 0

    def break_commit(self, before: int) -> bool:
        """Cut every connection to the database but this look's own; the process lives on."""
        self._run(
            self.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        return False

    def ended_slices(self) -> int:
        return int(self._run(self.url, ENDED)[0][0])

    def drop(self) -> None:
        self._run(self._server.url, f"DROP DATABASE {self._name} WITH (FORCE)")

    def _run(self, url: str, statement: str) -> list[Any]:
        import psycopg

        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []


class Server:
    """The soak's PostgreSQL, started when the first universe needs it; None where there is none."""

    def __init__(self) -> None:
        fixtures = _fixtures()
        programs = fixtures.installed_programs()
        self.postgres: Any = None
        self._folder: Path | None = None
        self._runs = False
        if programs is None:
            return
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._folder = Path(tempfile.mkdtemp(prefix="robo-pg-", dir="/tmp"))
        user = fixtures.unprivileged_user()
        if user is not None:
            shutil.chown(self._folder, user)
        self.postgres = fixtures.PostgresServer(programs, self._folder, port, user)

    def start(self) -> None:
        if not self._runs:
            self._runs = True
            self.postgres.make()
            self.postgres.start()

    def stop(self) -> None:
        if self._runs:
            self.postgres.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _fixtures() -> Any:
    sys.path.append(str(TESTS / "builders"))  # as pytest's setting does for the tests
    spec = importlib.util.spec_from_file_location("ledger_fixtures", FIXTURES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def started(server: Server) -> bool:
    """Start the server; say whether it runs."""
    try:
        server.start()
    except (subprocess.SubprocessError, OSError):
        return False
    return True
