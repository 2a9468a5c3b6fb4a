"""What one connection is told of orders ends in the same table, in whatever order it comes."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tasks.broker.evidence import EvidenceLog
from tasks.broker.protocol import OrderStatus

CLIENT, SHARES = 11, 100
LIVE, ENDED = ("PreSubmitted", "Submitted", "PendingCancel"), ("Filled", "Cancelled")


@dataclass(frozen=True)
class Order:
    """One order of the broker: the counts that its statuses told, and how it stands at last."""

    number: int
    counts: tuple[int, ...]
    end: str | None

    @property
    def ref(self) -> str:
        return f"p{self.number}.1.1"

    @property
    def done(self) -> int:
        return SHARES if self.end == "Filled" else max(self.counts)

    def message(self, ref: str, word: str, filled: int, order_id: int | None = None) -> OrderStatus:
        number = 5 + self.number if order_id is None else order_id
        symbol = "KO" if ref else ""
        perm_id = 900 + self.number
        return OrderStatus(ref, number, perm_id, CLIENT, symbol, word, filled, SHARES - filled)

    def tell(self, log: EvidenceLog) -> list[tuple[object, OrderStatus]]:
        """Return every message about this order with what takes it in."""
        words = [LIVE[n % len(LIVE)] for n in range(len(self.counts))]
        told = [
            (log.order_status, self.message("", word, count))
            for word, count in zip(words, sorted(self.counts), strict=True)
        ]
        told.append((log.open_order, self.message(self.ref, "Submitted", 0)))
        if self.end:
            told.append((log.order_status, self.message("", self.end, self.done)))
            told.append((log.completed_order, self.message(self.ref, self.end, self.done, 0)))
        return told


counts = st.lists(st.integers(0, SHARES - 1), min_size=1, max_size=4).map(tuple)
books = st.lists(st.tuples(counts, st.sampled_from((None, *ENDED))), min_size=1, max_size=4)


@given(books, st.integers(0, 2**32), st.integers(1, 2))
def test_a_shuffled_stream_ends_in_the_broker_s_own_orders(
    book: list[tuple[tuple[int, ...], str | None]], seed: int, copies: int
) -> None:
    log = EvidenceLog()
    orders = [Order(number, counts, end) for number, (counts, end) in enumerate(book)]
    stream = [message for order in orders for message in order.tell(log)] * copies
    Random(seed).shuffle(stream)
    for take, message in stream:
        take(message)
    kept = {order.order_ref: order for order in log.orders.values()}
    assert kept.keys() == {order.ref for order in orders}, "none without a name, none twice"
    assert len(log.orders) == len(orders)
    for order in orders:
        shown = kept[order.ref]
        assert (shown.symbol, shown.filled) == ("KO", order.done)
        assert shown.remaining == SHARES - order.done or not order.done
        assert shown.is_over == bool(order.end)
        assert shown.order_id == 5 + order.number


@given(books, st.integers(0, 2**32))
def test_every_living_or_ended_order_reaches_the_session_under_its_name(
    book: list[tuple[tuple[int, ...], str | None]], seed: int
) -> None:
    log = EvidenceLog()
    orders = [Order(number, counts, end) for number, (counts, end) in enumerate(book)]
    stream = [message for order in orders for message in order.tell(log)]
    Random(seed).shuffle(stream)
    for take, message in stream:
        take(message)
    told: dict[str, int] = {}
    for event in log.take():
        told[event.order_ref] = max(told.get(event.order_ref, 0), event.filled)
    assert {order.ref: order.done for order in orders} == {
        ref: filled for ref, filled in told.items() if ref
    }
