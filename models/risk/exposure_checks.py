"""Send-time checks of the book: what would it be if the worst of what works were filled?

The worst case lets every working buy fill and no working sell, or the other way round: a sale pays
for a purchase only once it is filled. Everything is valued at the present mids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.domain.orders import ChildOrder, Quote, Side
from models.risk.context import SendContext
from models.risk.limits import RiskLimits
from models.risk.send_checks import excuse
from models.risk.verdict import Verdict, compare, not_finite


class WorstCase(NamedTuple):
    """One symbol's value in USD: `high` if only its buys fill, `low` if only its sells do."""

    high: float
    low: float

    @property
    def size(self) -> float:
        """The larger of the two, without its sign."""
        return max(abs(self.high), abs(self.low))


def check_child_notional(
    child: ChildOrder, quote: Quote | None, context: SendContext, limits: RiskLimits
) -> Verdict:
    """Deny a child worth more USD, at the mid, than a whole order may be."""
    mid = _own_mid(child, quote)
    if mid is None:
        return _no_mid("notional", child.symbol)
    value, limit = child.quantity * mid, limits.max_order_notional
    return compare("notional", value, limit, "child of", "USD", excused=excuse(child, context))


def check_child_position(
    child: ChildOrder, quote: Quote | None, context: SendContext, limits: RiskLimits
) -> Verdict:
    """Deny a child that could take its position beyond its share of equity."""
    mid = _own_mid(child, quote)
    if mid is None:
        return _no_mid("position", child.symbol)
    before = _of_symbol(child.symbol, context, mid).size
    after = _of_symbol(child.symbol, context, mid, child).size
    what = f"worst case of {child.symbol} at"
    return _weigh("position", what, (before, after), limits.max_position_weight, context.equity)


def check_child_books(
    child: ChildOrder, quote: Quote | None, context: SendContext, limits: RiskLimits
) -> tuple[Verdict, Verdict]:
    """Deny a child that could take the book beyond its limits (x equity): gross, then net.

    Gross is the sum of absolute positions, net the signed sum.
    """
    mid = _own_mid(child, quote)
    others = child.symbol if mid is None else _others(child, context)
    if mid is None or isinstance(others, str):
        return _no_mid("gross", str(others)), _no_mid("net", str(others))
    # Before and after are summed in one order, so that they differ by the child alone.
    own = (_of_symbol(child.symbol, context, mid), _of_symbol(child.symbol, context, mid, child))
    highs, lows = others
    sizes = [max(high, -low) for high, low in zip(highs, lows, strict=True)]
    gross = [sum([one.size, *sizes]) for one in own]
    net = [max(abs(sum([one.high, *highs])), abs(sum([one.low, *lows]))) for one in own]
    equity, of_gross, of_net = context.equity, limits.max_gross_exposure, limits.max_net_exposure
    return (
        _weigh("gross", "worst-case gross exposure", gross, of_gross, equity),
        _weigh("net", "worst-case net exposure", net, of_net, equity),
    )


def _weigh(check: str, what: str, values: Sequence[float], limit: float, equity: float) -> Verdict:
    """Compare USD before and after with a limit; what adds nothing to the worst case may pass."""
    before, after = values
    bad = not_finite(check, {"equity": equity, "value before": before, "value after": after})
    if bad is not None:
        return bad
    excused = "the order adds nothing to it" if after <= before else ""
    if equity <= 0:
        why = f"equity {equity:,.2f} USD is not positive"
        return Verdict(check, bool(excused), f"{why}, but {excused}" if excused else why)
    return compare(check, after / equity, limit, what, "x equity", excused=excused)


def _others(child: ChildOrder, context: SendContext) -> tuple[list[float], list[float]] | str:
    """Return highs and lows (USD) of every symbol but the child's, or one that has no mid."""
    held, buying, selling, mids = context.positions, context.buying, context.selling, context.mids
    highs: list[float] = []
    lows: list[float] = []
    for symbol in sorted({*held, *buying, *selling} - {child.symbol}):
        price = mids.get(symbol)
        if price is None:
            return symbol
        shares = held.get(symbol, 0)
        highs.append((shares + buying.get(symbol, 0)) * price)
        lows.append((shares - selling.get(symbol, 0)) * price)
    return highs, lows


def _of_symbol(
    symbol: str, context: SendContext, mid: float, child: ChildOrder | None = None
) -> WorstCase:
    held = context.positions.get(symbol, 0)
    buying, selling = context.buying.get(symbol, 0), context.selling.get(symbol, 0)
    if child is not None and child.side is Side.BUY:
        buying += child.quantity
    elif child is not None:
        selling += child.quantity
    return WorstCase((held + buying) * mid, (held - selling) * mid)


def _own_mid(child: ChildOrder, quote: Quote | None) -> float | None:
    if quote is None or quote.symbol != child.symbol or not quote.is_sane:
        return None
    return float(quote.mid)


def _no_mid(check: str, symbol: str) -> Verdict:
    return Verdict(check, False, f"there is no present mid of {symbol} to value it with")
