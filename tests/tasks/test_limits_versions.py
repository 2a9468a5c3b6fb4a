"""Canonical text, versions and the watch on a file that changes under a session."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from models.risk.exits import ExitRules
from models.risk.limits import RiskLimits
from tasks.limits import LimitsWatch, adopt_limits, canonical_text, changes, content_hash

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.toml"


def write(path: Path, text: str) -> None:
    """Write with a moment of its own, whatever the file system's clock can tell apart."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_equal_limits_have_equal_text_however_they_are_written(path):
    write(path, "max_order_notional = 50000\n# nothing else\n")
    from tasks.limits import load_limits

    assert canonical_text(load_limits(path)) == canonical_text(RiskLimits())
    assert content_hash(load_limits(path)) == content_hash(RiskLimits())
    lines = canonical_text(RiskLimits()).splitlines()
    assert lines == sorted(lines)
    assert "allow_short = false" in lines and "exits.stops.bull = 3" in lines


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"max_daily_loss": 0.02}, ("max_daily_loss", "0.03", "0.02")),
        ({"restricted": frozenset({"GME", "AMC"})}, ("restricted", "[]", "['AMC', 'GME']")),
        ({"exits": ExitRules(mode="resting")}, ("exits.mode", "off", "resting")),
    ],
)
def test_a_change_is_told_by_limit_and_both_values(change, expected):
    after = replace(RiskLimits(), **change)
    assert changes(canonical_text(RiskLimits()), canonical_text(after)) == [expected]
    assert content_hash(after) != content_hash(RiskLimits())


def test_adopting_a_file_gives_its_content_a_version(path, ledger):
    write(path, "max_rejects = 4\n")
    first = adopt_limits(path, ledger, "ann", NOW)
    assert (first.version.version, first.version.by, first.limits.max_rejects) == (1, "ann", 4)
    write(path, "max_rejects = 4 # the same\n")
    assert adopt_limits(path, ledger, "bob", NOW).version == first.version
    write(path, "max_rejects = 3\n")
    assert adopt_limits(path, ledger, "bob", NOW).version.version == 2
    write(path, "max_rejects = -3\n")
    with pytest.raises(InvalidInput, match="max_rejects is -3; give a whole number from 1 to 100"):
        adopt_limits(path, ledger, "bob", NOW)
    assert len(ledger.limits.history()) == 2


def test_a_session_says_once_that_it_goes_on_with_what_it_started_with(path):
    write(path, "max_order_notional = 50000\n")
    watch = LimitsWatch(path, RiskLimits(), 3)
    assert watch.notice() == ""
    write(path, "max_daily_loss = 0.01\n")
    told = watch.notice()
    assert "limits.toml was changed (max_daily_loss 0.03 -> 0.01)" in told
    assert "goes on with version 3" in told and "robo halt" in told
    assert watch.notice() == ""
    write(path, "max_daily_loss = 0.01 # touched\n")
    assert watch.notice() == "", "the same change is not told twice"
    write(path, "max_daily_loss = -1\n")
    assert "max_daily_loss is -1" in watch.notice()
    path.unlink()
    assert "does not exist" in watch.notice()
    write(path, "max_order_notional = 50000\n")
    assert watch.notice() == ""
    assert watch.limits == RiskLimits()
