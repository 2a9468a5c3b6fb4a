"""Rounding to any market rule: on a tick, on the safe side, and never further than it must be."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from models.domain.market_rules import MarketRule, PriceBand
from models.domain.orders import Quote, Side
from models.execution.pricing import marketable_limit

INCREMENTS = st.sampled_from(["0.0001", "0.0005", "0.01", "0.05", "0.1", "0.03", "0.25", "1"])
EDGES = st.lists(st.decimals("0.01", "900", places=2), max_size=3, unique=True)
PRICES = st.decimals("0.0001", "1000", places=6).map(lambda price: price + Decimal("1E-7"))


@st.composite
def rules(draw):
    edges = [Decimal(0), *sorted(draw(EDGES))]
    return MarketRule(tuple(PriceBand(edge, Decimal(draw(INCREMENTS))) for edge in edges))


@given(rules(), PRICES, st.sampled_from(Side))
def test_a_price_is_rounded_to_the_nearest_tick_on_the_safe_side(rule, price, side):
    rounded = rule.rounded(price, side)
    assert (rounded - price) * side.sign <= 0, "a buy never pays more, a sell never takes less"
    if side is Side.BUY and rounded == 0:
        return  # below the first tick there is no price to buy at
    assert rule.accepts(rounded)
    assert rule.rounded(rounded, side) == rounded
    between = (rounded + price) / 2
    assert rule.rounded(between, side) == rounded, "no accepted price lies nearer"


@given(rules(), PRICES, st.sampled_from(Side))
def test_a_price_on_a_tick_stays(rule, price, side):
    on_tick = rule.rounded(price, Side.SELL)
    assert rule.rounded(on_tick, side) == on_tick


@given(
    rules(),
    st.decimals("0.01", "900", places=2),
    st.decimals("0", "5", places=2),
    st.decimals("0", "300", places=0),
    st.sampled_from(Side),
)
def test_every_price_that_would_be_sent_is_accepted(rule, bid, spread, offset, side):
    quote = Quote("KO", bid, bid + spread, 1, 1, None)
    touch = quote.ask if side is Side.BUY else quote.bid
    price = marketable_limit(side, quote, offset, None, rule)
    if price is not None:
        assert rule.accepts(price)
        worst = touch * (1 + side.sign * offset / Decimal(10_000))
        assert (price - worst) * side.sign <= 0
