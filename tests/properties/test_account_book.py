"""The book that is added to must equal the book that is read, whatever comes in which order."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.domain.orders import Fill, Side
from tasks.broker.protocol import Commission
from tasks.session.account import AccountBook
from warehouse.ledger import OrderLedger

ACCOUNTS = count(1)
AT = datetime(2023, 1, 3, 15, tzinfo=UTC)
FIXED = {  # symbol, side and shares of each execution and its corrections
    base: (symbol, side, (shares, shares // 2, 0, shares))
    for base, symbol, side, shares in [
        ("a", "KO", Side.BUY, 10),
        ("b", "KO", Side.SELL, 10),
        ("c", "PEP", Side.BUY, 7),
        ("o", "XOM", Side.BUY, 5),  # in the opening balance
    ]
}


def fill_of(base: str, revision: int) -> Fill:
    symbol, side, shares = FIXED[base]
    price = Decimal(50) + revision
    return Fill(f"{base}.0{revision}", "", symbol, side, shares[revision - 1], price, AT, 7)


MESSAGES = st.one_of(
    st.builds(fill_of, st.sampled_from("aabco"), st.sampled_from([1, 1, 1, 2, 3, 4])),
    st.builds(
        Commission,
        st.builds("{}.0{}".format, st.sampled_from("aabo"), st.sampled_from([1, 1, 1, 2])),
        st.sampled_from([Decimal("0.35"), Decimal(1)]),
        st.sampled_from(["USD", "USD", "USD", "EUR"]),
        st.none(),
    ),
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrderLedger]:
    with OrderLedger(f"sqlite:///{tmp_path_factory.mktemp('book')}/ledger.sqlite") as opened:
        yield opened


@given(messages=st.lists(MESSAGES, min_size=5, max_size=20))
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_adding_on_and_reading_anew_agree(
    ledger: OrderLedger, messages: list[Fill | Commission]
) -> None:
    """Each example has an account of its own in the one ledger, and so execution ids of its own."""
    account = f"SIM{next(ACCOUNTS):07d}"

    def own(message: Fill | Commission) -> Fill | Commission:
        return replace(message, exec_id=f"{account}.{message.exec_id}")

    opening = {"XOM": 5, "PEP": 1}
    ledger.accounts.record_opening(account, Decimal(1000), opening, AT, [own(fill_of("o", 1))])
    book, anew = (AccountBook(account, ledger, 0.0, 0.0) for _ in range(2))
    book.refresh()
    for message in map(own, messages):
        if isinstance(message, Fill):
            if ledger.executions.record(message, account):
                book.add_fill(message)
        else:
            ledger.executions.record_commission(message.exec_id, message.amount, message.currency)
            book.add_commission(message)
        anew.refresh()
        assert (book.positions, book.cash) == (anew.positions, anew.cash), message
