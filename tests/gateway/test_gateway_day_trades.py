"""The broker's count of day trades: by hand, against the trader's own, and as clients hear it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.day_trades import remaining
from gateway.timeline import to_micros
from models.domain.orders import Fill, Side
from models.risk.day_trades import count_day_trades

DAYS = [date(2022, 12, 23), date(2022, 12, 27), date(2022, 12, 28), date(2022, 12, 29)]
TODAY = date(2022, 12, 30)
SESSIONS = [*DAYS, TODAY]


@dataclass(frozen=True)
class Trade:
    """What the count reads of an execution."""

    exec_id: str
    column: int
    buy: bool
    shares: int
    at: int


def trades(*told):
    """Trades of (day, signed shares, column), a minute apart."""
    found = []
    for number, (day, signed, column) in enumerate(told):
        at = datetime(day.year, day.month, day.day, 15, tzinfo=UTC) + timedelta(minutes=number)
        found.append(Trade(f"e{number:03d}", column, signed > 0, abs(signed), to_micros(at)))
    return found


@pytest.mark.parametrize(
    ("held", "told", "left"),
    [
        ({}, [], 3),
        ({}, [(TODAY, 10, 0), (TODAY, -10, 0)], 2),
        ({}, [(TODAY, 10, 0), (TODAY, -4, 0), (TODAY, -6, 0)], 2),  # closings in a row are one
        ({}, [(TODAY, 10, 0), (TODAY, -4, 0), (TODAY, 4, 0), (TODAY, -10, 0)], 1),
        ({0: 90}, [(TODAY, -10, 0)], 3),  # held overnight
        ({0: 100}, [(TODAY, -10, 0), (TODAY, 10, 0)], 3),  # unwinds, then opens
        ({}, [(DAYS[0], 10, 0), (DAYS[1], -10, 0)], 3),
        ({}, [(DAYS[0], 10, 0), (DAYS[0], -10, 0)], 2),
        ({}, [(date(2022, 12, 22), 10, 0), (date(2022, 12, 22), -10, 0)], 3),  # the sixth
        ({}, [(TODAY, 10 * (-1) ** (n // 5), n % 5) for n in range(10)], 0),
    ],
)
def test_the_count_by_hand(held, told, left):
    assert remaining(trades(*told), held, 2_499_999, TODAY) == left
    assert remaining(trades(*told), held, 2_500_000, TODAY) == -1


told = st.lists(
    st.tuples(
        st.sampled_from(SESSIONS),
        st.integers(-30, 30).filter(bool),
        st.integers(0, 1),
    ),
    max_size=14,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@given(told, st.integers(-40, 40), st.integers(-40, 40))
def test_broker_and_trader_count_the_same(rows, first, second):
    listed = trades(*rows)
    fills = [
        Fill(
            one.exec_id,
            "",
            f"S{one.column}",
            Side.BUY if one.buy else Side.SELL,
            one.shares,
            1,
            datetime.fromtimestamp(one.at / 1e6, UTC),
            0,
        )
        for one in listed
    ]
    ours = count_day_trades(fills, {"S0": first, "S1": second}, SESSIONS).made
    assert remaining(listed, {0: first, 1: second}, 0, TODAY) == max(0, 3 - ours)


def test_a_day_trade_counts_for_five_sessions(open_desk):
    open_desk.place(shares=50)
    open_desk.place(shares=50, buy=False)
    open_desk.go("16:00:00")
    exchange = open_desk.exchange
    assert (exchange.day_trades_remaining(1), exchange.day_trades_remaining(2_500_000)) == (2, -1)
    for text, left in (("2023-01-05T16:00:00", 2), ("2023-01-06T16:00:00", 3)):
        open_desk.go(text)
        open_desk.events()
        assert exchange.day_trades_remaining(1) == left
    assert exchange.past == {}


def test_a_restart_knows_the_days_before(open_desk, tmp_path, closes):
    open_desk.place(shares=50)
    open_desk.place(shares=50, buy=False)
    open_desk.go("2022-12-30T16:00:00")
    open_desk.events()
    open_desk.close()
    again = type(open_desk)(tmp_path / "state", closes)
    assert again.exchange.day_trades_remaining(1) == 2
    assert again.exchange.executions == {}
    again.close()
