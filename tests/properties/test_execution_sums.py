"""Positions, cash and child sums do not depend on how executions are delivered."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.orders import ChildOrder, Fill, ParentOrder, Side
from warehouse.ledger import OrderLedger
from warehouse.ledger.executions import CashView

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
OPENING = Decimal("100000.00")
SLICES = 3

executions = st.lists(
    st.tuples(
        st.integers(0, SLICES - 1),
        st.lists(
            st.tuples(
                st.integers(0, 40),
                st.decimals("0.01", "999.99", places=2),
                st.none() | st.decimals("0", "9.99", places=3),
            ),
            min_size=1,
            max_size=3,
        ),
    ),
    max_size=5,
)


def deliveries(drawn: list[tuple[int, list[tuple[int, Decimal, Decimal | None]]]]) -> list[Fill]:
    return [
        Fill(
            exec_id=f"ex{number}.{revision:02d}",
            order_ref=f"p.{slice_no}.1",
            symbol="AAPL",
            side=Side.BUY,
            quantity=quantity,
            price=price,
            at=NOW + timedelta(seconds=number),
            perm_id=100 + slice_no,
            commission=commission,
        )
        for number, (slice_no, revisions) in enumerate(drawn)
        for revision, (quantity, price, commission) in enumerate(revisions, start=1)
    ]


def expected(fills: list[Fill]) -> tuple[int, CashView, list[int]]:
    newest: dict[str, Fill] = {}
    for fill in sorted(fills, key=lambda fill: fill.revision):
        newest[fill.exec_base] = fill
    shares, cash, unknown = 0, OPENING, 0
    for base, fill in newest.items():
        shares += fill.quantity
        cash -= fill.quantity * fill.price
        mine = [f for f in fills if f.exec_base == base and f.commission is not None]
        if fill.quantity == 0:
            mine = [f for f in mine if f.revision == fill.revision]
        last = max(mine, key=lambda f: f.revision, default=None)
        if last is not None and last.commission is not None:
            cash -= last.commission
        elif fill.quantity > 0:
            unknown += 1
    sums = [
        sum(f.quantity for f in newest.values() if f.order_ref == f"p.{slice_no}.1")
        for slice_no in range(SLICES)
    ]
    return shares, CashView(cash, unknown), sums


@settings(max_examples=60, deadline=None)
@given(drawn=executions, data=st.data())
def test_order_and_repetition_of_deliveries_do_not_matter(
    drawn: list[tuple[int, list[tuple[int, Decimal, Decimal | None]]]], data: st.DataObject
) -> None:
    fills = deliveries(drawn)
    repeated = data.draw(st.lists(st.sampled_from(fills), max_size=6)) if fills else []
    shuffled = data.draw(st.permutations(fills + repeated))
    with TemporaryDirectory() as folder:
        with OrderLedger(f"sqlite:///{Path(folder)}/ledger.sqlite") as ledger, ledger.transaction():
            prepare(ledger)
            counted = sum(ledger.executions.record(fill, "SIM1") for fill in shuffled)
            shares, cash, sums = expected(fills)
            assert ledger.executions.positions("SIM1") == ({"AAPL": shares} if shares else {})
            assert ledger.executions.cash("SIM1") == cash
            found = [child.filled for child in ledger.children.of_parent("p")]
            assert found == sums
            assert counted <= len(fills)
            complaints = [line for line in ledger.check() if "overfilled" not in line]
            assert complaints == []


def prepare(ledger: OrderLedger) -> None:
    parent = ParentOrder(
        "p", date(2024, 1, 2), "ml", "AAPL", Side.BUY, 300, "TWAP", NOW, NOW, Decimal(1), NOW, "1"
    )
    ledger.parents.add([parent])
    ledger.accounts.record_opening("SIM1", OPENING, {}, NOW)
    for slice_no in range(SLICES):
        child = ChildOrder("p", slice_no, 1, "AAPL", Side.BUY, 100, None, "DAY")
        ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=NOW)
