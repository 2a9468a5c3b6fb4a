"""A halted symbol's orders are asked to end once, not at every look."""

from datetime import timedelta

from tasks.session.recovery import recover
from tasks.session.symbol_halts import PATIENCE, SymbolHalts


async def test_a_cancel_is_asked_once_and_again_when_it_has_no_effect(
    start_desk, make_parent, broker, minute
):
    desk = start_desk(make_parent("KO"), make_parent("PEP"))
    await recover(desk, 0.0)
    desk.slice_due(minute(0))
    for child in broker.sent:
        broker.tell(child.order_ref, "Submitted")
    desk.pump(broker.now)
    [ko] = [child.order_id for child in broker.sent if child.symbol == "KO"]
    halts, now = SymbolHalts(), broker.now
    for second in range(5):
        halts.enforce(desk, "KO", now + timedelta(seconds=second))
    assert broker.cancels == [ko], "PEP trades on"
    halts.enforce(desk, "KO", now + PATIENCE)
    assert broker.cancels == [ko, ko]
    again = start_desk(make_parent("KO"), make_parent("PEP"))
    halts.enforce(again, "KO", now + PATIENCE)
    assert broker.cancels == [ko] * 3, "a new connection: the question may have been lost"
