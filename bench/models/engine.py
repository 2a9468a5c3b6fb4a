"""How many events a second the execution engine works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bench.figures import Figure, at_least
from bench.parents import one_parent
from bench.timing import in_turns
from models.domain.orders import Fill, ParentState, Quote, Side
from models.execution.commands import Command, PlaceChild
from models.execution.engine import restore, step
from models.execution.events import (
    ChildAcked,
    ChildCancelled,
    ChildFilled,
    ChildSent,
    Event,
    Reconciled,
    SliceDue,
)
from models.execution.state import ParentExecution, SlicingPolicy

Step = Callable[[ParentExecution, Event], tuple[ParentExecution, tuple[Command, ...]]]

PARENTS = 40
SLICES = 13
REPETITIONS = 7
START = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
QUOTE = Quote("KO", Decimal("59.99"), Decimal("60.01"), 100, 100, START)
PARENT = one_parent(
    "20230103-bench-KO", "KO", 1300, START, timedelta(minutes=390), price=Decimal(60)
)


def measure() -> Iterator[Figure]:
    """Feed the whole lives of 40 parents, 13 slices each filled in two executions, to `step`.

    The rival is the limit of plain Python: as many calls of a function that keeps the state and
    returns no command.
    """
    script = _life()
    pair = in_turns(
        lambda: [_run(script, step) for _ in range(PARENTS)],
        lambda: [_run(script, _do_nothing) for _ in range(PARENTS)],
        REPETITIONS,
    )
    stepped, called = pair.medians
    events = len(script) * PARENTS
    rival = "a Python function call with the same arguments"
    yield Figure(
        "models.engine_step", events / stepped, "events/s", rival, events / called, at_least(0.005)
    )


def _fresh() -> ParentExecution:
    return restore(PARENT, SlicingPolicy(SLICES))


def _life() -> list[Event]:
    """Return every event of one parent that fills as planned, checked by living it once."""
    execution = _fresh()
    script: list[Event] = [Reconciled(START)]
    for number, due in enumerate(execution.curve.due_times(), 1):
        ref, first, second = f"{PARENT.parent_id}.{number}.1", f"e.{number}.01", f"f.{number}.01"
        script += [
            SliceDue(due, QUOTE),
            ChildSent(ref, number),
            ChildAcked(ref, 1000 + number),
            ChildFilled(_fill(first, ref, 60, number)),
            ChildAcked(ref, 1000 + number, 60),
            ChildFilled(_fill(second, ref, 40, number)),
            ChildCancelled(ref, 100, 1000 + number),
        ]
    placed = 0
    for event in script:
        execution, commands = step(execution, event)
        placed += sum(isinstance(command, PlaceChild) for command in commands)
    if placed != SLICES or execution.state is not ParentState.FILLED:
        raise RuntimeError(
            f"the parent ended {execution.state} after {placed} children, not FILLED"
        )
    return script


def _fill(exec_id: str, ref: str, shares: int, number: int) -> Fill:
    price = Decimal("60.01")
    return Fill(exec_id, ref, PARENT.symbol, Side.BUY, shares, price, START, 1000 + number)


def _run(script: list[Event], function: Step) -> None:
    execution = _fresh()
    for event in script:
        execution, _ = function(execution, event)


def _do_nothing(execution: ParentExecution, _event: Event) -> tuple[ParentExecution, tuple[()]]:
    return execution, ()
