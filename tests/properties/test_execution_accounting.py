"""Executions count once, corrected, whatever order and how often they come ([9], [11])."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from models.domain.orders import ChildOrder, ChildState, Fill, ParentOrder, Side
from models.execution.engine import restore
from models.execution.fills import current_fills, gross_quantity, net_quantity
from models.execution.state import SlicingPolicy

OPEN = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
CLOSE = datetime(2023, 1, 3, 21, tzinfo=UTC)
PARENT = ParentOrder(
    "p", OPEN.date(), "s", "KO", Side.SELL, 1000, "TWAP", OPEN, CLOSE, Decimal(60), OPEN, "m"
)
CHILD = ChildOrder("p", 1, 1, "KO", Side.SELL, 1000, Decimal(60), "IOC", ChildState.SENT)

# Each execution is a history of quantities: its first report and then its corrections.
histories = st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=4), min_size=1, max_size=12)


def revisions(history_no: int, quantities: list[int]) -> list[Fill]:
    first = Fill("", CHILD.order_ref, "KO", Side.SELL, 0, Decimal(60), OPEN, 7)
    return [
        replace(first, exec_id=f"00aa.{history_no:04d}.{revision:02d}", quantity=quantity)
        for revision, quantity in enumerate(quantities, start=1)
    ]


@given(histories, st.integers(0, 2**32), st.integers(1, 3))
def test_order_and_repetition_do_not_matter(
    quantities: list[list[int]], seed: int, copies: int
) -> None:
    fills = [fill for n, history in enumerate(quantities) for fill in revisions(n, history)]
    shuffled = fills * copies
    Random(seed).shuffle(shuffled)
    assert net_quantity(shuffled) == sum(history[-1] for history in quantities)
    assert gross_quantity(shuffled) == sum(max(history) for history in quantities)
    assert current_fills(shuffled) == current_fills(fills)


@given(histories, st.integers(0, 2**32), st.integers(0, 1000))
def test_the_engine_counts_shuffled_executions_alike(
    quantities: list[list[int]], seed: int, reported: int
) -> None:
    fills = [fill for n, history in enumerate(quantities) for fill in revisions(n, history)]
    shuffled = fills * 2
    Random(seed).shuffle(shuffled)
    net = sum(history[-1] for history in quantities)
    child = replace(CHILD, filled=max(net, reported))
    straight = restore(PARENT, SlicingPolicy(), [child], fills)
    other = restore(PARENT, SlicingPolicy(), [child], shuffled)
    assert other == straight
    assert straight.filled == net
    assert straight.children[CHILD.order_ref].filled == max(net, reported)
