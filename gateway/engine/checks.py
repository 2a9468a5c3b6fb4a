"""Is a placeOrder message an order that this gateway can work? Refuse it as the real one does."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gateway.engine.algos import PATIENCE, parameters
from gateway.engine.refusal import Refused
from gateway.options import ACCOUNT

TIFS = frozenset({"DAY", "GTC", "IOC", "FOK", "GTD", "OPG", "DTC"})
STOPS = frozenset({"STP", "STP LMT", "MIT", "LIT"})
TRAILS = frozenset({"TRAIL", "TRAIL LIMIT"})
PEGS = frozenset({"REL", "PEG MID"})
LIMITED = frozenset({"LMT", "STP LMT", "LIT", "LOC", "LOO"})
KINDS = frozenset({"MKT", "LMT", "MOC", "LOC", "MOO", "LOO", *STOPS, *TRAILS, *PEGS})
SAME_KIND = {
    "STPLMT": "STP LMT",
    "TRAILLIMIT": "TRAIL LIMIT",
    "PEGMID": "PEG MID",
    "RELATIVE": "REL",
}
ALGOS = frozenset(
    {"Adaptive", "Twap", "Vwap", "ArrivalPx", "PctVol", "DarkIce", "ClosePx", "BalanceImpactRisk"}
    | {"MinImpact", "AD", "PctVolPx", "PctVolSz", "PctVolTm"}
)
MOST_SHARES = 10**9
MOST_CENTS = 10**9
OFF_TICK = (110, "The price does not conform to the minimum price variation for this contract.")
VALIDATING = "Error validating request.-'bW' : cause - "


@dataclass(frozen=True, slots=True)
class Terms:
    """What the exchange needs of an order: shares, cents, and the moments as the client wrote them.

    The names are those of `Order`, which explains them.
    """

    buy: bool
    quantity: int
    kind: str
    limit: int | None
    tif: str
    idle: bool
    aux: int | None = None
    percent: float | None = None
    stop: int | None = None
    offset: int | None = None
    display: int = 0
    hidden: bool = False
    all_or_none: bool = False
    min_quantity: int = 0
    outside: bool = False
    auction: str = ""
    oca: str = ""
    oca_type: int = 3
    good_after: str = ""
    good_till: str = ""
    algo: str = ""


def terms_of(request: dict[str, Any]) -> Terms:
    """Return the terms of a decoded placeOrder; raise Refused with the real code otherwise."""
    get = request.get
    action = request["action"].upper()
    if action not in {"BUY", "SELL", "SSHORT"}:
        raise _invalid(f"Invalid action: {action}")
    kind = request["orderType"].upper()
    kind = SAME_KIND.get(kind, kind)
    if kind not in KINDS:
        raise Refused(
            387, f"Unsupported order type for this exchange and security type: {kind or '(none)'}"
        )
    tif = request["tif"].upper() or "DAY"
    if tif not in TIFS:
        raise _invalid(f"Invalid time in force: {tif}")
    if request["account"] not in {"", ACCOUNT}:
        raise _invalid(f"Invalid account code {request['account']}")
    quantity = _quantity(request["totalQuantity"])
    _check_combination(kind, tif, get)
    _check_worked(kind, get)
    aux, percent = _aux(kind, get)
    return Terms(
        buy=action == "BUY",
        quantity=quantity,
        kind=kind,
        limit=_limit(kind, get),
        tif=tif,
        idle=not request["transmit"],
        aux=aux,
        percent=percent,
        stop=_price(get("trailStopPrice"), "Trailing stop price") if kind in TRAILS else aux,
        offset=_signed(get("lmtPriceOffset")) if kind == "TRAIL LIMIT" else None,
        display=_within(get("displaySize") or 0, quantity, "Display size"),
        hidden=bool(get("hidden")),
        all_or_none=bool(get("allOrNone")),
        min_quantity=_within(get("minQty") or 0, quantity, "Minimum quantity"),
        outside=bool(get("outsideRth")),
        auction=_auction(kind, tif),
        oca=get("ocaGroup") or "",
        oca_type=_oca_type(get("ocaType") or 0),
        good_after=get("goodAfterTime") or "",
        good_till=(get("goodTillDate") or "") if tif == "GTD" else "",
        algo=_algo(kind, get("algoStrategy") or "", parameters(request)),
    )


def _invalid(cause: str) -> Refused:
    return Refused(321, f"{VALIDATING}{cause}")


def _check_combination(kind: str, tif: str, get: Any) -> None:
    if tif == "GTD" and not get("goodTillDate"):
        raise Refused(391, "The time or time-zone entered is invalid: a GTD order needs one.")
    if tif == "OPG" and kind not in {"MKT", "LMT", "MOO", "LOO"}:
        raise Refused(201, f"Order rejected - reason:Invalid time in force OPG for {kind}")
    if kind in {"MOC", "LOC"} and tif not in {"DAY", "GTC"}:
        raise Refused(201, f"Order rejected - reason:Invalid time in force {tif} for {kind}")
    if tif in {"IOC", "FOK"} and kind not in {"MKT", "LMT"}:
        raise Refused(201, f"Order rejected - reason:Invalid time in force {tif} for {kind}")


def _auction(kind: str, tif: str) -> str:
    if tif == "OPG" or kind in {"MOO", "LOO"}:
        return "open"
    return "close" if kind in {"MOC", "LOC"} else ""


def _algo(kind: str, algo: str, told: dict[str, str]) -> str:
    if algo and algo not in ALGOS:
        raise Refused(439, f"Order processing failed. Algorithm definition not found: {algo}")
    if algo and kind not in {"MKT", "LMT"}:
        raise Refused(201, f"Order rejected - reason:{algo} works MKT and LMT orders only")
    urgency = told.get("adaptivePriority", "Normal")
    if algo == "Adaptive" and urgency.lower() not in PATIENCE:
        raise Refused(
            441,
            f"Algo attributes validation failed: adaptivePriority={urgency} is none of Urgent, "
            "Normal, Patient",
        )
    return algo


def _oca_type(kind: int) -> int:
    if kind not in {0, 1, 2, 3}:
        raise _invalid(f"Invalid OCA type {kind}")
    return kind or 3


def _within(size: int, quantity: int, name: str) -> int:
    if not 0 <= size <= quantity:
        raise _invalid(f"{name} must be from 0 to the order's quantity")
    return size


def _check_worked(kind: str, get: Any) -> None:
    """Refuse what would change an order's execution and is not simulated, rather than ignore it."""
    if any(get(name) for name in ("faGroup", "faMethod", "faPercentage", "faProfile", "modelCode")):
        raise _invalid("FA data operations ignored for non FA customers.")
    asked = {
        "Scale orders": (get("scalePriceIncrement") or 0) > 0,
        "Hedge orders": bool(get("hedgeType")),
        "Adjustable stops": (get("adjustedOrderType") or "None") != "None",
        "Delta neutral orders": bool(get("deltaNeutral")),
        "Discretionary amounts": bool(get("discretionaryAmt")),
        "Percentage offsets": bool(get("percentOffset")),
        "Offsets of PEG MID": kind == "PEG MID" and bool(get("auxPrice")),
        "Automatic cancels of parents": bool(get("autoCancelParent")),
    }
    if refused := [name for name, is_asked in asked.items() if is_asked]:
        raise Refused(
            201, f"Order rejected - reason:{refused[0]} are not simulated by this gateway"
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


def _limit(kind: str, get: Any) -> int | None:
    price = get("lmtPrice")
    if kind in LIMITED:
        if price is None:
            raise _invalid("Limit price is missing")
        return _price(price, "Limit price")
    if kind in PEGS and price:
        return _price(price, "Limit price")
    return None


def _aux(kind: str, get: Any) -> tuple[int | None, float | None]:
    """Return the auxiliary price and the trailing percentage that a kind needs."""
    aux = get("auxPrice")
    if kind in STOPS:
        if not aux:
            raise Refused(321, f"{VALIDATING}Stop price is missing")
        return _price(aux, "Stop price"), None
    if kind in TRAILS:
        percent = get("trailingPercent")
        if percent:
            if not 0 < percent < 100:
                raise _invalid("Trailing percent must be between 0 and 100")
            return None, float(percent)
        if not aux:
            raise _invalid("Trailing amount is missing")
        return _price(aux, "Trailing amount"), None
    return (_signed(aux) if kind in PEGS else None), None


def _signed(price: Decimal | None) -> int:
    """Return an offset in whole cents, which may be zero or negative."""
    if not price:
        return 0
    cents = price * 100
    if cents != cents.to_integral_value() or abs(cents) > MOST_CENTS:
        raise Refused(*OFF_TICK)
    return int(cents)


def _price(price: Decimal | None, name: str) -> int | None:
    if price is None:
        return None
    if price <= 0:
        raise _invalid(f"{name} must be positive")
    cents = price * 100
    if cents != cents.to_integral_value() or cents > MOST_CENTS:
        raise Refused(*OFF_TICK)
    return int(cents)
