"""From target weights to whole shares, and from the present book to the trades that reach them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

# Room for every digit of a product: rounding in the last of 28 could buy one share too many.
_EXACT = Context(prec=100)
_MAX_LEVERAGE = 100.0


def target_shares(
    weights: pd.Series, equity: Decimal, prices: Mapping[str, Decimal]
) -> dict[str, int]:
    """Return whole shares for each symbol: weight × equity / price, rounded toward zero.

    `weights` are fractions of equity by symbol, `equity` and `prices` are USD. The shares together
    never cost more than Σ|weight| × equity. Raises InvalidInput when equity is not positive, a
    weight is not finite or beyond 100, or a symbol with weight has no positive price.
    """
    if not equity.is_finite() or equity <= 0:
        raise InvalidInput(f"equity is {equity} USD; it must be positive to size a book")
    shares: dict[str, int] = {}
    for symbol, weight in _items(weights):
        if not abs(weight) <= _MAX_LEVERAGE:
            raise InvalidInput(f"the weight of {symbol} is {weight}; allocate again")
        # repr makes 0.15 mean 0.15 and not the nearest float, which is a little less.
        budget = _EXACT.multiply(Decimal(repr(weight)), equity)
        price = _price(prices, symbol) if budget else Decimal(1)
        shares[symbol] = int(_EXACT.divide_int(budget, price))
    return shares


def trades(
    current: Mapping[str, int],
    target: Mapping[str, int],
    prices: Mapping[str, Decimal],
    min_trade_usd: Decimal,
    drift_band: float,
) -> dict[str, int]:
    """Return the signed share deltas worth trading, sells first, the largest in USD first.

    A position that `target` does not name is closed. A delta is left alone when it is worth less
    than `min_trade_usd` or is within `drift_band` (a fraction) of the target position; closing a
    position is never left alone. Sells left alone are taken up again, largest first, whenever the
    buys would otherwise cost more cash than the full rebalance does, so that no band can push the
    book past its target exposure. Raises InvalidInput for a negative or non-finite threshold, or a
    symbol to trade without a positive price.
    """
    if not (0 <= drift_band < float("inf")) or not min_trade_usd.is_finite() or min_trade_usd < 0:
        raise InvalidInput(
            f"min_trade_usd={min_trade_usd}, drift_band={drift_band}: give finite values from 0 up"
        )
    wanted = {
        symbol: target.get(symbol, 0) - current.get(symbol, 0)
        for symbol in sorted({*current, *target})
        if target.get(symbol, 0) != current.get(symbol, 0)
    }
    cash = {symbol: delta * _price(prices, symbol) for symbol, delta in wanted.items()}
    chosen = {
        symbol
        for symbol, delta in wanted.items()
        if target.get(symbol, 0) == 0
        or (abs(cash[symbol]) >= min_trade_usd and abs(delta) > drift_band * abs(target[symbol]))
    }
    budget = max(sum(cash.values(), Decimal(0)), Decimal(0))
    spent = sum((cash[symbol] for symbol in chosen), Decimal(0))
    for symbol in sorted(set(wanted) - chosen, key=lambda name: (cash[name], name)):
        if spent <= budget or cash[symbol] >= 0:
            break
        chosen.add(symbol)
        spent += cash[symbol]
    order = sorted(chosen, key=lambda name: (wanted[name] > 0, -abs(cash[name]), name))
    return {symbol: wanted[symbol] for symbol in order}


def _items(weights: pd.Series) -> list[tuple[str, float]]:
    return [(str(symbol), float(weight)) for symbol, weight in weights.items()]


def _price(prices: Mapping[str, Decimal], symbol: str) -> Decimal:
    price = prices.get(symbol)
    if price is None or not price.is_finite() or price <= 0:
        raise InvalidInput(f"no positive price for {symbol} ({price}); ingest it or leave it out")
    return price
