"""The kill switch: a halt that every session reads before each send, and the end of what works.

The order of acts is: the halt row, the account checked against the mode, the cancels, and only
then a look at what became of them. None waits for Prefect, for a session or for the warehouse.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from models.domain.errors import RoboError
from models.domain.halts import HaltCode
from models.domain.orders import is_exit_ref
from tasks.broker.protocol import ClientIdTaken, GatewayNotReady
from tasks.broker.quick_cancel import NotSaid, cancel_all, cancel_symbol
from tasks.broker.roles import Role, address
from tasks.interlock import require_right_account
from warehouse.quick_halt import quick_halt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasks.broker.ibkr import OrderConnection
    from tasks.broker.protocol import Evidence, OrderStatus
    from tasks.settings import Settings

RECORD_PATIENCE = 0.5  # a ledger that is locked or broken must not hold the cancels up
CANCEL_DEADLINE = 10.0
FIRST_PATIENCE = 3.0  # seconds for the way without the client library
PERSISTENCE = 20.0  # seconds from the command's beginning in which a busy gateway is asked again
ASK_AGAIN = 0.5
LOOK_EVERY = 0.25
ASKED_TO_END = "every working order was asked to end"


@dataclass(frozen=True, slots=True)
class HaltOrder:
    """What is asked: stop everything, or `symbol` alone; `by` is who asks."""

    reason: str
    by: str
    code: HaltCode = HaltCode.OPERATOR
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class HaltOutcome:
    """What a halt did: orders cancelled, orders still working, and why that is unknown if it is.

    `blocked_after` and `cancelled_after` are the seconds from the command's beginning until the
    halt was in the ledger, and until the cancels were on the socket; None: it did not happen.
    """

    reason: str
    symbol: str
    cancelled: int
    still_working: int
    blocked_after: float | None
    cancelled_after: float | None
    trouble: str


@dataclass(slots=True)
class _Progress:
    """What has been done so far, by two threads that do not wait for each other."""

    started: float
    blocked_after: float | None = None
    cancelled_after: float | None = None
    not_recorded: str = ""
    working: int | None = None  # orders found when the cancels went out; None: not counted yet
    cancelled: int = 0
    still_working: int = 0

    def seconds(self) -> float:
        return time.monotonic() - self.started


def halt_trading(settings: Settings, order: HaltOrder) -> HaltOutcome:
    """Record the halt, then ask the broker to cancel every working order (of the symbol).

    Each of the two is tried whatever becomes of the other; `trouble` says which of them failed.
    """
    progress = _Progress(time.monotonic())
    recording = Thread(target=_record, args=(settings, order, progress), name="halt", daemon=True)
    recording.start()
    recording.join(RECORD_PATIENCE)
    trouble: list[str] = []
    try:
        unread = asyncio.run(_end_orders(settings, order.symbol, progress))
        trouble += [unread] if unread else []
    except (RoboError, OSError) as error:
        trouble.append(f"working orders could NOT be cancelled: {error}")
    recording.join(settings.lock_deadline + 5.0)
    if progress.blocked_after is None:
        why = progress.not_recorded or "the ledger did not answer"
        trouble.insert(0, f"the halt could NOT be recorded: {why}")
    return HaltOutcome(
        order.reason,
        order.symbol,
        progress.cancelled,
        progress.still_working,
        progress.blocked_after,
        progress.cancelled_after,
        "; ".join(trouble),
    )


def _record(settings: Settings, order: HaltOrder, progress: _Progress) -> None:
    try:
        _write_row(settings, order)
        progress.blocked_after = progress.seconds()
    except Exception as error:  # whatever it is, the orders at the broker must still end
        progress.not_recorded = str(error)


def _write_row(settings: Settings, order: HaltOrder) -> None:
    now = datetime.now(UTC)
    is_written = quick_halt(
        settings.ledger_url.get_secret_value(),
        order.reason,
        order.by,
        now,
        code=order.code,
        symbol=order.symbol,
        deadline=settings.lock_deadline,
    )
    if is_written:
        return
    from tasks.stores import open_ledger

    with open_ledger(settings) as ledger:
        ledger.halts.halt(order.reason, order.by, now, code=order.code, symbol=order.symbol)


async def _end_orders(settings: Settings, symbol: str, progress: _Progress) -> str:
    """Cancel, count, and return why the outcome is unknown if it is.

    A gateway that is there but slow, or holds the client id, is asked again with the next id of
    this role; one that nothing listens for is not.
    """
    turn = 0
    while True:
        try:
            if progress.working is None:
                cancel = partial(_cancel_at_once, settings, symbol, turn, progress)
                progress.working = await asyncio.to_thread(cancel)
            if symbol:
                return await _see_symbol_end(settings, symbol, turn, progress)
            return await _see_them_end(settings, turn + 1, progress)
        except (RoboError, OSError) as error:
            if _may_answer_yet(error) and progress.seconds() < PERSISTENCE:
                await asyncio.sleep(ASK_AGAIN)
                turn += 1
                continue
            if progress.cancelled_after is None:
                raise
            return f"{ASKED_TO_END}, but what became of them is unread: {error}"


def _may_answer_yet(error: Exception) -> bool:
    is_refused = isinstance(error.__cause__, ConnectionRefusedError)
    return isinstance(error, (GatewayNotReady, OSError)) and not is_refused


def _cancel_at_once(settings: Settings, symbol: str, turn: int, progress: _Progress) -> int | None:
    """Cancel by a few messages before the client library is loaded; None: that must do it."""

    def sent() -> None:
        progress.cancelled_after = progress.cancelled_after or progress.seconds()

    patience = min(settings.broker_timeout, FIRST_PATIENCE)
    check = partial(require_right_account, settings)
    try:
        if symbol:
            return cancel_symbol(address(settings, Role.ORDERS), patience, check, sent, symbol)
        return cancel_all(address(settings, Role.HALT, turn), patience, check, sent)
    except NotSaid:
        return None


async def _see_them_end(settings: Settings, turn: int, progress: _Progress) -> str:
    """Count what is left of the working orders; those not cancelled yet are cancelled first."""
    from tasks.broker.ibkr import OrderConnection

    there, timeout = address(settings, Role.HALT, turn), settings.broker_timeout
    connection = await OrderConnection.open(there, timeout)
    try:
        require_right_account(settings, connection.account)
        if progress.working is None:
            asked = connection.cancel_everything()
            progress.cancelled_after = progress.cancelled_after or progress.seconds()
            progress.working = await asked
        left = await _wait_for_the_end(connection.collect_evidence, lambda _order: True)
        progress.cancelled, progress.still_working = max(progress.working - left, 0), left
        return ""
    finally:
        await connection.close()


async def _see_symbol_end(settings: Settings, symbol: str, turn: int, progress: _Progress) -> str:
    """Count what is left of this system's orders of a symbol, its exits aside.

    Those not cancelled yet are cancelled first. Only the client that placed an order can cancel it
    alone, and its id may be in use: a session at work has read the halt's row and does it.
    """
    connection, is_owner = await _owner_or_witness(settings, turn)

    def is_meant(order: OrderStatus) -> bool:
        is_ours = order.client_id == settings.client_id and not is_exit_ref(order.order_ref)
        return order.symbol == symbol and is_ours

    try:
        require_right_account(settings, connection.account)
        if progress.working is None:
            evidence = await connection.collect_evidence()
            found = [order for order in evidence.open_orders if is_meant(order)]
            for order in found if is_owner else ():
                connection.cancel(order.order_id)
            progress.cancelled_after = progress.cancelled_after or progress.seconds()
            progress.working = len(found)
        left = await _wait_for_the_end(connection.collect_evidence, is_meant)
        progress.cancelled, progress.still_working = max(progress.working - left, 0), left
        return ""
    finally:
        await connection.close()


async def _owner_or_witness(settings: Settings, turn: int) -> tuple[OrderConnection, bool]:
    from tasks.broker.ibkr import OrderConnection

    timeout = settings.broker_timeout
    try:
        return await OrderConnection.open(address(settings, Role.ORDERS), timeout), True
    except ClientIdTaken:
        there = address(settings, Role.HALT, turn)
        return await OrderConnection.open(there, timeout), False


async def _wait_for_the_end(
    collect: Callable[[], Awaitable[Evidence]], is_meant: Callable[[OrderStatus], bool]
) -> int:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CANCEL_DEADLINE
    while True:
        evidence = await collect()
        left = sum(is_meant(order) for order in evidence.open_orders)
        if not left or loop.time() > deadline:
            return left
        await asyncio.sleep(LOOK_EVERY)
