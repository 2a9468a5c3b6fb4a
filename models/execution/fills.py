"""Executions with their corrections: which revision counts, and how many shares that makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from models.domain.orders import Fill

# Begins the execution id of shares that a person stated; the broker's own word replaces them.
SETTLED = "settled-"


def current_fills(fills: Iterable[Fill]) -> tuple[Fill, ...]:
    """Return the latest revision of each execution, busts (0 shares) left out, by exec id.

    Duplicates and superseded revisions change nothing, in whatever order they come.
    """
    latest: dict[str, Fill] = {}
    for fill in fills:
        known = latest.get(fill.exec_base)
        if known is None or fill.revision > known.revision:
            latest[fill.exec_base] = fill
    return tuple(sorted((f for f in latest.values() if f.quantity), key=lambda f: f.exec_id))


def without_statement(fills: Iterable[Fill]) -> tuple[Fill, ...]:
    """Return one order's executions, with what a person stated busted once the broker shows any."""
    known = {fill.exec_id: fill for fill in fills}
    stated = [fill for fill in known.values() if fill.exec_id.startswith(SETTLED)]
    if len(stated) == 1 and len(known) > 1:
        bust = replace(stated[0], exec_id=f"{stated[0].exec_base}.02", quantity=0)
        known[bust.exec_id] = bust
    return tuple(known[exec_id] for exec_id in sorted(known))


def net_quantity(fills: Iterable[Fill]) -> int:
    """Return the shares that count now: corrections applied, busts removed."""
    return sum(fill.quantity for fill in current_fills(fills))


def gross_quantity(fills: Iterable[Fill]) -> int:
    """Return the shares ever executed: the largest revision of each execution, busts included.

    What a person stated and the broker has replaced since was never executed.
    """
    largest: dict[str, int] = {}
    stated: list[Fill] = []
    for fill in fills:
        if fill.exec_id.startswith(SETTLED):
            stated.append(fill)
        else:
            largest[fill.exec_base] = max(largest.get(fill.exec_base, 0), fill.quantity)
    return sum(largest.values()) + net_quantity(stated)


def explained_by_read(reported: int, fills: Iterable[Fill]) -> int:
    """Return the shares ever executed, as a complete read of one order proves them.

    A broker shows only the latest revision of an execution. When its statuses reported more shares
    than the executions ever had, the rest was in revisions that corrections have replaced since,
    if there are any. `reported` is the order's cumulative count, `fills` all that is known of it.
    """
    first: dict[str, int] = {}
    known = tuple(fills)
    for fill in known:
        first[fill.exec_base] = min(first.get(fill.exec_base, fill.revision), fill.revision)
    gross = gross_quantity(known)
    return max(gross, reported) if any(revision > 1 for revision in first.values()) else gross
