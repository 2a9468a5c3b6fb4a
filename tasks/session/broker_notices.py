"""What broker codes do: to the link, to an order, and those that halt until a person answers."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

from models.domain.errors import HaltTrading, InvalidInput, RetryLater
from tasks.broker.codes import (
    CONNECTIVITY_LOST,
    CONNECTIVITY_RESTORED,
    CONTRACT_IN_DOUBT,
    Reaction,
    is_known,
    is_refusal,
    reaction_to,
)
from tasks.broker.protocol import GatewayUnreachable
from tasks.session.cancelling import CANCEL_REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tasks.broker.protocol import BrokerNotice
    from tasks.session.orders import OrderDesk
    from warehouse.ledger import OrderLedger

logger = logging.getLogger("robo.orders")


def halt_for_a_person(
    ledger: OrderLedger, notice: BrokerNotice, alert: Callable[[str, str], None], now: datetime
) -> NoReturn:
    """Record the halt and tell of it; raise HaltTrading that names the code and its words."""
    reason = f"the broker told {notice.code}: {notice.text}"
    ledger.halts.halt(reason, f"broker code {notice.code}", now)
    alert("halted", reason)
    raise HaltTrading(
        f"{reason}; nothing more is sent: put it right in TWS or IB Gateway, then "
        "`robo resume --reason ...`"
    )


def take_notice(desk: OrderDesk, notice: BrokerNotice, now: datetime) -> None:
    """Let one code act: on the link, on the order that it names, or on trading as a whole.

    Raises HaltTrading for a code that only a person can answer.
    """
    if notice.code in CONNECTIVITY_LOST:
        logger.error("the gateway lost Interactive Brokers: %s", notice.text)
        desk.is_cut = True
        desk.lose_connection(now)
    elif notice.code in CONNECTIVITY_RESTORED:
        logger.warning("the gateway has Interactive Brokers again: %s", notice.text)
        desk.is_cut, desk.must_reconcile = False, True
        desk.lose_connection(now)  # the loss itself may have gone untold
    if not is_known(notice.code):
        logger.warning("a broker code that is not known, and is not guessed at: %r", notice)
    if reaction_to(notice.code) is Reaction.HALT:
        halt_for_a_person(desk.ledger, notice, desk.alert, now)
    if not notice.order_ref:
        logger.debug("broker notice %d: %s", notice.code, notice.text)
        return
    desk.ledger.events.append("notice", notice.order_ref, asdict(notice), now)
    if reaction_to(notice.code) is Reaction.UNKNOWN:
        desk.look_again = True
    if notice.code in CANCEL_REFUSED:
        desk.cancels.refused(notice.order_ref)
    if notice.code in CONTRACT_IN_DOUBT:
        record = desk.ledger.children.get(notice.order_ref)
        desk.doubted |= set() if record is None else {record.order.symbol}
    if is_refusal(notice.code):
        desk.rejections[notice.order_ref] = f"{notice.code} {notice.text}"
        logger.warning("%s rejected: %d %s", notice.order_ref, notice.code, notice.text)
        if desk.breaker is not None:
            desk.breaker.rejected(notice.order_ref, now)
        inactive = desk.inactive.pop(notice.order_ref, None)
        if inactive is not None:
            desk.take_status(inactive, now)


async def look_up_doubted(desk: OrderDesk) -> None:
    """Ask anew for the contracts and market rules that a refusal has put in doubt."""
    symbols, desk.doubted = sorted(desk.doubted), set()
    try:
        await desk.gateway.qualify(symbols, refresh=True)
    except GatewayUnreachable:
        raise
    except InvalidInput as unknown:
        desk.alert("a contract is unknown to the broker", str(unknown))
    except RetryLater as busy:  # what was known of it goes on being used
        logger.warning("contracts could not be looked up again: %s", busy)
