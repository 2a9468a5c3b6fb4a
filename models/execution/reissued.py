"""One order id, two attempts: which of them an order that the broker shows stands for.

An attempt after a proven absence goes out under the id of the attempt before, so that a gateway
holds one order of the two at most. Should the first arrive after all, the gateway refuses the
second sending, or takes it for a change of the first. What it then tells under either name is of
that one order, and the last attempt stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.domain.orders import ChildOrder, ChildState


def bearer(children: Mapping[str, ChildOrder], order_ref: str, perm_id: int = 0) -> str:
    """Return the orderRef of the attempt that evidence under `order_ref` belongs to.

    Another than `order_ref` only for a child that was proven never sent, whose order id a later
    attempt at the same shares was given. `children` by orderRef, of one API client; `perm_id` is
    the evidence's (0: not told). A permanent id other than the later attempt's is of a second
    order: it keeps its own name, and contradicts.
    """
    early = children.get(order_ref)
    if early is None or early.state is not ChildState.NEVER_SENT:
        return order_ref
    heir = heir_of(children, early)
    if heir is None:
        return order_ref
    is_same = heir.perm_id is None or perm_id in (0, heir.perm_id)
    return heir.order_ref if is_same and _content(heir) == _content(early) else order_ref


def heir_of(children: Mapping[str, ChildOrder], early: ChildOrder) -> ChildOrder | None:
    """Return the last attempt that was given the order id of an earlier one, if any was."""
    heirs = [
        child
        for child in children.values()
        if child.attempt > early.attempt
        and child.order_id is not None
        and (child.slice_no, child.order_id) == (early.slice_no, early.order_id)
    ]
    return max(heirs, key=lambda child: child.attempt, default=None)


def _content(child: ChildOrder) -> tuple[object, ...]:
    return child.parent_id, child.symbol, child.side, child.quantity, child.kind, child.oca_group
