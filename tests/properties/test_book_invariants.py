"""A book is never larger than it was allowed to be, and its trades never buy what cash lacks."""

from decimal import Decimal

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from models.portfolio.allocators import TopQuantileInverseVolatility
from models.portfolio.sizing import target_shares, trades

SYMBOLS = [f"S{i:02d}" for i in range(12)]
prices = st.decimals("0.01", "5000", places=2)
fractions = st.floats(0.01, 1.0)


@given(
    ranks=st.permutations(range(12)),
    volatilities=st.lists(st.floats(0.01, 5.0), min_size=12, max_size=12),
    size=st.integers(2, 12),
    fraction=fractions,
    gross=fractions,
    max_weight=fractions,
)
def test_allocations_respect_gross_cap_and_order(
    ranks: list[int],
    volatilities: list[float],
    size: int,
    fraction: float,
    gross: float,
    max_weight: float,
) -> None:
    names = SYMBOLS[:size]
    signals = pd.Series([float(rank) for rank in ranks[:size]], index=names)
    risk = pd.Series(volatilities[:size], index=names)
    weights = TopQuantileInverseVolatility(fraction, gross, max_weight).weights(signals, risk)

    held = weights[weights > 0]
    assert len(held) == max(1, round(fraction * size))
    assert signals[held.index].min() > signals.drop(held.index).max() or len(held) == size
    assert weights.min() >= 0 and held.max() <= max_weight + 1e-12
    np.testing.assert_allclose(weights.sum(), min(gross, max_weight * len(held)), rtol=1e-9)
    calm_first = held[risk[held.index].sort_values(kind="stable").index]
    assert (calm_first.diff().dropna() <= 1e-12).all()
    # Below the cap, every position carries the same risk.
    free = held[held < max_weight - 1e-9]
    if len(free):
        carried = free * risk[free.index]
        np.testing.assert_allclose(carried, carried.iloc[0], rtol=1e-6)


@given(
    weights=st.lists(st.floats(-0.5, 1.0), min_size=1, max_size=12),
    equity=st.decimals("1", "100000000", places=4),
    quotes=st.lists(prices, min_size=12, max_size=12),
)
def test_whole_shares_never_cost_more_than_the_weights_allow(
    weights: list[float], equity: Decimal, quotes: list[Decimal]
) -> None:
    book = dict(zip(SYMBOLS, quotes, strict=True))
    wanted = dict(zip(SYMBOLS, weights, strict=False))
    shares = target_shares(pd.Series(wanted), equity, book)
    for symbol, weight in wanted.items():
        budget = abs(Decimal(repr(weight))) * equity
        assert abs(shares[symbol]) * book[symbol] <= budget
        assert (abs(shares[symbol]) + 1) * book[symbol] > budget  # and not a share less
        assert shares[symbol] == 0 or (shares[symbol] > 0) == (weight > 0)


holdings = st.dictionaries(st.sampled_from(SYMBOLS), st.integers(0, 2000), max_size=12)


@given(
    current=holdings,
    target=holdings,
    quotes=st.lists(prices, min_size=12, max_size=12),
    min_trade=st.decimals("0", "5000", places=2),
    band=st.floats(0.0, 1.0),
)
def test_trades_reach_the_target_or_rest_and_never_overspend(
    current: dict[str, int],
    target: dict[str, int],
    quotes: list[Decimal],
    min_trade: Decimal,
    band: float,
) -> None:
    book = dict(zip(SYMBOLS, quotes, strict=True))
    deltas = trades(current, target, book, min_trade, band)

    for symbol in {*current, *target}:
        have, want = current.get(symbol, 0), target.get(symbol, 0)
        delta = deltas.get(symbol, 0)
        assert have + delta in (have, want)
        if want == 0:
            assert have + delta == 0
        if delta > 0:
            assert delta * book[symbol] >= min_trade and delta > band * want
        if have != want and symbol not in deltas:
            small = abs(want - have) * book[symbol] < min_trade
            assert small or abs(want - have) <= band * want
    assert all(deltas.values())
    signs = [delta > 0 for delta in deltas.values()]
    assert signs == sorted(signs)

    def cost(of: dict[str, int]) -> Decimal:
        return sum((shares * book[symbol] for symbol, shares in of.items()), Decimal(0))

    assert cost(deltas) <= max(cost(target) - cost(current), Decimal(0))


@given(current=holdings, quotes=st.lists(prices, min_size=12, max_size=12))
def test_a_book_on_target_needs_no_trades_and_without_bands_any_target_is_reached(
    current: dict[str, int], quotes: list[Decimal]
) -> None:
    book = dict(zip(SYMBOLS, quotes, strict=True))
    assert trades(current, current, book, Decimal(0), 0.0) == {}
    closed = trades(current, {}, book, Decimal(10**9), 1.0)
    assert closed == {
        symbol: -shares for symbol, shares in closed.items() for shares in [current[symbol]]
    }
    assert set(closed) == {symbol for symbol, shares in current.items() if shares}
