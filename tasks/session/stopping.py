"""Why a session must stop now: a halt, a stop request, an arming that has ended, a limit passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.errors import HaltTrading, RetryLater
from tasks.session.guard import breach

if TYPE_CHECKING:
    from datetime import datetime
    from threading import Event

    from tasks.session.guard import SessionGuard
    from tasks.session.orders import OrderDesk
    from tasks.session.symbol_halts import SymbolHalts
    from tasks.settings import Settings


def reason_to_stop(
    desk: OrderDesk,
    settings: Settings,
    stop: Event,
    *,
    symbol_halts: SymbolHalts,
    guard: SessionGuard,
    now: datetime,
) -> HaltTrading | RetryLater | None:
    """Return what ends the session at `now` (UTC, market time), if anything does.

    A halt of one symbol ends no session: what works in it is cancelled.
    """
    for halt in desk.ledger.halts.in_force():
        if not halt.symbol:
            return HaltTrading(
                f"trading was halted by {halt.by} at {halt.at.isoformat()}: {halt.reason}; "
                "`robo resume --reason ...` lifts it, then `robo execute` goes on"
            )
        symbol_halts.enforce(desk, halt.symbol, now)
    if stop.is_set():
        return RetryLater(
            "stopped before the schedule was done; nothing is lost: run `robo execute` again "
            "and it goes on where it stopped"
        )
    if settings.mode == "live":  # its arming has an end
        try:
            settings.require_tradable(desk.book.account)
        except HaltTrading as expired:
            return expired
    return breach(guard, desk, now)
