"""The live interlock: which account may be traded in which mode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from models.domain.errors import HaltTrading
from tasks.masking import mask_account

if TYPE_CHECKING:
    from tasks.settings import Settings

SIMULATED_PREFIX = "SIM"
PAPER_PREFIXES = ("DU", "DF")
LIVE_PORTS = frozenset({4001, 7496})
PAPER_PORTS = frozenset({4002, 7497})
LONGEST_ARMING = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Interlock:
    """What the operator has declared: the mode, the expected account and the arming of a live one.

    `allowed_live` is a comma separated list of account ids; `armed_until` is UTC; `approved` is
    the configuration's hash that was signed, `present` that of the configuration as it is.
    """

    mode: str
    expected_account: str
    allowed_live: str
    armed_until: datetime | None
    port: int = 0
    approved: str = ""
    present: str = ""


def check_interlock(account: str, declared: Interlock, now: datetime) -> None:
    """Raise HaltTrading that names every disagreement between the account and the declarations.

    `account` is the id as the broker reports it after connecting: a port proves nothing.
    """
    disagreements = _prefix_disagreements(account, declared.mode)
    disagreements += _port_disagreements(declared)
    if declared.expected_account and declared.expected_account != account:
        disagreements.append(
            f"the broker's account is {mask_account(account)} but ROBO_ACCOUNT is "
            f"{mask_account(declared.expected_account)}"
        )
    if declared.mode == "live":
        disagreements += _arming_disagreements(account, declared, now)
    if disagreements:
        raise HaltTrading(
            "not trading: " + "; ".join(disagreements) + "; correct ROBO_MODE and the account "
            "settings, or connect to the right gateway"
        )


def require_right_account(settings: Settings, account: str) -> None:
    """Raise HaltTrading unless this is an account of the mode; a live one needs no arming here.

    For whoever ends orders: who may no longer trade must still be able to stop.
    """
    now = datetime.now(UTC)
    armed = now + timedelta(hours=1)
    declared = Interlock(settings.mode, settings.account, settings.allow_live_account, armed)
    check_interlock(account, declared, now)


def mode_of(account: str) -> str:
    """Return the mode that an account id belongs to."""
    if account.startswith(SIMULATED_PREFIX):
        return "simulated"
    return "paper" if account.startswith(PAPER_PREFIXES) else "live"


def _prefix_disagreements(account: str, mode: str) -> list[str]:
    is_simulated = account.startswith(SIMULATED_PREFIX)
    is_paper = account.startswith(PAPER_PREFIXES)
    if not account.strip():
        return ["the broker named no account"]
    if mode == "simulated" and not is_simulated:
        return [f"mode simulated needs an account SIM..., the broker has {mask_account(account)}"]
    if mode == "paper" and not is_paper:
        return [
            f"mode paper needs an account DU... or DF..., the broker has {mask_account(account)}"
        ]
    if mode == "live" and (is_simulated or is_paper):
        return [f"mode live, but {mask_account(account)} is a simulated or paper account"]
    if mode not in ("simulated", "paper", "live"):
        return [f"mode {mode!r} is not known"]
    return []


def _port_disagreements(declared: Interlock) -> list[str]:
    """Return the contradiction of a port that is by custom the other kind's; it proves nothing."""
    if declared.mode == "live" and declared.port in PAPER_PORTS:
        return [f"mode live, but port {declared.port} is by custom a paper account's"]
    if declared.mode != "live" and declared.port in LIVE_PORTS:
        return [f"mode {declared.mode}, but port {declared.port} is by custom a live account's"]
    return []


def _arming_disagreements(account: str, declared: Interlock, now: datetime) -> list[str]:
    found: list[str] = []
    allowed = {part.strip() for part in declared.allowed_live.split(",") if part.strip()}
    if account not in allowed:
        found.append(f"account {mask_account(account)} is not in ROBO_ALLOW_LIVE_ACCOUNT")
    if declared.armed_until is None:
        found.append("ROBO_LIVE_ARMED_UNTIL is not set")
    elif declared.armed_until <= now:
        found.append(f"ROBO_LIVE_ARMED_UNTIL expired at {declared.armed_until.isoformat()}")
    elif declared.armed_until - now > LONGEST_ARMING:
        found.append(
            f"ROBO_LIVE_ARMED_UNTIL {declared.armed_until.isoformat()} is more than a day ahead"
        )
    if declared.approved != declared.present:
        found.append(
            "ROBO_LIVE_CONFIG is not the approval of this configuration (program, limits and "
            "settings); read `robo doctor`, and set it to what that shows if all of it is meant"
        )
    return found
