"""Our text of a message is ib_async's own, byte for byte."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ib_async import Contract, LimitOrder, Order, Stock, TagValue
from ib_async.client import Client
from ib_async.util import UNSET_DOUBLE, UNSET_INTEGER

from tasks.broker.ibkr import EvidenceIB, PacedClient

FIELDS = st.one_of(
    st.text(max_size=5),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from([UNSET_DOUBLE, UNSET_INTEGER, float("inf"), [], [TagValue("a", "b")]]),
    st.builds(Stock, st.text(max_size=4), st.just("SMART"), st.just("USD"), conId=st.integers(0)),
    st.builds(Contract, strike=st.floats(0, 1e6)),
)


class Kept:
    """Both clients with what they would have written, instead of a socket."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.ours: Any = EvidenceIB().client
        self.theirs: Any = Client(self.ours.wrapper)
        for client in (self.ours, self.theirs):
            client.connState = Client.CONNECTED
            client._serverVersion = 178
            client.sendMsg = self.texts.append


KEPT = Kept()


def written(action: str, *fields: Any, **named: Any) -> tuple[str, str]:
    KEPT.texts.clear()
    getattr(KEPT.ours, action)(*fields, **named)
    getattr(KEPT.theirs, action)(*fields, **named)
    ours, theirs = KEPT.texts
    return ours, theirs


def test_the_client_of_this_system_is_the_one_that_is_compared() -> None:
    assert isinstance(KEPT.ours, PacedClient)
    assert not isinstance(KEPT.theirs, PacedClient)


@given(st.lists(FIELDS, max_size=12), st.booleans())
def test_any_fields_give_the_same_text(fields: list[Any], make_empty: bool) -> None:
    ours, theirs = written("send", *fields, makeEmpty=make_empty)
    assert ours == theirs


@given(st.integers(1, 10**6), st.floats(0.01, 1e5), st.sampled_from(["BUY", "SELL"]))
def test_an_order_gives_the_same_text(number: int, price: float, side: str) -> None:
    contract = Stock("KO", "SMART", "USD", conId=number)
    stop = Order(action=side, totalQuantity=7.0, orderType="STP", auxPrice=price, ocaGroup="x")
    for order in (LimitOrder(side, 100.0, price, tif="IOC", orderRef="p.1.1"), stop):
        ours, theirs = written("placeOrder", number, contract, order)
        assert ours == theirs
        assert ours.startswith(f"3\0{number}\0{number}\0KO\0STK\0")


def test_nothing_is_written_without_a_connection() -> None:
    client = EvidenceIB().client
    with pytest.raises(ConnectionError, match="Not connected"):
        client.send(1, 2)
