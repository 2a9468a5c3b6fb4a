"""`python -m bench` prints one JSON line a figure, with the keys that stay stable."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures import Figure, at_least, at_most

ROOT = Path(__file__).resolve().parents[2]
KEYS = ["name", "value", "unit", "rival", "rival_value", "ratio", "goal", "met"]


def bench(*arguments):
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_every_line_of_a_folder_is_a_figure():
    done = bench("cli")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["name"] for line in lines] == ["cli.help", "cli.help_limit"]
    for line in lines:
        assert list(line) == KEYS
        assert line["value"] > 0 and line["rival_value"] > 0
        assert line["ratio"] == pytest.approx(line["value"] / line["rival_value"], rel=1e-2)
        assert isinstance(line["met"], bool)


def test_an_unknown_folder_is_refused_with_those_there_are():
    done = bench("nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    for folder in ("nonsense", "cli", "execution", "gateway", "ledger", "models", "warehouse"):
        assert folder in done.stderr


@pytest.mark.parametrize(
    ("goal", "met"), [(at_most(2), True), (at_most(1.99), False), (at_least(2.01), False)]
)
def test_a_goal_is_met_by_the_ratio_alone(goal, met):
    assert json.loads(Figure("x", 4.0, "s", "y", 2.0, goal).line())["met"] is met
