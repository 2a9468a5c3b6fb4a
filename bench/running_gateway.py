"""A simulated gateway in a process and a folder of its own, on ports that happen to be free."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.cli_faults import HOST
from gateway.control_client import ask

FASTEST = 3600.0  # market seconds per wall second


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """Where a gateway listens, and the folder that holds it and whatever else a figure writes."""

    port: int
    control_port: int
    folder: Path
    pid: int

    def processor_seconds(self) -> float:
        """Return the processor seconds that the gateway's process has used."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def control(self, op: str, **fields: Any) -> dict[str, Any]:
        """Ask the control socket one thing and wait for the answer."""
        return ask(HOST, self.control_port, {"op": op, **fields}, timeout=None)

    def open_market(self, past: timedelta = timedelta(minutes=5)) -> datetime:
        """Let market time run to some minutes after the next open; return that moment (UTC)."""
        opened = datetime.fromisoformat(self.control("hello")["session"]["open"])
        self.control("advance", to=(opened + past).isoformat())
        return opened + past


@contextmanager
def running_gateway(
    speed: float = FASTEST, options: Sequence[str] = ()
) -> Generator[RunningGateway, None, None]:
    """Start a gateway whose clock stands until it is told otherwise; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        command = [sys.executable, "-m", "gateway", "run", "--port", "0", "--control-port", "0"]
        command += [
            "--state-dir",
            str(Path(name) / "gateway"),
            "--speed",
            str(speed),
            "--no-pacing",
            *options,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line.startswith("gateway ready"):
                    raise RuntimeError(f"the gateway did not start: {line!r}; see its errors above")
                words = line.replace(")", "").replace(",", "").split()
                port, control_port = int(words[3].split(":")[1]), int(words[5])
                yield RunningGateway(port, control_port, Path(name), process.pid)
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
