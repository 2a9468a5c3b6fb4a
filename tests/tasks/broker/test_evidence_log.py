"""What one connection has been told, in whatever order and however often it comes."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from models.domain.orders import Fill, Side
from tasks.broker.evidence import EvidenceLog
from tasks.broker.protocol import BrokerNotice, Commission, ConnectionDown, OrderStatus

NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)


def status(ref="", order_id=5, perm_id=900, word="Submitted", filled=0, client_id=11, symbol=""):
    return OrderStatus(ref, order_id, perm_id, client_id, symbol, word, filled, 10 - filled)


def fill(exec_id="e.01", quantity=10, ref="p.1.1", perm_id=900):
    return Fill(exec_id, ref, "KO", Side.BUY, quantity, Decimal(50), NOW, perm_id)


def test_a_status_that_carries_ids_only_gets_the_name_of_the_order_sent():
    log = EvidenceLog()
    log.name_order(11, 5, "p.1.1", "KO")
    log.order_status(status())
    (event,) = log.take()
    assert (event.order_ref, event.symbol) == ("p.1.1", "KO")
    assert log.take() == []


def test_a_status_of_an_unknown_order_stays_nameless():
    log = EvidenceLog()
    log.order_status(status())
    (event,) = log.take()
    assert event.order_ref == ""


def test_the_permanent_id_names_an_order_before_its_order_id_does():
    """A restarted gateway gave order id 5 a second time; the old order still speaks."""
    log = EvidenceLog()
    log.open_order(status("old.1.1", perm_id=900, symbol="PEP"))
    log.name_order(11, 5, "new.1.1", "KO")
    log.order_status(status(perm_id=900))
    log.order_status(status(perm_id=901))
    assert [e.order_ref for e in log.take()] == ["old.1.1", "new.1.1"]


def test_orders_without_a_permanent_id_are_not_mixed_up():
    log = EvidenceLog()
    log.open_order(status("a.1.1", order_id=5, perm_id=0))
    log.open_order(status("b.1.1", order_id=6, perm_id=0))
    log.fill(fill(ref="c.1.1", perm_id=0))
    assert [o.order_ref for o in log.orders.values()] == ["a.1.1", "b.1.1"]
    log.take()
    log.order_status(status(order_id=7, perm_id=0))
    assert [e.order_ref for e in log.take()] == [""]


def test_another_clients_order_id_names_nothing_of_ours():
    log = EvidenceLog()
    log.name_order(11, 5, "p.1.1", "KO")
    log.order_status(status(client_id=12, perm_id=950))
    assert [e.order_ref for e in log.take()] == [""]


def test_an_open_order_message_does_not_undo_what_is_known_to_be_filled():
    log = EvidenceLog()
    log.open_order(status("p.1.1"))
    log.order_status(status(filled=4))
    log.open_order(replace(status("p.1.1"), remaining=10))
    (kept,) = log.orders.values()
    assert (kept.filled, kept.remaining, kept.order_ref) == (4, 6, "p.1.1")


def test_an_open_order_message_names_an_order_that_was_told_of_without_a_name():
    """A living child without its name would count as absent, and be sent again."""
    log = EvidenceLog()
    log.order_status(status(filled=4))
    log.open_order(status("p.1.1", symbol="KO"))
    (kept,) = log.orders.values()
    assert (kept.order_ref, kept.symbol, kept.filled, kept.remaining) == ("p.1.1", "KO", 4, 6)
    told = [(event.order_ref, event.filled) for event in log.take()]
    assert told == [("", 4), ("p.1.1", 4)], "the session hears what it could not place before"


def test_an_order_told_of_before_its_permanent_id_is_one_order():
    log = EvidenceLog()
    log.order_status(status(perm_id=0, word="PreSubmitted"))
    log.open_order(status("p.1.1", perm_id=900, symbol="KO"))
    (kept,) = log.orders.values()
    assert (kept.order_ref, kept.perm_id) == ("p.1.1", 900)


def test_an_old_order_is_not_mixed_with_a_new_one_of_its_order_id():
    log = EvidenceLog()
    log.name_order(11, 5, "new.1.1", "KO")
    log.order_status(status(perm_id=0))
    log.open_order(status("old.1.1", perm_id=900, symbol="PEP"))
    assert {o.order_ref for o in log.orders.values()} == {"new.1.1", "old.1.1"}


def test_an_execution_without_a_name_takes_none_away():
    log = EvidenceLog()
    log.name_order(11, 5, "p.1.1", "KO")
    log.fill(fill(ref=""))
    log.order_status(status())
    assert log.take()[-1].order_ref == "p.1.1"


def test_a_completed_order_replaces_what_was_shown_open():
    log = EvidenceLog()
    log.open_order(status("p.1.1"))
    log.completed_order(status("p.1.1", order_id=0, word="Cancelled"))
    (kept,) = log.orders.values()
    assert kept.status == "Cancelled"
    assert [e.status for e in log.take()] == ["Cancelled"]


def test_every_revision_of_an_execution_is_kept_and_a_duplicate_is_kept_once():
    log = EvidenceLog()
    for one in (fill(), fill(), fill("e.02", 9)):
        log.fill(one)
    assert {f.exec_id: f.quantity for f in log.fills.values()} == {"e.01": 10, "e.02": 9}
    assert len(log.take()) == 3, "who takes the events decides what a duplicate is"


def test_a_commission_stands_by_itself():
    log = EvidenceLog()
    told = Commission("e.01", Decimal("0.35"), "USD", None)
    log.commission(told)
    assert log.commissions == {"e.01": told}
    assert log.fills == {}


def test_a_notice_names_the_order_it_speaks_of_if_it_does():
    log = EvidenceLog()
    log.name_order(11, 5, "p.1.1", "KO")
    log.notice(11, 5, 201, "no margin")
    log.notice(11, -1, 2104, "farm ok")
    log.disconnected()
    assert log.take() == [
        BrokerNotice(201, "no margin", "p.1.1"),
        BrokerNotice(2104, "farm ok", ""),
        ConnectionDown("the gateway closed the connection"),
    ]


def test_the_first_message_that_could_not_be_read_is_remembered():
    log = EvidenceLog()
    log.refuse("first")
    log.refuse("second")
    assert log.unreadable == "first"
