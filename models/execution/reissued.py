"""One order id, two attempts: which of them an order that the broker shows stands for.

An attempt after a proven absence goes out under the id of the attempt before, so that a gateway
holds one order of the two at most. Should the first arrive after all, the gateway refuses the
second sending, or takes it for a change of the first. What it then tells under either name is of
that one order, and the last attempt stands for it, unless that one is over without ever having
been shown: the first is then what works, under its own name.
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
    """Return the last attempt that was given the order id of an earlier one and may stand for it.

    One that was refused, or ended without a permanent id, stands for nothing: what works is not it.
    """
    heirs = [
        child
        for child in children.values()
        if child.attempt > early.attempt
        and child.order_id is not None
        and (child.slice_no, child.order_id) == (early.slice_no, early.order_id)
    ]
    heir = max(heirs, key=lambda child: child.attempt, default=None)
    return None if heir is None or _is_void(heir) else heir


def _is_void(heir: ChildOrder) -> bool:
    if heir.state is ChildState.REJECTED:
        return True
    return heir.state is ChildState.CANCELLED and heir.perm_id is None


def _content(child: ChildOrder) -> tuple[object, ...]:
    return child.parent_id, child.symbol, child.side, child.quantity, child.kind, child.oca_group
