"""A ledger of one mode is not opened in another."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput
from tasks.settings import load_settings
from tasks.stores import open_ledger

NOW = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
ACCOUNTS = {"simulated": "SIM0000001", "paper": "DU1234567", "live": "U1234567"}


def settings_of(mode, folder):
    return load_settings(mode=mode, home=folder, ledger_url=f"sqlite:///{folder}/ledger.sqlite")


@pytest.mark.parametrize("owner", ACCOUNTS)
@pytest.mark.parametrize("mark", ["account", "session"])
def test_only_its_own_mode_opens_a_ledger(tmp_path, owner, mark):
    with open_ledger(settings_of(owner, tmp_path)) as ledger:
        if mark == "account":
            ledger.accounts.record_opening(ACCOUNTS[owner], Decimal(1), {}, NOW, ())
        else:
            lease = ledger.leases.acquire(
                f"trading-{owner}", "test", pid=1, host="here", ttl=60, now=NOW
            )
            ledger.leases.release(lease)
    for mode in ACCOUNTS:
        if mode == owner:
            open_ledger(settings_of(mode, tmp_path)).close()
        else:
            with pytest.raises(InvalidInput, match=f"belongs to mode {owner}, and ROBO_MODE is"):
                open_ledger(settings_of(mode, tmp_path))


def test_a_new_ledger_is_anybodys(tmp_path):
    for mode in ACCOUNTS:
        open_ledger(settings_of(mode, tmp_path)).close()
