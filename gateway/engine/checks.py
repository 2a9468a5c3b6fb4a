"""Is a placeOrder message an order that this gateway can work? Refuse it as the real one does."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gateway.engine.refusal import Refused
from gateway.options import ACCOUNT

TIFS = frozenset({"DAY", "GTC", "IOC", "FOK"})
KINDS = frozenset({"MKT", "LMT"})
MOST_SHARES = 10**9
MOST_CENTS = 10**9


@dataclass(frozen=True, slots=True)
class Terms:
    """What the exchange needs of an order: shares and cents."""

    buy: bool
    quantity: int
    kind: str
    limit: int | None
    tif: str
    idle: bool


def terms_of(request: dict[str, Any]) -> Terms:
    """Return the terms of a decoded placeOrder; raise Refused with the real code otherwise."""
    action = request["action"].upper()
    if action not in {"BUY", "SELL", "SSHORT"}:
        raise Refused(321, f"Error validating request.-'bW' : cause - Invalid action: {action}")
    kind = request["orderType"].upper()
    if kind not in KINDS:
        raise Refused(
            387, f"Unsupported order type for this exchange and security type: {kind or '(none)'}"
        )
    tif = request["tif"].upper() or "DAY"
    if tif not in TIFS:
        raise Refused(321, f"Error validating request.-'bW' : cause - Invalid time in force: {tif}")
    account = request["account"]
    if account not in {"", ACCOUNT}:
        raise Refused(
            321, f"Error validating request.-'bW' : cause - Invalid account code {account}"
        )
    if request["parentId"]:
        raise Refused(201, "Order rejected - reason: attached orders are not simulated")
    return Terms(
        buy=action == "BUY",
        quantity=_quantity(request["totalQuantity"]),
        kind=kind,
        limit=_limit(request["lmtPrice"]) if kind == "LMT" else None,
        tif=tif,
        idle=not request["transmit"],
    )


def _quantity(total: Decimal | None) -> int:
    if total is None or total == 0:
        raise Refused(434, "The order size cannot be zero.")
    if total < 0:
        raise Refused(321, "Error validating request.-'bW' : cause - Size value cannot be negative")
    if total != total.to_integral_value():
        raise Refused(
            10243,
            "Fractional-sized order cannot be placed via API. Please use desktop version.",
        )
    if total > MOST_SHARES:
        raise Refused(201, f"Order rejected - reason: order size exceeds {MOST_SHARES} shares")
    return int(total)


def _limit(price: Decimal | None) -> int:
    if price is None:
        raise Refused(321, "Error validating request.-'bW' : cause - Limit price is missing")
    if price <= 0:
        raise Refused(321, "Error validating request.-'bW' : cause - Limit price must be positive")
    cents = price * 100
    if cents != cents.to_integral_value() or cents > MOST_CENTS:
        raise Refused(
            110,
            "The price does not conform to the minimum price variation for this contract.",
        )
    return int(cents)
