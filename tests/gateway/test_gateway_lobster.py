"""A LOBSTER pair is played order by order: its book, its trades, its queues."""

from datetime import date

import pytest

from gateway.market.bars import daily_bars
from gateway.market.lobster import LobsterReplay, read_tape
from gateway.market.market import Market
from gateway.market.ticks import Tape
from gateway.market.universe import BY_SYMBOL
from gateway.timeline import SECOND
from models.domain.errors import InvalidInput

MESSAGES = """34200.1,1,11,200,1000000,1
34200.2,1,12,300,1000200,-1
34201.5,1,13,100,1000000,1
34203.0,4,12,100,1000200,-1
34204.0,3,13,100,1000000,1
34210.0,4,11,50,1000000,1
50000.0,1,14,400,1000100,-1
"""
BOOK = """1000300,500,1000000,700,1000400,100,999900,50
1000200,300,1000000,700,1000300,500,999900,50
1000200,300,1000000,800,1000300,500,999900,50
1000200,200,1000000,800,1000300,500,999900,50
1000200,200,1000000,700,1000300,500,999900,50
1000200,200,1000000,650,1000300,500,999900,50
1000100,400,1000000,650,1000200,200,999900,50
"""


@pytest.fixture
def files(tmp_path):
    messages = tmp_path / "LOBS_2012-06-21_34200000_57600000_message_2.csv"
    book = tmp_path / "LOBS_2012-06-21_34200000_57600000_orderbook_2.csv"
    messages.write_text(MESSAGES)
    book.write_text(BOOK)
    return messages, book


@pytest.fixture
def market(files):
    return Market(7, source=LobsterReplay(7, *files))


@pytest.fixture
def column(market):
    return BY_SYMBOL["LOBS"].column


def at(market, seconds):
    return market.span(0).open + round(seconds * SECOND)


def test_the_book_is_the_recorded_one_after_every_event(market, column):
    book = market.book_of(column, market.span(0))
    top = book.top(at(market, 0.25))
    assert (top.bid, top.ask, top.bid_size, top.ask_size) == (10_000, 10_002, 700, 300)
    assert book.depth(at(market, 3.5), False, 10) == [(10_002, 200), (10_003, 500)]
    assert book.depth(at(market, 20_000), True, 10) == [(10_000, 650), (9_999, 50)]
    assert book.mid(at(market, 20_000)) == pytest.approx(100.005)


def test_the_trades_are_the_recorded_ones(market, column):
    tape = Tape(market, column, market.span(0))
    trades = tape.trades(at(market, 0), at(market, 60))
    assert [(trade.price, trade.size) for trade in trades] == [(10_002, 100), (10_000, 50)]
    (bar,) = daily_bars(market, column, 0, 1, market.span(0).close)
    assert bar.volume == 150


def test_a_new_order_stands_behind_the_recorded_queue(market, column):
    book = market.book_of(column, market.span(0))
    queue = book.queue(at(market, 2), True, 10_000)
    assert sum(shares for _, shares in queue) == 800
    assert [shares for _, shares in queue] == [500, 200, 100]
    goes = queue[-1][0]
    assert goes == 4 * SECOND
    assert book.queue(at(market, 2), True, 9_000) == []


def test_a_taker_walks_the_levels_and_leaves_a_hole(market, column):
    book, now = market.book_of(column, market.span(0)), at(market, 15)
    fills = book.walk(now, True, 400, None)
    assert fills == [(10_002, 200), (10_003, 200)]
    book.take(now, True, fills)
    assert book.top(now).ask >= 10_003


def test_later_sessions_go_on_from_the_recorded_close(market, column):
    ordinal = market.closes.ordinal(date(2012, 6, 25))
    assert market.closes.close(0, column) == pytest.approx(100.005)
    assert 80 < market.closes.close(ordinal, column) < 120
    assert market.book_of(column, market.span(ordinal)).top(market.span(ordinal).open).bid > 0


@pytest.mark.parametrize(
    ("name", "messages", "book", "says"),
    [
        ("LOBS_2012-06-21_x.csv", MESSAGES.replace("34203.0", "34100.0"), BOOK, "row 4"),
        ("LOBS_2012-06-21_x.csv", MESSAGES.replace("300,1000200", "x,1000200"), BOOK, "row 2"),
        ("LOBS_2012-06-21_x.csv", MESSAGES, BOOK.partition("\n")[2], "7 rows"),
        ("LOBS_2012-06-23_x.csv", MESSAGES, BOOK, "closed on 2012-06-23"),
        ("messages.csv", MESSAGES, BOOK, "SYMBOL_YYYY-MM-DD"),
        ("LOBS_2012-06-21_x.csv", "1,2\n", BOOK, "LOBSTER writes 6"),
    ],
)
def test_bad_files_are_refused(tmp_path, name, messages, book, says):
    first, second = tmp_path / name, tmp_path / "book.csv"
    first.write_text(messages)
    second.write_text(book)
    with pytest.raises(InvalidInput, match=says):
        read_tape(first, second)
