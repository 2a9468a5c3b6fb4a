"""Broker codes that only a person can answer: they halt trading for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from models.domain.errors import HaltTrading

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tasks.broker.protocol import BrokerNotice
    from warehouse.ledger import OrderLedger


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
