"""Where the project is, what it installs, and a clean process to look at it from."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def packages(pyproject: dict[str, Any]) -> list[str]:
    return pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


@pytest.fixture(scope="session")
def in_fresh_process(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Run a script in a new interpreter, away from the checkout; what it prints is JSON."""
    folder = tmp_path_factory.mktemp("fresh")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ROBO_", "PREFECT_"))}
    environment = kept | {"PREFECT_HOME": str(folder / "prefect"), "ROBO_HOME": str(folder)}

    def run(script: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
