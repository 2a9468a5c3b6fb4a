"""The same seed gives the same fills, to the cent and the microsecond, at any speed."""

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(400)]

FILLS = """
SELECT e.symbol, e.side, e.quantity, e.price, c.amount, e.at
FROM executions e JOIN commissions c USING (exec_id) ORDER BY e.at, e.symbol, e.exec_id
"""


def traded_day(new_home, household, speed):
    home = new_home(f"at-{speed}", PREFECT_API_URL=household.prefect_url)
    home.fork = household.fork
    home.plan()
    home.start_gateway(speed)
    home.robo("execute")
    fills = home.ledger(FILLS)
    assert len(fills) >= 20
    assert sum(shares for _, _, shares, *_ in fills) == 770
    return fills


@pytest.mark.lasts(12)
def test_same_seed_same_fills_at_any_speed(new_home, household):
    fast = traded_day(new_home, household, 3600)
    slow = traded_day(new_home, household, 1800)
    assert fast == slow
