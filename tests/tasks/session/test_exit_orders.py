"""Stops and targets against a scripted broker: never more than the position, through any crash."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading
from models.domain.orders import ChildState, OrderKind, ParentState, Quote, Side
from models.domain.regimes import Regime
from models.risk.exits import ExitRules
from models.risk.limits import RiskLimits
from tasks.broker.protocol import BrokerNotice, GatewayUnreachable
from tasks.session.exit_watch import ExitWatch, settle_vanished
from tasks.session.exits import ExitKeeper
from tasks.session.orders import log_alert
from tasks.session.recovery import recover
from warehouse.ledger.symbol_facts import SymbolFacts

RESTING = RiskLimits(exits=ExitRules(mode="resting"))
WATCHED = RiskLimits(exits=ExitRules(mode="monitored"))
FACTS = SymbolFacts("KO", Decimal("50.00"), 1e7, 1.0, Regime.BULL)


@pytest.fixture
def start(start_desk, ledger, broker, minute):
    """Open a desk whose account holds KO, with its exits loaded and recovered; again restarts."""

    def go(*parents, held=90, limits=RESTING, facts=(FACTS,), alert=log_alert):
        if held and not broker.positions and not broker.reads:
            broker.book("KO", held, Decimal(50))
        day = parents[0].session if parents else minute(0).date()
        ledger.facts.note(day, facts, minute(0))
        minute(1)
        desk = start_desk(*parents, limits=limits)
        desk.alert = alert
        keeper = ExitKeeper(desk)
        keeper.load()
        evidence = asyncio.run(recover(desk, 0.0))
        asyncio.run(settle_vanished(desk, evidence, 0.0))
        return desk, keeper

    return go


def keep(keeper, broker):
    keeper.keep(broker.now)
    keeper.desk.pump(broker.now)


def living(broker):
    return {ref: o for ref, o in broker.orders.items() if not o.is_over}


def end_cancelled(broker, desk):
    """Answer every cancel that was asked for."""
    for child in list(broker.sent):
        if child.order_id in broker.cancels and not broker.orders[child.order_ref].is_over:
            broker.tell(child.order_ref, "Cancelled")
    desk.pump(broker.now)


def test_a_position_gets_a_stop_and_a_target_of_its_size(start, broker, ledger):
    desk, keeper = start()
    keep(keeper, broker)
    stop, target = broker.sent
    assert (stop.kind, stop.stop_price, stop.limit_price) == (OrderKind.STOP, Decimal(47), None)
    assert (target.kind, target.limit_price) == (OrderKind.LIMIT, Decimal(56))
    for child in (stop, target):
        assert (child.side, child.quantity, child.tif) == (Side.SELL, 90, "GTC")
        assert child.oca_group == "20221229-exit-KO-1"
        assert ledger.children.get(child.order_ref).order.stop_price == child.stop_price
    (record,) = ledger.parents.open_exits()
    assert (record.order.quantity, record.order.strategy) == (90, "exits")
    assert desk.resting[record.order.parent_id].exposure == 90, "the two count once"
    keep(keeper, broker)
    assert len(broker.sent) == 2, "kept as they are"
    assert ledger.check() == []


def test_the_ledger_refuses_a_third_order_of_a_full_exit(start, broker, ledger):
    desk, keeper = start()
    keep(keeper, broker)
    for change in ({"oca_group": ""}, {"quantity": 91}):
        more = replace(broker.sent[0], slice_no=3, order_id=None, **change)
        with pytest.raises(HaltTrading, match="of which 90 are filled or may still fill"):
            ledger.children.commit_intent(
                more, 11, broker.account, next_valid_id=90, at=broker.now, lease=desk.lease
            )


def test_an_exit_waits_for_room_for_both_of_its_orders(start, broker):
    """More than fit would wait in the client's queue, where a cancel overtook them."""
    desk, keeper = start()
    broker.budget = 1
    keep(keeper, broker)
    assert broker.sent == []
    assert desk.is_crowded
    broker.budget = 2
    keep(keeper, broker)
    assert [child.quantity for child in broker.sent] == [90, 90]
    assert not desk.is_crowded


def test_exits_off_touch_nothing(start, broker):
    _, keeper = start(limits=RiskLimits())
    assert keeper.is_idle
    keep(keeper, broker)
    assert broker.sent == []


def test_a_restart_finds_its_exits_and_sends_nothing(start, broker):
    _, keeper = start()
    keep(keeper, broker)
    _, again = start()
    keep(again, broker)
    assert len(broker.sent) == 2
    assert len(again.desk.resting) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("sent_before", [0, 1])
def test_a_crash_between_two_orders_doubles_and_loses_none(start, broker, moment, sent_before):
    _, keeper = start()
    real, count = broker.send, iter(range(10))

    def breaking(child):
        broker.breaks = moment if next(count) == sent_before else ""
        real(child)

    broker.send = breaking
    with pytest.raises(GatewayUnreachable):
        keeper.keep(broker.now)
    broker.breaks, broker.send = "", real
    _, again = start()
    keep(again, broker)
    kinds = sorted(child.kind for child in broker.sent)
    assert kinds == [OrderKind.LIMIT, OrderKind.STOP]
    assert len({child.order_id for child in broker.sent}) == 2
    (execution,) = again.desk.resting.values()
    assert execution.exposure == 90
    assert all(
        c.state in (ChildState.ACKED, ChildState.SENT)
        for c in execution.children.values()
        if c.state is not ChildState.NEVER_SENT
    )


def test_a_planned_sale_cuts_the_exit_first_and_only_then_goes(start, broker, make_parent, minute):
    _, keeper = start()
    keep(keeper, broker)
    desk, keeper = start(make_parent(side=Side.SELL, quantity=40))
    desk.slice_due(minute(1))
    assert len(broker.sent) == 2, "all 90 shares are on the exit: a sale could end short"
    assert any("short" in reason for reason in desk.denied.values())
    keep(keeper, broker)
    assert keeper.is_settling and len(broker.cancels) == 2
    end_cancelled(broker, desk)
    keep(keeper, broker)
    assert [child.quantity for child in broker.sent[2:]] == [50, 50]
    assert not keeper.is_settling
    desk.slice_due(minute(2))
    assert broker.sent[-1].parent_id == "p-KO"
    working = sum(order.remaining for order in living(broker).values())
    assert working - 50 <= 90, "of the bracket's two orders one can fill"


def test_a_target_that_trades_in_part_is_followed_by_a_bracket_of_the_rest(start, broker):
    desk, keeper = start()
    keep(keeper, broker)
    stop, target = broker.sent
    broker.tell(target.order_ref, "Submitted")
    broker.events.append(broker.execute(target.order_ref, 30, "e1.01", "56.00"))
    broker.tell(stop.order_ref, "Cancelled")  # the broker ends the other at the first fill
    desk.pump(broker.now)
    keep(keeper, broker)
    end_cancelled(broker, desk)
    keep(keeper, broker)
    assert [child.quantity for child in broker.sent[2:]] == [60, 60]
    assert broker.sent[2].stop_price == Decimal(47), "the stop stays where it was"
    assert sum(1 for o in living(broker).values()) == 2


def test_exits_end_with_their_position(start, broker, ledger):
    desk, keeper = start()
    keep(keeper, broker)
    stop, target = broker.sent
    broker.tell(stop.order_ref, "Submitted")
    broker.events.append(broker.execute(stop.order_ref, 90, "e1.01", "46.90"))
    broker.tell(stop.order_ref, "Filled")
    broker.tell(target.order_ref, "Cancelled")
    desk.pump(broker.now)
    keep(keeper, broker)
    assert len(broker.sent) == 2
    assert desk.book.positions == {}
    assert [e.state for e in desk.resting.values()] == [ParentState.FILLED]
    assert ledger.parents.open_exits() == ()


def test_what_was_stopped_out_is_not_bought_on(start, broker, make_parent, minute):
    desk, keeper = start(make_parent(quantity=90), held=90)
    keep(keeper, broker)
    stop, target = broker.sent
    broker.tell(stop.order_ref, "Submitted")
    broker.events.append(broker.execute(stop.order_ref, 90, "e1.01", "46.90"))
    broker.tell(stop.order_ref, "Filled")
    broker.tell(target.order_ref, "Cancelled")
    desk.pump(broker.now)
    keep(keeper, broker)
    desk.slice_due(minute(2))
    assert len(broker.sent) == 2
    assert desk.executions["p-KO"].state is ParentState.CANCELLED
    assert "an exit of KO has traded" in desk.executions["p-KO"].reason


def rest_all(broker, keeper):
    keep(keeper, broker)
    for child in list(broker.sent):
        broker.tell(child.order_ref, "Submitted")
    keeper.desk.pump(broker.now)


def test_an_exit_that_ended_between_two_sessions_is_placed_anew(start, broker):
    """The broker shows a completed order for a day only; what else rests proves its list whole."""
    broker.book("PEP", 20, Decimal(50))
    broker.book("KO", 90, Decimal(50))
    both = (FACTS, replace(FACTS, symbol="PEP"))
    _, keeper = start(facts=both)
    rest_all(broker, keeper)
    broker.orders = {ref: o for ref, o in broker.orders.items() if o.symbol == "PEP"}
    _, again = start(facts=both)
    states = {e.parent.symbol: e.state for e in again.desk.resting.values()}
    assert states == {"KO": ParentState.EXPIRED, "PEP": ParentState.WORKING}
    assert not again.desk.ledger.differences.block_reason(broker.account, "KO")
    keep(again, broker)
    anew = broker.sent[4:]
    assert [(child.symbol, child.quantity) for child in anew] == [("KO", 90)] * 2
    assert anew[0].oca_group == "20221229-exit-KO-3"


def test_exits_gone_from_an_empty_list_are_for_a_person(start, broker):
    """No order at all is shown: an end, or a list that the broker has not filled yet."""
    told = []
    _, keeper = start()
    rest_all(broker, keeper)
    kept, broker.orders = broker.orders, {}
    desk, again = start(alert=lambda *words: told.append(words))
    (exit_,) = desk.resting.values()
    assert exit_.leaves == 90, "not taken for cancelled"
    keep(again, broker)
    assert len(broker.sent) == 2, "and nothing is sent in its place"
    assert any("KO may be without its stop" in subject for subject, _ in told)
    broker.orders = kept
    desk, again = start()
    keep(again, broker)
    assert len(broker.sent) == 2, "the list was late: they rested all along"


def test_no_exit_is_sent_without_a_basis_in_a_halt_or_when_closed(start, broker, ledger, minute):
    desk, keeper = start(facts=())
    told = []
    desk.alert = lambda subject, text: told.append((subject, text))
    keep(keeper, broker)
    keep(keeper, broker)
    assert [subject for subject, _ in told] == ["KO has no stop"]
    assert broker.sent == []
    desk, keeper = start()
    ledger.halts.halt("enough", "tester", broker.now)
    keep(keeper, broker)
    assert broker.sent == []
    ledger.halts.resume("fine", "tester", broker.now)
    minute(60 * 7)
    keep(keeper, broker)
    keep(keeper, broker)
    assert broker.sent == []
    assert ledger.parents.open_exits() == ()


def test_an_exit_that_is_denied_is_kept_once_and_tried_again(start, broker, ledger, minute):
    desk, keeper = start(limits=replace(RESTING, max_orders_per_minute=2))
    desk._sends.append(minute(1))
    keep(keeper, broker)
    keep(keeper, broker)
    assert broker.sent == []
    denied = [c for c in ledger.parents.verdicts("20221229-exit-KO-1") if not c.passed]
    assert [c.check for c in denied] == ["rate"], "kept once"
    assert denied[0].order_ref == "20221229-exit-KO-1.2.1", "the pair would be one too many"
    minute(3)
    keep(keeper, broker)
    assert [child.parent_id for child in broker.sent] == ["20221229-exit-KO-1"] * 2


def test_exits_that_the_broker_refuses_are_watched_instead(start, broker, minute):
    limits = replace(RESTING, max_rejects=2)
    desk, keeper = start(limits=limits)
    for _ in range(3):
        keep(keeper, broker)
        for ref in list(living(broker)):
            broker.events.append(BrokerNotice(201, "order rejected", ref))
            broker.tell(ref, "Inactive")
        desk.pump(broker.now)
    assert not keeper.rests("KO")
    assert len(broker.sent) == 2
    desk.quote = lambda symbol: Quote(
        symbol, Decimal("46.99"), Decimal("47.01"), 500, 500, broker.now
    )
    broker.budget = 0
    ExitWatch(keeper).look(minute(30))
    assert len(broker.sent) == 2, "no room among the messages of this second"
    broker.budget = 1
    ExitWatch(keeper).look(minute(30))
    assert len(broker.sent) == 3
    assert (broker.sent[-1].tif, broker.sent[-1].quantity) == ("IOC", 90)


def test_a_watched_exit_is_sent_once_and_not_for_a_bad_tick(start, broker, ledger, minute):
    desk, keeper = start(limits=WATCHED)
    watch = ExitWatch(keeper)
    price = {"bid": Decimal("49.99")}

    def quote(symbol):
        bid = price["bid"]
        return Quote(symbol, bid, bid + Decimal("0.02"), 500, 500, broker.now)

    desk.quote = quote
    watch.look(minute(2))
    price["bid"] = Decimal("5.00")  # a slipped decimal point, far below the stop at 47
    watch.look(minute(2.1))
    assert broker.sent == []
    price["bid"] = Decimal("46.98")
    watch.look(minute(30))
    watch.look(minute(30))
    (child,) = broker.sent
    assert (child.side, child.quantity, child.tif) == (Side.SELL, 90, "IOC")
    assert Decimal("46.70") < child.limit_price < Decimal("46.80")
    broker.events.append(broker.execute(child.order_ref, 50, "e1.01", "46.90"))
    broker.tell(child.order_ref, "Cancelled")
    desk.pump(broker.now)
    watch.look(minute(31))
    assert [child.quantity for child in broker.sent] == [90, 40]
    assert ledger.check() == []
