"""Cash, cost and commission to the cent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.account import Account, commission_for


@pytest.mark.parametrize(
    ("shares", "price", "cents"),
    [
        (100, 10_000, 100),  # 0.50 USD is below the minimum of 1.00
        (1_000, 10_000, 500),
        (201, 10_000, 101),  # 1.005 USD rounds to 1.01
        (1, 5_000, 50),  # 1% of 50.00 USD is below the minimum
        (10_000, 20, 2_000),  # 1% of 2,000.00 USD, not 50.00
    ],
)
def test_commission_is_ibkr_pro_fixed(shares, price, cents):
    assert commission_for(shares, shares * price) == cents


def test_average_cost_includes_the_opening_commission():
    account = Account(1_000_000)
    assert account.trade(0, True, 100, 5_000) is None
    account.charge(0, 100, closed=False)
    assert account.cash == 1_000_000 - 500_000 - 100
    assert account.positions[0].average_cost == 50.01
    assert account.trade(0, False, 40, 6_000) == 240_000 - 200_040
    account.charge(0, 100, closed=True)
    assert account.positions[0].realized == 39_960 - 100
    assert account.positions[0].basis == 300_060
    assert account.cash == 1_000_000 - 500_000 - 100 + 240_000 - 100


def test_a_trade_through_zero_closes_and_opens():
    account = Account(0)
    account.trade(0, True, 10, 1_000)
    assert account.trade(0, False, 25, 1_100) == 1_000
    position = account.positions[0]
    assert (position.shares, position.basis, position.average_cost) == (-15, -16_500, 11.0)
    assert account.trade(0, True, 15, 1_000) == 1_500
    assert (position.shares, position.basis) == (0, 0)
    assert account.cash == 2_500 == position.realized


fills = st.lists(
    st.tuples(st.booleans(), st.integers(1, 5_000), st.integers(1, 100_000), st.integers(0, 999)),
    max_size=40,
)


@given(fills)
def test_profit_and_cash_agree_to_the_cent(fills):
    account = Account(0)
    for buy, shares, price, commission in fills:
        realized = account.trade(3, buy, shares, price)
        account.charge(3, commission, closed=realized is not None)
    if not fills:
        return
    position = account.positions[3]
    assert account.cash == position.realized - position.basis
    assert position.flow == account.cash
    if position.shares == 0:
        assert abs(position.basis) == 0
    assert account.equity({3: 700}) == account.cash + 700 * position.shares
