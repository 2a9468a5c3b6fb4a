"""A sample of the crash soak: `make soak` runs as many points as one likes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(280)]

FOLDER = Path(__file__).parent
LAST_LINE = re.compile(
    r"points (\d+), lost 0 shares, doubled 0 shares, quarantined 0 parents, failing seeds none"
)


def soak(*arguments):
    return subprocess.run(
        [sys.executable, str(FOLDER), *arguments],
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )


@pytest.mark.lasts(25)
def test_some_twenty_crashes_lose_and_double_no_share():
    """These seeds sell, protect, watch, halt and resume."""
    ended = soak("22", "20222065", "--workers", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = LAST_LINE.fullmatch(ended.stdout.splitlines()[-1])
    assert found, ended.stdout
    assert int(found[1]) >= 22


def test_points_that_cannot_be_are_refused():
    ended = soak("0", "1")
    assert ended.returncode == 2
    assert "count from 1" in ended.stderr
