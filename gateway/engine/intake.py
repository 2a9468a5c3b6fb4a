"""How a placeOrder or cancelOrder message becomes an order, a change of one, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.engine import algos
from gateway.engine.auctions import CLOSE_CUTOFF
from gateway.engine.checks import PEGS, Terms, terms_of
from gateway.engine.conditions import check_conditions
from gateway.engine.margin import margin_needed
from gateway.engine.orders import CANCELLED, FILLED, INACTIVE, PARENT, TRIGGER, Order, OrderChanged
from gateway.engine.refusal import Refused
from gateway.engine.sizing import resized, sized
from gateway.session.moments import parse_moment
from gateway.timeline import SECOND

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange
    from gateway.engine.matching import Matching

COPIED = (
    *("limit", "aux", "percent", "offset", "display", "hidden", "all_or_none"),
    *("min_quantity", "outside", "auction", "oca_type", "algo"),
)
RETYPED = frozenset({"MKT", "LMT"})  # the types that an order may change between
DAY = 86_400 * SECOND


def new_order(
    exchange: Exchange,
    matching: Matching,
    names: tuple[int, int, int, int],
    request: dict[str, Any],
) -> Order:
    """Return the order that a request stands for; raise Refused with the TWS code.

    `names` are its client, order id, permanent id and instrument column.
    """
    client_id, order_id, perm_id, column = names
    request = sized(exchange, column, request)
    terms = terms_of(request)
    check_cutoff(exchange, terms)
    parent = _parent(exchange, client_id, request.get("parentId") or 0)
    if terms.oca and terms.oca in matching.groups.full:
        raise Refused(201, "Order rejected - reason:The OCA group has already been filled")
    order = Order(
        client_id=client_id,
        order_id=order_id,
        perm_id=perm_id,
        column=column,
        buy=terms.buy,
        quantity=terms.quantity,
        kind=terms.kind,
        limit=None,
        tif=terms.tif,
        request=request,
        placed_at=exchange.now,
        idle=terms.idle,
    )
    apply_terms(exchange, order, terms)
    order.oca = terms.oca
    if parent is not None:
        order.parent = parent.perm_id
        order.oca = terms.oca or str(parent.perm_id)
        order.waits = "" if parent.status == FILLED else PARENT
    order.conditional = check_conditions(request)
    if not order.idle:
        check_active(exchange, order, parent)
    return order


def check_active(exchange: Exchange, order: Order, parent: Order | None) -> None:
    """Refuse to transmit an order when too many are active on one side of one contract.

    Orders that are not transmitted, and children whose parent has not filled, are not active; the
    last child of a bracket makes its parent so.
    """
    if not exchange.most_active:
        return  # counting all that works for each new order made ten thousand of them slow
    if order.waits == PARENT:
        if parent is None or not parent.idle:
            return
        order = parent
    active = sum(
        (other.column, other.buy) == (order.column, order.buy)
        for other in exchange.open_orders()
        if other is not order and not other.idle and other.waits != PARENT
    )
    if active >= exchange.most_active:
        raise Refused(
            201,
            f"Order rejected - reason:Maximum of {exchange.most_active} working orders on one side "
            "of one contract has been reached",
        )


def check_cutoff(exchange: Exchange, terms: Terms) -> None:
    """Refuse on-close orders that come too late."""
    late = exchange.in_session and exchange.span.close - exchange.now < CLOSE_CUTOFF
    if terms.auction == "close" and late:
        raise Refused(
            201, f"Order rejected - reason:{terms.kind} orders are not accepted after the cutoff"
        )


def _parent(exchange: Exchange, client_id: int, parent_id: int) -> Order | None:
    if not parent_id:
        return None
    parent = exchange.order_of(client_id, parent_id)
    if parent is None:
        raise Refused(10006, "Missing parent order.")
    if not parent.is_working and parent.status != FILLED:
        raise Refused(201, "Order rejected - reason:Parent order is being cancelled.")
    return parent


def apply_terms(exchange: Exchange, order: Order, terms: Terms) -> None:
    """Set what a client may choose and change of an order."""
    starts = parse_moment(terms.good_after) if terms.good_after else 0
    ends = _good_till(terms.good_till) if terms.good_till else 0
    if ends and ends <= exchange.now:
        raise Refused(201, "Order rejected - reason:The good-till date is in the past")
    for name in COPIED:
        setattr(order, name, getattr(terms, name))
    if order.stop is None or order.waits != TRIGGER or terms.stop is not None:
        order.stop = terms.stop
    order.starts, order.ends, order.tif = starts, ends, terms.tif
    order.cap = terms.limit if terms.kind in PEGS or terms.algo else None
    if terms.algo:
        if terms.limit is not None:
            order.kind = "LMT"
        _set_window(exchange, order)
    order.expires = None
    if terms.tif not in {"GTC", "GTD"} and terms.auction != "open":
        hours = exchange.hours
        after_market = hours.live is not None and not hours.regular and terms.outside
        order.expires = hours.live.date if after_market and hours.live else exchange.span.date


def _good_till(text: str) -> int:
    moment = parse_moment(text)
    return moment + DAY - SECOND if len(text.split()) == 1 and "-" not in text else moment


def _set_window(exchange: Exchange, order: Order) -> None:
    told = algos.parameters(order.request)
    span = exchange.span
    first = max(exchange.now, span.open, order.starts)
    if told.get("startTime"):
        first = max(first, _moment_today(exchange, told["startTime"]))
    last = span.close
    if told.get("endTime"):
        last = min(last, _moment_today(exchange, told["endTime"]))
    order.starts = -(-first // SECOND) * SECOND
    order.algo_end = max(last // SECOND * SECOND, order.starts + algos.EVERY)
    order.algo_rate = algos.volume_share(order.request)


def _moment_today(exchange: Exchange, text: str) -> int:
    """Read an algorithm's time, which may come without its day: `hh:mm:ss zone`."""
    if ":" in text.split(maxsplit=1)[0] and "-" not in text.split(maxsplit=1)[0]:
        text = f"{exchange.span.date:%Y%m%d} {text}"
    return parse_moment(text)


def modify(exchange: Exchange, matching: Matching, order: Order, request: dict[str, Any]) -> None:
    """Change a working order; less quantity alone keeps its place in the queue."""
    request = resized(exchange, order.column, request, order.request)
    terms = terms_of(request)
    if order.status == FILLED:
        raise Refused(104, "Cannot modify a filled order.")
    if not order.is_working:
        raise Refused(103, "Duplicate order id")
    before = terms_of(order.request | {"totalQuantity": request["totalQuantity"]})
    if terms.buy != order.buy:
        raise Refused(105, "Order being modified does not match original order")
    retyped = _is_retyped(terms, before)
    if terms.quantity <= order.filled:
        raise Refused(201, "Order rejected - reason: the new quantity is not above what has filled")
    change, keeps = terms.quantity - order.quantity, not retyped and _same_place(terms, before)
    was_idle = order.idle
    if was_idle and not terms.idle:
        check_active(exchange, order, matching.order(order.parent))
    if keeps and change <= 0 and was_idle == (terms.idle and was_idle):
        order.request, order.request_text = request, ""
        matching.cut(order, -change)
        return
    kind, limit = order.kind, order.limit
    conditional = check_conditions(request)
    apply_terms(exchange, order, terms)
    order.conditional = conditional
    order.request, order.request_text = request, ""
    exchange.expose(order.column, change if order.buy else -change)
    order.quantity, order.idle = terms.quantity, terms.idle and was_idle
    if retyped:
        order.kind = terms.kind
    elif not order.waits and not order.held and not was_idle and kind != terms.kind:
        order.kind = kind  # a stop that has been triggered stays so
        order.limit = terms.limit if kind == "LMT" and terms.limit is not None else limit
    _place_again(exchange, matching, order, was_idle)
    exchange.touch(order)
    exchange.schedule(order)


def _is_retyped(terms: Terms, before: Terms) -> bool:
    """Say whether a change makes a market order of a limit order or the reverse; refuse others."""
    if (terms.kind, terms.auction) == (before.kind, before.auction):
        return False
    plain = not (terms.auction or before.auction or terms.algo or before.algo)
    if not plain or not {terms.kind, before.kind} <= RETYPED:
        raise Refused(329, f"Order modify failed. Cannot change to the new order type:{terms.kind}")
    return True


def _place_again(exchange: Exchange, matching: Matching, order: Order, was_idle: bool) -> None:
    matching.places.leave(order)
    if order.idle or order.held or order.waits == PARENT:
        exchange.changes.events.append(OrderChanged.of(order))
        if was_idle and not order.idle:
            transmit(matching, order)
        return
    order.queue, order.waits = [], ""
    if was_idle:
        transmit(matching, order)
    matching.start(order)


def _same_place(terms: Terms, before: Terms) -> bool:
    """Say whether nothing but the quantity differs."""
    return all(
        getattr(terms, name) == getattr(before, name)
        for name in (*COPIED, "stop", "tif", "good_after", "good_till")
    )


def transmit(matching: Matching, order: Order) -> None:
    """Transmit the rest of a bracket with the last of its orders."""
    if order.parent:
        matching.groups.transmit(order)


def accept(exchange: Exchange, matching: Matching, order: Order) -> None:
    """Check a new order's margin and begin to work it."""
    if (shortfall := _shortfall(exchange, order)) is not None:
        matching.end(order, INACTIVE, 201, shortfall)
        return
    exchange.schedule(order)
    if order.idle:
        return
    waited = order.waits
    transmit(matching, order)
    if order.is_working and order.waits == waited:  # not woken by its parent's fill meanwhile
        matching.start(order)


def _shortfall(exchange: Exchange, order: Order) -> str | None:
    if (veto := exchange.edge.veto(order)) is not None:
        return veto
    available, needed = margin_needed(exchange, order)
    if needed <= available:
        return None
    return (
        "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED "
        f"POSITION YOUR EQUITY WITH LOAN VALUE [{available / 100:.2f} USD] MUST EXCEED THE "
        f"INITIAL MARGIN [{needed / 100:.2f} USD]"
    )


def cancel(matching: Matching, order: Order | None, order_id: int) -> None:
    """Cancel an order of the asking client; raise Refused with the TWS code."""
    if order is None:
        raise Refused(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
    if not order.is_working:
        raise Refused(
            10148,
            f"OrderId {order_id} that needs to be cancelled cannot be cancelled, "
            f"state: {order.status}.",
        )
    matching.end(order, CANCELLED, 202, "Order Canceled - reason:")
