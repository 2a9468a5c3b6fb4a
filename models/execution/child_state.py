"""The one state machine of a child order: evidence in, state out.

The engine and the ledger both use it, so neither can believe what the other does not. Evidence
only accumulates: whatever its order, repetition or delay, the same evidence ends in the same state.
Error codes are no evidence and cannot be fed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from models.domain.orders import ChildState

# Evidence moves a child up only. Broker evidence ranks above a proof of absence: the broker wins.
_RANK = {
    state: rank
    for rank, state in enumerate(
        (
            ChildState.INTENT,
            ChildState.SENT,
            ChildState.UNKNOWN,
            ChildState.NEVER_SENT,
            ChildState.ACKED,
            ChildState.PARTIAL,
            ChildState.REJECTED,
            ChildState.CANCELLED,
            ChildState.FILLED,
        )
    )
}

_ENDED_BY_BROKER = frozenset({ChildState.REJECTED, ChildState.CANCELLED, ChildState.FILLED})


@dataclass(frozen=True, slots=True)
class ChildFacts:
    """What is known of one child, in shares.

    `reported` is the highest cumulative count in any order status. `gross` sums the largest
    revision of each execution, `net` the latest: a bust leaves the first and lowers the second.
    Neither of the first two ever falls.
    """

    quantity: int
    state: ChildState = ChildState.INTENT
    reported: int = 0
    gross: int = 0
    net: int = 0

    @property
    def done(self) -> int:
        """Shares that the broker worked off, whatever became of them later."""
        return max(self.reported, self.gross)

    @property
    def filled(self) -> int:
        """Shares that count: executions, and those reported whose executions have not come."""
        return self.net + self.done - self.gross


@dataclass(frozen=True, slots=True)
class Told:
    """An order status after `filled` shares in all, or a mark or finding of our own.

    From the broker: ACKED or PARTIAL while it can fill, FILLED (the whole quantity), CANCELLED,
    REJECTED. Our own: SENT, UNKNOWN, NEVER_SENT.
    """

    state: ChildState
    filled: int = 0


@dataclass(frozen=True, slots=True)
class Executed:
    """Every execution known of the child, summed as in `ChildFacts`; busts are executions too."""

    gross: int
    net: int


Evidence = Told | Executed


def take(facts: ChildFacts, evidence: Evidence) -> ChildFacts:
    """Return the facts after one piece of evidence; pure, and the only way a state changes.

    A terminal state stays, except that NEVER_SENT yields to any sign of the broker, and a rejection
    to shares beyond the count that it was told with: the order was alive after all.
    """
    after, shown = _counted(facts, evidence)
    if after.done >= after.quantity:
        return replace(after, state=ChildState.FILLED)
    known = facts.state
    if known is ChildState.REJECTED and shown is not known and after.done > facts.done:
        known = ChildState.PARTIAL
    if shown is ChildState.REJECTED and isinstance(evidence, Told) and evidence.filled < after.done:
        shown = ChildState.ACKED  # an older refusal: more was filled since
    if after.done and shown not in _ENDED_BY_BROKER:
        shown = ChildState.PARTIAL
    return replace(after, state=later(known, shown))


def later(known: ChildState, shown: ChildState) -> ChildState:
    """Return the state that evidence leaves standing when it shows both."""
    return max(known, shown, key=_RANK.__getitem__)


def _counted(facts: ChildFacts, evidence: Evidence) -> tuple[ChildFacts, ChildState]:
    match evidence:
        case Told(state, filled):
            count = facts.quantity if state is ChildState.FILLED else filled
            return replace(facts, reported=max(facts.reported, count)), state
        case Executed(gross, net):
            largest = max(facts.gross, gross)
            return replace(facts, gross=largest, net=net), ChildState.ACKED
        case _:
            assert_never(evidence)


def contradiction(before: ChildFacts, evidence: Evidence) -> str:
    """Say what a person must look at when this evidence cannot be true with what was known."""
    after = take(before, evidence)
    if before.state is ChildState.REJECTED and after.done > before.done:
        return "was rejected, and now the broker shows it filled"
    if isinstance(evidence, Told):
        is_older = evidence.state is ChildState.REJECTED and after.done > evidence.filled
        if is_older and after.state is not ChildState.FILLED:
            return f"was rejected after {evidence.filled} shares, but {after.done} were filled"
    if after.done > before.quantity:
        return f"for {before.quantity} shares was filled with {after.done}"
    return ""
