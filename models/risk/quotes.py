"""Is this quote believable? Against the last good price, a single bad tick stands out.

A quote that jumps further than the time since the last good one explains is not used until the new
level has lasted: a tick ten standard deviations off is refused, a real move is taken up late.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from math import sqrt

from models.domain.orders import Quote
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict

SESSION_SECONDS = 23_400.0  # a regular session of 6.5 hours
SMALLEST_BAND = 0.005  # a fraction: below it no move is called a jump


@dataclass(frozen=True, slots=True)
class PriceReference:
    """The last good price (USD) of a symbol and the moment (UTC) it was quoted.

    `is_decision`: no quote was good yet, the price is a parent's decision price. `doubted` and
    `doubted_since` are a level that jumped and has not lasted yet.
    """

    price: Decimal
    at: datetime
    is_decision: bool = False
    doubted: Decimal | None = None
    doubted_since: datetime | None = None


def is_usable(quote: Quote) -> bool:
    """Say whether both sides are finite and positive and the ask is above the bid."""
    return quote.is_sane and quote.bid < quote.ask


def after_quote(reference: PriceReference, quote: Quote, limits: RiskLimits) -> PriceReference:
    """Return what is believed after a quote; an unusable or older one changes nothing."""
    if not is_usable(quote) or (quote.at < reference.at and not reference.is_decision):
        return reference
    mid = quote.mid
    if _gap(mid, reference.price) <= _band(reference, quote, limits):
        return PriceReference(mid, quote.at)
    doubted, since = reference.doubted, reference.doubted_since
    if doubted is None or since is None or _gap(mid, doubted) > _drift(since, quote.at, limits):
        return replace(reference, doubted=mid, doubted_since=quote.at)
    if (quote.at - since).total_seconds() >= limits.quote_confirm:
        return PriceReference(mid, quote.at)
    return reference


def check_jump(
    reference: PriceReference | None, quote: Quote | None, limits: RiskLimits
) -> Verdict:
    """Deny on a quote too far from the last good price to be believed at once."""
    if quote is None or not is_usable(quote):
        return Verdict("jump", False, "there is no usable quote to hold against the last good one")
    if reference is None:
        return Verdict(
            "jump", False, f"no earlier price of {quote.symbol} is known to compare with"
        )
    believed = after_quote(reference, quote, limits)
    gap, band = float(_gap(quote.mid, reference.price)), float(_band(reference, quote, limits))
    numbers: dict[str, float | str] = {
        "mid": float(quote.mid),
        "last good": float(reference.price),
        "gap": gap,
        "limit": band,
    }
    what = f"mid {quote.mid} USD is {gap:.4g} of its price away from {reference.price} USD"
    if believed.doubted is None:
        return Verdict("jump", True, f"{what}, believable (limit {band:.4g})", numbers)
    wait = f"not believed before it has lasted {limits.quote_confirm:g} s"
    return Verdict("jump", False, f"{what}, above the limit of {band:.4g}: {wait}", numbers)


def _gap(price: Decimal, other: Decimal) -> Decimal:
    return abs(price - other) / other


def _band(reference: PriceReference, quote: Quote, limits: RiskLimits) -> Decimal:
    if reference.is_decision:
        return Decimal(repr(float(limits.max_price_gap)))
    return _drift(reference.at, quote.at, limits)


def _drift(since: datetime, until: datetime, limits: RiskLimits) -> Decimal:
    """Return the fraction that a price may move in a time: sigmas of a random walk."""
    seconds = max(0.0, (until - since).total_seconds())
    sigmas = limits.quote_jump_sigmas * limits.quote_volatility
    drift = max(SMALLEST_BAND, sigmas * sqrt(seconds / SESSION_SECONDS))
    return Decimal(repr(min(drift, float(limits.max_price_gap))))
