"""How long a person waits for `robo --help`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, at_most
from bench.timing import in_turns

REPETITIONS = 7
LIMIT = 0.5  # seconds, which the project promises


def measure() -> Iterator[Figure]:
    """Time whole processes, from their start to their end, output thrown away.

    Rivals: the same interpreter importing Typer and nothing else, which `robo` cannot beat; and
    the 0.5 s that the project allows itself.
    """
    robo = str(Path(sys.executable).with_name("robo"))
    pair = in_turns(
        lambda: _run(robo, "--help"),
        lambda: _run(sys.executable, "-c", "import typer"),
        REPETITIONS,
    )
    took, imported = pair.medians
    yield Figure("cli.help", took, "s", "python -c 'import typer'", imported, at_most(2.5))
    yield Figure("cli.help_limit", took, "s", "the promised 0.5 s", LIMIT, at_most(1.0))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
