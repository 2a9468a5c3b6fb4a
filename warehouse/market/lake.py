"""The same warehouse on DuckLake: Parquet files, and a catalog in SQLite or PostgreSQL.

Readers see a snapshot and never wait; several machines may read and write when the catalog is a
PostgreSQL server and the folder is shared. A lake knows no keys, and two writers that add the same
bar at once would both succeed, so writers take turns: by a lock file beside a SQLite catalog, by
an advisory lock of the PostgreSQL server. DuckDB's extensions come as locked packages and are
loaded by path; nothing is downloaded.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput, RetryLater
from warehouse.market.connection import OFFLINE, MarketStore
from warehouse.market.schema import lacks_steps, migrate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PREFIX = "ducklake:"
PAUSE = 0.01  # seconds between looks at the lock file
WRITER_LOCK = 7_205_759_404  # any constant that all versions share, and not the ledger's

_FORM = re.compile(r"^ducklake:(?P<kind>sqlite|postgres):(?P<where>.+)$", re.DOTALL)
_SCANNERS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}


class LakeStore(MarketStore):
    """A lake: a catalog (`ducklake:sqlite:FILE` or `ducklake:postgres:CONNECTION`) and a folder."""

    def __init__(self, place: str, folder: Path, deadline: float) -> None:
        """Name the lake; both parts are made by the first writing. Raises InvalidInput."""
        super().__init__(folder, deadline)
        found = _FORM.match(place)
        if found is None:
            raise InvalidInput(
                f"{place} names no lake; give ducklake:sqlite:/folder/catalog.sqlite or "
                "ducklake:postgres:host=… dbname=…"
            )
        self._kind, self._where = found["kind"], found["where"]
        if "password" in self._where.lower():
            raise InvalidInput(
                "ROBO_WAREHOUSE holds a password; put it into ~/.pgpass or PGPASSWORD instead"
            )
        self._deadline = deadline
        self._is_current = False

    @contextmanager
    def write(self) -> Generator[DuckDBPyConnection, None, None]:
        """Give a connection in one transaction, while no other writer of this system is at work."""
        self._prepare()
        with self._turn(), _translated(self._shown()):
            connection = self._attached(read_only=False)
            try:
                migrate(connection, self._shown(), keys=False)
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
        """Give a connection to one snapshot; it waits for nobody."""
        if not self._is_current:
            self._make_current()
        with _translated(self._shown()):
            connection = self._attached(read_only=True)
            try:
                connection.begin()
                yield connection
            finally:
                connection.close()

    @contextmanager
    def snapshot(self, folder: Path) -> Generator[DuckDBPyConnection, None, None]:
        """Give a connection to the content of one moment; `folder` is not needed for that."""
        with self.read() as connection:
            yield connection

    def _make_current(self) -> None:
        """Create or migrate the lake, unless it is as this version wants it."""
        if self._kind == "postgres" or Path(self._where).is_file():
            self._prepare()
            with _translated(self._shown()):
                connection = self._attached(read_only=False)
                try:
                    self._is_current = not lacks_steps(connection, self._shown())
                finally:
                    connection.close()
        if not self._is_current:
            with self.write():
                pass
            self._is_current = True

    def _attached(self, *, read_only: bool) -> DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(config=dict(OFFLINE))
        try:
            for name in (_SCANNERS[self._kind], "ducklake"):
                connection.execute(f"LOAD '{extension_file(name, duckdb.__version__)}'")
            catalog = f"ducklake:{self._kind}:{self._where}".replace("'", "''")
            options = f"DATA_PATH '{str(self.path).replace(chr(39), 2 * chr(39))}'"
            if read_only:
                options += ", READ_ONLY"
            connection.execute(f"ATTACH '{catalog}' AS lake ({options})")
            connection.execute("USE lake")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _turn(self) -> Generator[None, None, None]:
        with self._alone_in_process():
            if self._kind == "sqlite":
                with _locked_file(Path(f"{self._where}.lock"), self._deadline):
                    yield
            else:
                with _locked_server(self._where, self._deadline):
                    yield

    def _prepare(self) -> None:
        folders = [self.path]
        if self._kind == "sqlite":
            folders.append(Path(self._where).parent)
        for folder in folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidInput(
                    f"the folder {folder} of the lake cannot be made ({error.strerror}); "
                    "name another in ROBO_WAREHOUSE or ROBO_WAREHOUSE_DATA"
                ) from error

    def _shown(self) -> str:
        return f"lake {self._where} ({self.path})"


def extension_file(name: str, version: str) -> Path:
    """Return the file of a DuckDB extension among the installed packages; raise InvalidInput."""
    found = find_spec(f"duckdb_extension_{name}")
    folders = [] if found is None else list(found.submodule_search_locations or ())
    for folder in folders:
        file = Path(folder) / "extensions" / f"v{version}" / f"{name}.duckdb_extension"
        if file.is_file():
            return file
    raise InvalidInput(
        f"DuckDB {version} has no package of its extension {name} here; install the extra "
        "robo-trader[lake], or unset ROBO_WAREHOUSE to use a file"
    )


@contextmanager
def _locked_file(path: Path, deadline: float) -> Generator[None, None, None]:
    with path.open("a") as file:
        until = time.monotonic() + deadline
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise RetryLater(
                        f"another writer has held {path} for more than {deadline:g} s; "
                        "run this again once it has ended"
                    ) from error
            time.sleep(PAUSE)
        yield


@contextmanager
def _locked_server(conninfo: str, deadline: float) -> Generator[None, None, None]:
    """Hold the server's advisory lock; it is released with the connection, whatever happens."""
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "a lake on PostgreSQL needs psycopg; install the extra robo-trader[postgresql]"
        ) from error
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            milliseconds = str(max(1, int(deadline * 1000)))
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [milliseconds])
            connection.execute("SELECT pg_advisory_lock(%s)", [WRITER_LOCK])
            yield
    except psycopg.errors.LockNotAvailable as error:
        raise RetryLater(
            f"another writer has held the lake for more than {deadline:g} s; run this again"
        ) from error
    except psycopg.OperationalError as error:
        raise RetryLater(
            f"the catalog of the lake cannot be reached ({' '.join(str(error).split())}); "
            "start its server, or correct ROBO_WAREHOUSE"
        ) from error


@contextmanager
def _translated(place: str) -> Generator[None, None, None]:
    import duckdb

    try:
        yield
    except duckdb.TransactionException as error:
        raise RetryLater(f"the {place} was changed meanwhile ({error}); run this again") from error
    except (duckdb.IOException, duckdb.FatalException, duckdb.InternalException) as error:
        cause = " ".join(str(error).split())
        raise InvalidInput(
            f"the {place} cannot be used ({cause}); correct ROBO_WAREHOUSE and "
            "ROBO_WAREHOUSE_DATA, or restore the catalog and the folder together"
        ) from error
