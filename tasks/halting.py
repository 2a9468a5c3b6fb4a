"""The kill switch: a halt that every session reads before each send, and the end of what works."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from models.domain.errors import RoboError
from models.domain.orders import ParentState
from tasks.broker.roles import Role, address
from tasks.interlock import Interlock, check_interlock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasks.broker.protocol import Evidence
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger

CANCEL_DEADLINE = 10.0
LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class HaltOutcome:
    """What a halt did: orders cancelled, orders still working, and why that is unknown if it is."""

    reason: str
    cancelled: int
    still_working: int
    trouble: str


def halt_trading(
    settings: Settings, open_ledger: Callable[[Settings], OrderLedger], reason: str, by: str
) -> HaltOutcome:
    """Record the halt, then ask the broker to cancel every working order of the account.

    Each of the two is tried whatever becomes of the other; `trouble` says which of them failed.
    """
    trouble: list[str] = []
    try:
        with open_ledger(settings) as ledger:
            ledger.halts.halt(reason, by, datetime.now(UTC))
    except Exception as error:  # whatever it is, the orders at the broker must still end
        trouble.append(f"the halt could NOT be recorded: {error}")
    cancelled = left = 0
    try:
        cancelled, left, unread = asyncio.run(_cancel_everything(settings))
        trouble += [unread] if unread else []
    except (RoboError, OSError) as error:
        trouble.append(f"working orders could NOT be cancelled: {error}")
    return HaltOutcome(reason, cancelled, left, "; ".join(trouble))


def resume_trading(ledger: OrderLedger, reason: str, by: str, session_parents: list[str]) -> bool:
    """Lift every halt and let paused parents work again; say whether anything changed."""
    lifted = ledger.halts.resume(reason, by, datetime.now(UTC))
    woken = [
        parent_id
        for parent_id in session_parents
        if ledger.parents.get(parent_id).state is ParentState.PAUSED
        and ledger.parents.set_state(parent_id, ParentState.WORKING, f"resumed by {by}: {reason}")
    ]
    return lifted or bool(woken)


async def _cancel_everything(settings: Settings) -> tuple[int, int, str]:
    """Return the orders cancelled, those still working, and why both are unknown if they are."""
    from tasks.broker.ibkr import OrderConnection

    connection = await OrderConnection.open(address(settings, Role.HALT), settings.broker_timeout)
    try:
        require_right_account(settings, connection.account)
        asked = connection.cancel_everything()
        try:
            working = await asked
            left = await _wait_for_the_end(connection.collect_evidence)
        except RoboError as error:
            sent = "every working order was asked to end, but what became of them is unread"
            return 0, 0, f"{sent}: {error}"
        return max(working - left, 0), left, ""
    finally:
        await connection.close()


def require_right_account(settings: Settings, account: str) -> None:
    """Raise HaltTrading unless this is an account of the mode; a live one needs no arming here.

    Who may no longer trade must still be able to stop.
    """
    now = datetime.now(UTC)
    armed = now + timedelta(hours=1)
    declared = Interlock(settings.mode, settings.account, settings.allow_live_account, armed)
    check_interlock(account, declared, now)


async def _wait_for_the_end(collect: Callable[[], Awaitable[Evidence]]) -> int:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CANCEL_DEADLINE
    while True:
        evidence = await collect()
        if not evidence.open_orders or loop.time() > deadline:
            return len(evidence.open_orders)
        await asyncio.sleep(LOOK_EVERY)
