"""What Interactive Brokers' numbers mean to this system: what to do, never what became of an order.

A code is a hint and never by itself proof of an order's end: several of them come for orders that
live on (399 held until the open, 10349 time in force preset, 161 and 10147 for a cancel).
Source: Interactive Brokers' message codes (TWS API, message_codes.html).
"""

from __future__ import annotations

from enum import Enum

CONNECTIVITY_LOST = frozenset({1100, 2110})
CONNECTIVITY_RESTORED = frozenset({1101, 1102})
DATA_LOST = 1101
PORT_CHANGED = 1300
DUPLICATE_ID = 103
CONTRACT_IN_DOUBT = frozenset({110, 200})  # off the tick, or no such contract: look it up anew


class Reaction(Enum):
    """What a code asks of this system.

    An order whose outcome is UNKNOWN is looked up at the broker before anything follows from it.
    """

    HARMLESS = "harmless"
    RETRY_LATER = "retry later"
    REJECT = "reject"
    UNKNOWN = "unknown outcome"
    HALT = "halt"


# 202 is confirmed by an order status; 399, 404 and 10349 come for orders that live.
_HARMLESS = frozenset({165, 202, 399, 404, 492, 10090, 10167, 10185, 10187, 10311, 10314, 10349})
_RETRY_LATER = frozenset(
    {100, 101, 322, 326, 420, 502, 503, 504, 1100, 1101, 1102, 1300, 10089, 10168, 10197, 10225}
)
_REJECT = frozenset(
    {106, 107, 109, 110, 111, 113, 200, 201, 203, 321, 354, 387, 388, 434, 460, 463}
    | {10020, 10243, 10268, 10318}
)
# 103: the id may be that of an order that arrived after all; 104, 105: it may have filled; the
# others answer a cancel, and do not say what became of its order.
_UNKNOWN = frozenset({DUPLICATE_ID, 104, 105, 135, 136, 161, 10147, 10148})
# The gateway cannot read what is sent, or waits for a person to agree to something in its window.
_HALT = frozenset({320, 435, 436, 505, 506, 507, 10141, 10229})


def reaction_to(code: int) -> Reaction:
    """Return what `code` asks for; of a code that is not known, the outcome is UNKNOWN."""
    if code in _HALT:
        return Reaction.HALT
    if code in _REJECT:
        return Reaction.REJECT
    if code in _RETRY_LATER or code in CONNECTIVITY_LOST:
        return Reaction.RETRY_LATER
    if code in _HARMLESS or 2100 <= code <= 2199:
        return Reaction.HARMLESS
    return Reaction.UNKNOWN


def is_known(code: int) -> bool:
    """Say whether `code` is in the tables at all."""
    return reaction_to(code) is not Reaction.UNKNOWN or code in _UNKNOWN


def is_refusal(code: int) -> bool:
    """Say whether `code` tells that this one sending of an order was not taken.

    With an Inactive status, or without any trace of the order at the broker, that is its end. A
    duplicate id is among them: what carries the id may be an earlier sending, which has a trace.
    """
    return code == DUPLICATE_ID or reaction_to(code) is Reaction.REJECT
