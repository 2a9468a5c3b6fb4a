"""Execution sessions that lose an order, the link behind the gateway, or the gateway itself."""

import threading
from datetime import timedelta

import pytest

from models.domain.errors import RetryLater
from models.domain.orders import ChildState, Fill, ParentState
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import BrokerNotice

pytestmark = pytest.mark.journey


def states(ledger, session):
    return [record.state for record in ledger.parents.of_session(session)]


def fills(ledger, session):
    found = [
        fill
        for record in ledger.parents.of_session(session)
        for fill in ledger.executions.fills_of(record.order.parent_id)
    ]
    return tuple(sorted(found, key=lambda fill: (fill.at, fill.exec_id)))


def is_fill_of(parent, event):
    return isinstance(event, Fill) and event.order_ref.startswith(f"{parent.parent_id}.")


def test_an_order_that_never_arrived_goes_again_within_its_slice(
    gateway, settings, ledger, make_span, make_parent, execute, monkeypatch
):
    """A gateway's dialog swallows an order without a word; here its very last chance."""
    real, swallowed = OrderConnection.send, []

    def send(self, child):
        if child.slice_no == 3 and not swallowed:
            swallowed.append(child)
        else:
            real(self, child)

    monkeypatch.setattr(OrderConnection, "send", send)
    span = make_span(gateway)
    parent = make_parent(span, "KO", quantity=60)
    ledger.parents.add([parent])
    execute(settings, ledger)
    assert states(ledger, span.session) == [ParentState.FILLED]
    last = [c for c in ledger.children.of_parent(parent.parent_id) if c.slice_no == 3]
    assert [(c.attempt, c.state) for c in last] == [
        (1, ChildState.NEVER_SENT),
        (2, ChildState.FILLED),
    ]
    assert last[0].order_id == last[1].order_id, "the gateway itself would refuse a double"


def test_a_lost_link_behind_the_gateway_is_waited_out_and_caught_up(
    gateway, settings, ledger, make_span, make_parent, execute, monkeypatch
):
    """1100 after the first slice, 1102 only after the second was due."""
    real, told = OrderConnection.pending_events, []
    span = make_span(gateway)
    parent = make_parent(span, "KO", quantity=60)

    def pending_events(self):
        events = real(self)
        if not told and any(is_fill_of(parent, e) for e in events):
            told.append(1100)
            events.append(BrokerNotice(1100, "Connectivity has been lost", ""))
        elif len(told) == 1 and gateway.now > span.start + timedelta(minutes=15):
            told.append(1102)
            events.append(BrokerNotice(1102, "Connectivity has been restored", ""))
        return events

    monkeypatch.setattr(OrderConnection, "pending_events", pending_events)
    ledger.parents.add([parent])
    execute(settings, ledger)
    assert told == [1100, 1102]
    assert states(ledger, span.session) == [ParentState.FILLED]
    slices = {c.slice_no for c in ledger.children.of_parent(parent.parent_id)}
    assert slices == {1, 3}, "nothing was sent while the link was down"


def test_a_link_that_stays_lost_is_no_success(
    gateway, settings, ledger, make_span, make_parent, execute, monkeypatch
):
    real, told = OrderConnection.pending_events, []

    def pending_events(self):
        events = real(self)
        if not told and any(is_fill_of(parent, e) for e in events):
            told.append(1100)
            events.append(BrokerNotice(1100, "Connectivity has been lost", ""))
        return events

    span = make_span(gateway)
    parent = make_parent(span, "KO", quantity=60)
    ledger.parents.add([parent])
    with monkeypatch.context() as patch:
        patch.setattr(OrderConnection, "pending_events", pending_events)
        with pytest.raises(RetryLater, match="has lost Interactive Brokers"):
            execute(settings, ledger)
    assert len(fills(ledger, span.session)) >= 1


def test_a_gateway_that_dies_in_the_middle_doubles_nothing(
    start_gateway, open_ledger, make_span, make_parent, execute, monkeypatch
):
    own = start_gateway()
    ledger = open_ledger(own.settings)
    span = make_span(own)
    ledger.parents.add([make_parent(span, "KO", quantity=90)])
    kills = []

    def die(progress):
        if progress.done_shares and not kills:
            kills.append(own.kill())

    with monkeypatch.context() as patch:
        patch.setattr("tasks.session.sessions.RECONNECT_DEADLINE", 1.0)
        with pytest.raises(RetryLater, match="The schedule is kept in the ledger"):
            execute(own.settings, ledger, on_progress=die)
    done = sum(f.quantity for f in fills(ledger, span.session))
    assert 0 < done < 90
    own.restart()
    restarts = []

    def die_and_come_back(progress):
        if progress.done_shares > done and not restarts:
            own.kill()
            restarts.append(threading.Thread(target=own.restart))
            restarts[0].start()

    result = execute(own.settings, ledger, on_progress=die_and_come_back)
    restarts[0].join()
    assert result.is_resumed
    assert states(ledger, span.session) == [ParentState.FILLED]
    assert sum(f.quantity for f in fills(ledger, span.session)) == 90
    assert ledger.executions.positions(result.account) == {"KO": 90}
    assert ledger.check() == []
