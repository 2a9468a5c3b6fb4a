"""A real PostgreSQL on a data folder of its own and a free loopback port, of Debian's package."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class PostgresServer:
    """A PostgreSQL of one test process; `start` and `kill` are for tests of its crash."""

    programs: Path
    folder: Path
    port: int
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://robo@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        self._run("initdb", "-D", self.data, "-U", "robo", "-A", "trust", "-E", "UTF8", "-N")

    def start(self) -> None:
        """Start, and try again while what was killed still holds its shared memory."""
        for tries_left in range(20, -1, -1):
            try:
                self._start()
                break
            except subprocess.CalledProcessError:
                if not tries_left:
                    raise
                time.sleep(0.25)

    def _start(self) -> None:
        # Without fsync a commit outlives a kill of the server all the same, and tests are quicker.
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} "
            "-c fsync=off -c autovacuum=off -c shared_buffers=16MB -c max_connections=40"
        )
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "-w", "-t", "60", "-D", self.data, "-l", log, "-o", settings)

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self.data)

    def kill(self) -> None:
        """Kill the server and every process of it at once, as a crash of the machine would."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in (first, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            user=self.user,
            cwd="/",
            timeout=120,
        )


def installed_programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").is_file()), None)


def unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: name another user then, or None to stay who we are."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
