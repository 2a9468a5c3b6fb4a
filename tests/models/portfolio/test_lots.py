from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import Fill, Side
from models.portfolio.lots import CostMethod, Split, Transfer, market_value, replay

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)


def fill(number: int, side: Side, shares: int, price: str, symbol: str = "KO") -> Fill:
    at = AT + timedelta(minutes=number)
    return Fill(f"e{number}.01", "", symbol, side, shares, Decimal(price), at, 1, Decimal("0.35"))


def test_the_oldest_lot_goes_first_or_the_average_does() -> None:
    trades = [
        fill(1, Side.BUY, 100, "10"),
        fill(2, Side.BUY, 100, "20"),
        fill(3, Side.SELL, 150, "30"),
    ]
    fifo = replay(CostMethod.FIFO, trades)["KO"]
    assert fifo.realised == 100 * 20 + 50 * 10
    assert [(lot.shares, lot.cost) for lot in fifo.lots] == [(50, 20)]
    assert (fifo.unrealised(Decimal(25)), fifo.average_cost) == (Decimal(250), Decimal(20))
    average = replay(CostMethod.AVERAGE, trades)["KO"]
    assert average.realised == 150 * 15
    assert (average.unrealised(Decimal(25)), average.average_cost) == (Decimal(500), Decimal(15))
    assert fifo.commission == average.commission == Decimal("1.05")


@pytest.mark.parametrize("method", list(CostMethod))
def test_a_short_earns_when_it_is_bought_back_lower_and_may_turn_long(method: CostMethod) -> None:
    book = replay(method, [fill(1, Side.SELL, 30, "50"), fill(2, Side.BUY, 50, "40")])["KO"]
    assert book.realised == 300
    assert [(lot.shares, lot.cost) for lot in book.lots] == [(20, 40)]


@pytest.mark.parametrize("method", list(CostMethod))
def test_a_split_moves_no_money(method: CostMethod) -> None:
    split = Split("KO", AT + timedelta(minutes=5), 3, 2)
    trades = [fill(1, Side.BUY, 10, "30"), fill(9, Side.SELL, 15, "20")]
    held = replay(method, trades[:1], adjustments=[split])["KO"]
    assert (held.shares, held.average_cost, held.realised) == (15, Decimal(20), 0)
    assert replay(method, trades, adjustments=[split])["KO"].realised == 0
    reverse = Split("KO", AT + timedelta(minutes=5), 1, 4)
    assert replay(method, trades[:1], adjustments=[reverse])["KO"].shares == Fraction(5, 2)


def test_an_unknown_cost_makes_the_profit_unknown_and_never_zero() -> None:
    opening = [Transfer("KO", AT, Fraction(10))]
    held = replay(CostMethod.FIFO, [], opening=opening)["KO"]
    assert (held.realised, held.unrealised(Decimal(9)), held.average_cost) == (0, None, None)
    sold = replay(CostMethod.FIFO, [fill(1, Side.SELL, 4, "9")], opening=opening)["KO"]
    assert (sold.realised, sold.unknown_closed) == (None, 4)
    assert held.unrealised(None) is None


def test_the_value_of_all_needs_a_mark_for_each() -> None:
    books = replay(
        CostMethod.FIFO, [fill(1, Side.BUY, 10, "30"), fill(2, Side.SELL, 2, "5", symbol="PG")]
    )
    assert market_value(books, {"KO": Decimal("31.5"), "PG": Decimal(6)}) == Decimal(303)
    assert market_value(books, {"KO": Decimal(31)}) is None


@pytest.mark.parametrize(("new", "old"), [(0, 1), (2, 0), (-1, 2)])
def test_a_split_of_nothing_is_refused(new: int, old: int) -> None:
    with pytest.raises(InvalidInput, match=f"{new} new for {old} old"):
        replay(
            CostMethod.FIFO, [fill(1, Side.BUY, 1, "1")], adjustments=[Split("KO", AT, new, old)]
        )


def test_a_price_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidInput, match="NaN"):
        replay(CostMethod.FIFO, [fill(1, Side.BUY, 1, "NaN")])
