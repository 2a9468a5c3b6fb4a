"""The live interlock: an account is traded only when everything that was declared agrees."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.errors import HaltTrading
from tasks.interlock import Interlock, check_interlock
from tasks.settings import load_settings

NOW = datetime(2023, 1, 3, 15, 0, tzinfo=UTC)
ARMED = Interlock("live", "", "U1234567,U7654321", NOW + timedelta(hours=8))


@pytest.mark.parametrize(
    ("mode", "account"), [("simulated", "SIM0000001"), ("paper", "DU123456"), ("paper", "DF123456")]
)
def test_matching_mode_and_account_pass(mode: str, account: str) -> None:
    load_settings(mode=mode).require_tradable(account, NOW)
    load_settings(mode=mode, account=account).require_tradable(account)


@pytest.mark.parametrize(
    ("mode", "account"),
    [
        ("simulated", "DU123456"),
        ("simulated", "U1234567"),
        ("paper", "SIM0000001"),
        ("paper", "U1234567"),
        ("live", "SIM0000001"),
        ("live", "DU123456"),
        ("live", "DF123456"),
        ("simulated", ""),
        ("paper", " "),
        ("live", ""),
        ("simulated", "sim0000001"),
    ],
)
def test_account_of_another_mode_is_refused(mode: str, account: str) -> None:
    settings = load_settings(
        mode=mode, allow_live_account=account.strip(), live_armed_until=NOW + timedelta(hours=1)
    )
    with pytest.raises(HaltTrading, match="not trading"):
        settings.require_tradable(account, NOW)


def test_another_account_than_expected_is_refused() -> None:
    settings = load_settings(mode="paper", account="DU111111")
    with pytest.raises(HaltTrading, match=r"DU\*{4}22 but ROBO_ACCOUNT is DU\*{4}11"):
        settings.require_tradable("DU222222", NOW)


def test_live_passes_only_when_all_agree() -> None:
    check_interlock("U1234567", ARMED, NOW)


@pytest.mark.parametrize(
    ("account", "allowed", "until", "message"),
    [
        ("U1234567", "", NOW + timedelta(hours=1), "not in ROBO_ALLOW_LIVE_ACCOUNT"),
        ("U1234567", "U123456", NOW + timedelta(hours=1), "not in ROBO_ALLOW_LIVE_ACCOUNT"),
        ("U1234567", "U1234567", None, "ROBO_LIVE_ARMED_UNTIL is not set"),
        ("U1234567", "U1234567", NOW, "expired"),
        ("U1234567", "U1234567", NOW - timedelta(seconds=1), "expired"),
        ("U1234567", "U1234567", NOW + timedelta(days=1, seconds=1), "more than a day ahead"),
    ],
)
def test_live_is_refused_when_one_thing_is_missing(
    account: str, allowed: str, until: datetime | None, message: str
) -> None:
    with pytest.raises(HaltTrading, match=message):
        check_interlock(account, Interlock("live", "", allowed, until), NOW)


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(HaltTrading, match="not known"):
        check_interlock("U1234567", Interlock("real", "", "U1234567", ARMED.armed_until), NOW)


@given(
    mode=st.sampled_from(["simulated", "paper"]),
    account=st.from_regex(r"\A(U|DU|DF|SIM|I|F)[0-9]{6,7}\Z"),
    allowed=st.sampled_from(["", "U1234567"]),
)
def test_no_real_account_trades_outside_live_mode(mode: str, account: str, allowed: str) -> None:
    declared = Interlock(mode, "", allowed, NOW + timedelta(hours=1))
    simulated, paper = account.startswith("SIM"), account.startswith(("DU", "DF"))
    if (mode, True) in {("simulated", simulated), ("paper", paper)}:
        check_interlock(account, declared, NOW)
    else:
        with pytest.raises(HaltTrading):
            check_interlock(account, declared, NOW)
