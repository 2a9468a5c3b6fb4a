"""What works counts as filled where that is worse: nothing is bought with money still to come."""

from decimal import Decimal

from models.domain.orders import Side
from models.risk.limits import RiskLimits
from tasks.broker.protocol import BrokerNotice
from tasks.session.recovery import recover

FIRST = "p-KO.1.1"
ONE_NAME = RiskLimits(max_position_weight=1.0, max_order_notional=100_000.0, max_daily_loss=0.5)


async def test_a_buy_waits_until_the_sells_that_pay_for_it_are_filled(
    start_desk, make_parent, broker, minute
):
    """The book is full: sells on their way give no room, filled ones do."""
    broker.positions, broker.cash = {"XOM": 2000}, Decimal(0)
    desk = start_desk(
        make_parent("KO", quantity=90), make_parent("XOM", Side.SELL, 300), limits=ONE_NAME
    )
    await recover(desk, 0)
    assert desk.slice_due(minute(0))
    assert [c.order_ref for c in broker.sent] == ["p-XOM.1.1"]
    assert "gross: worst-case gross exposure 1.01" in desk.denied[FIRST]
    assert "net: worst-case net exposure 1.01" in desk.denied[FIRST]
    failed = {v.check for v in desk.ledger.parents.verdicts("p-KO") if not v.passed}
    assert failed == {"gross", "net"}
    broker.events.append(broker.execute("p-XOM.1.1", 100, "s.01", "49.995"))
    desk.pump(broker.now)
    assert not desk.slice_due(broker.now)
    assert [c.order_ref for c in broker.sent] == ["p-XOM.1.1", FIRST]
    assert desk.denied == {}


async def test_a_rejected_sell_never_turns_into_borrowed_buys(
    start_desk, make_parent, broker, minute
):
    broker.positions, broker.cash = {"XOM": 2000}, Decimal(0)
    desk = start_desk(
        make_parent("KO", quantity=90), make_parent("XOM", Side.SELL, 300), limits=ONE_NAME
    )
    await recover(desk, 0)
    for minutes in (0, 10, 20):
        desk.slice_due(minute(minutes))
        sell = broker.sent[-1].order_ref
        broker.events.append(BrokerNotice(201, "no", sell))
        broker.tell(sell, "Inactive")
        desk.pump(broker.now)
        desk.slice_due(broker.now)
    assert {c.symbol for c in broker.sent} == {"XOM"}
    assert {ref.split(".")[0] for ref in desk.denied} == {"p-KO"}


async def test_children_of_other_parents_that_still_work_count_as_filled(
    start_desk, make_parent, broker, minute
):
    limits = RiskLimits(max_gross_exposure=0.02, max_net_exposure=0.02)
    desk = start_desk(make_parent("KO"), make_parent("PEP"), limits=limits)
    await recover(desk, 0)
    desk.slice_due(minute(0))
    assert [c.symbol for c in broker.sent] == ["KO"], "1,500 USD each of 100,000"
    assert "gross" in desk.denied["p-PEP.1.1"]
    broker.tell(FIRST, "Cancelled", 0)
    desk.pump(broker.now)
    desk.slice_due(broker.now)
    assert [c.symbol for c in broker.sent] == ["KO", "PEP"]
