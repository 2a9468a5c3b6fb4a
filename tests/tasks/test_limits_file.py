"""limits.toml: the shipped file works, a wrong one is named with file, key and range."""

from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from models.risk.exits import ExitRules
from models.risk.halt_limits import HaltLimits
from models.risk.limits import RiskLimits
from tasks.limits import load_limits

SHIPPED = Path(__file__).parents[2] / "limits.toml"


def test_shipped_file_sets_every_limit_to_its_default() -> None:
    assert load_limits(SHIPPED) == RiskLimits()
    text = SHIPPED.read_text()
    tables = {"halts": HaltLimits, "exits": ExitRules}
    flat = RiskLimits.__dataclass_fields__.keys() - tables.keys()
    assert all(f"\n{name} = " in text for name in flat)
    assert all(f"\n{name} = " in text for name in HaltLimits.__dataclass_fields__)
    assert all(f"\n[{name}]" in text for name in ("halts", "exits", "exits.stops", "exits.targets"))


def test_file_overrides_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('max_order_quantity = 5\nrestricted = ["gme"]\n')
    limits = load_limits(path)
    assert limits.max_order_quantity == 5
    assert limits.restricted == frozenset({"GME"})
    assert limits.max_daily_loss == RiskLimits().max_daily_loss


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_order_quantity = -1", r"max_order_quantity is -1.*from 1 to"),
        ("max_daily_loss = nan", "max_daily_loss"),
        ("max_daily_loss = inf", "max_daily_loss"),
        ('max_daily_loss = "3%"', "max_daily_loss"),
        ("max_dayly_loss = 0.1", "max_dayly_loss"),
        ("allow_short = 1", "allow_short"),
        ("restricted = 5", "restricted"),
        ("[exits]\nmode = 'maybe'", r"exits.mode is 'maybe'; give one of off, resting, monitored"),
        ("[exits]\nstop = 3", r"unknown risk limit exits.stop; exits has mode"),
        ("[exits]\nunit_sessions = 1", "exits.unit_sessions is 1; give a whole number from 2 to"),
        ("[exits.stops]\nbull = -3", r"exits.stops.bull is -3; give a number from 0.25 to 20"),
        ("[exits.stops]\nbulls = 3", r"unknown risk limit exits.stops.bulls"),
        ("exits = 3", r"exits is 3; give a table \[exits\]"),
        ("max_rejects = 0", "max_rejects is 0; give a whole number from 1 to 100"),
        ("max_day_trades = 2.5", "max_day_trades is 2.5; give a whole number"),
        ("margin_account = 'yes'", "margin_account is 'yes'; give true or false"),
        ("", "sets no limit at all; restore it"),
        ("# all of it commented out", "sets no limit at all; restore it"),
        ("max_order_quantity = ", "not valid TOML"),
        ("max_order_quantity = 1\nmax_order_quantity = 2", "not valid TOML"),
    ],
)
def test_wrong_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message) as caught:
        load_limits(path)
    assert str(path) in str(caught.value)


def test_missing_binary_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"does not exist.*ROBO_LIMITS_FILE"):
        load_limits(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        load_limits(tmp_path / "binary.toml")
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_limits(tmp_path)
