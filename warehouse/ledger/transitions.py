"""Which state a child order takes when evidence arrives; pure, so that order never matters more
than the evidence itself.

A terminal state is left only by an execution. NEVER_SENT is the exception: it rests on absence
of evidence, so any evidence from the broker ends it.
"""

from __future__ import annotations

from models.domain.orders import ChildState

_BROKER_SAYS_ALIVE = frozenset({ChildState.ACKED, ChildState.PARTIAL})
_OVER = frozenset({ChildState.FILLED, ChildState.CANCELLED, ChildState.REJECTED})
_BEFORE_ACK = frozenset({ChildState.INTENT, ChildState.SENT, ChildState.UNKNOWN})


def after_status(current: ChildState, told: ChildState) -> ChildState:
    """Return the state after an order status, an acknowledgement or our own bookkeeping.

    `told` is what the evidence says: SENT is our own mark and moves only an INTENT; UNKNOWN and
    NEVER_SENT are a reconciliation's findings; the others come from the broker.
    """
    if current in _OVER:
        return current
    if current is ChildState.NEVER_SENT:
        return told if told in _OVER or told in _BROKER_SAYS_ALIVE else current
    if told in (ChildState.INTENT, ChildState.SENT):
        return told if current is ChildState.INTENT else current
    if told is ChildState.ACKED:
        return told if current in _BEFORE_ACK else current
    if told is ChildState.NEVER_SENT:
        return told if current in _BEFORE_ACK else current
    return told


def after_execution(current: ChildState, executed: int, quantity: int) -> ChildState:
    """Return the state once `executed` of `quantity` shares are proven by executions.

    An execution contradicts REJECTED and NEVER_SENT; a cancelled child may well have some.
    """
    if executed >= quantity:
        return ChildState.FILLED
    if current in (ChildState.FILLED, ChildState.CANCELLED) or executed == 0:
        return current
    return ChildState.PARTIAL
