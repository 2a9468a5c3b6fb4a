"""What broker and ledger tell differently: found, classified, and what would mend each.

Pure: two views go in, differences come out. Applying every proposed correction to the ledger's view
leaves no difference in positions and cash.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from models.domain.orders import ChildOrder, Fill
from models.execution.split_positions import split_ratio

CENT = Decimal("0.01")
HUNDRED = Decimal(100)


class DifferenceKind(StrEnum):
    """The class of a difference, which says what it asks for."""

    MISSING_FILL = "missing fill"  # an execution of one of our orders, recorded when found
    EXTERNAL_FILL = "external fill"  # one of somebody else's order, recorded when found
    EXTERNAL_ORDER = "external order"  # placed outside; recorded when found, never touched
    UNKNOWN_ORDER = "unknown order"  # carries a name of ours that the ledger does not stand behind
    UNSETTLED_ORDER = "unsettled order"  # ours, without an end in the ledger or at the broker
    POSITION = "position mismatch"
    SPLIT = "split"  # shares by a usual ratio while no money moved
    CASH = "cash difference"
    LEDGER = "ledger contradiction"

    @property
    def is_recorded(self) -> bool:
        """Say whether taking note of it is all that it needs: it is told once."""
        return self in _RECORDED

    @property
    def blocks(self) -> bool:
        """Say whether new orders in its symbol must wait until it is settled."""
        return self in _BLOCKING


_RECORDED = frozenset(
    {DifferenceKind.MISSING_FILL, DifferenceKind.EXTERNAL_FILL, DifferenceKind.EXTERNAL_ORDER}
)
_BLOCKING = frozenset(
    {
        DifferenceKind.UNKNOWN_ORDER,
        DifferenceKind.UNSETTLED_ORDER,
        DifferenceKind.POSITION,
        DifferenceKind.SPLIT,
    }
)


class CashKind(StrEnum):
    """Why cash moved without a trade of the ledger."""

    DIVIDEND = "dividend"
    INTEREST = "interest"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    FEE = "fee"
    TRADE = "trade"  # the money side of shares that the ledger takes over as a position
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PositionCorrection:
    """Shares (signed) to add to the ledger's position in a symbol."""

    symbol: str
    shares: int


@dataclass(frozen=True, slots=True)
class CashCorrection:
    """USD (signed) to add to the ledger's cash, and what it most likely is."""

    amount: Decimal
    kind: CashKind


@dataclass(frozen=True, slots=True)
class OrderAttribution:
    """Take a working order of the broker for somebody else's: it is then watched, not blocked."""

    perm_id: int


Correction = PositionCorrection | CashCorrection | OrderAttribution


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that broker and ledger tell differently; `unit` is that of both values.

    `subject` names it within its kind, `symbol` is empty where there is none. `proposal` says what
    to do; `correction` is what accepting it does, None when nothing can be accepted.
    """

    kind: DifferenceKind
    subject: str
    symbol: str
    ledger: str
    broker: str
    unit: str
    proposal: str
    correction: Correction | None = None

    @property
    def text(self) -> str:
        """One line for people."""
        ledger, broker = (_figure(value, self.unit) for value in (self.ledger, self.broker))
        return f"{self.kind} {self.subject}: ledger {ledger}, broker {broker}"


def _figure(value: str, unit: str) -> str:
    """Return a number with its unit, USD to the cent; words speak for themselves."""
    if not value.lstrip("+-").replace(".", "", 1).isdigit():
        return value
    return f"{Decimal(value):,.2f} USD" if unit == "USD" else f"{value} {unit}"


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order that can still fill at the broker; `order_ref` is empty when it carries no name."""

    order_ref: str
    perm_id: int
    client_id: int
    order_id: int
    symbol: str
    remaining: int

    @property
    def name(self) -> str:
        """What identifies it for a person: the account-wide id, else the client's own."""
        if self.perm_id:
            return f"permId {self.perm_id}"
        return f"client {self.client_id} order {self.order_id}"

    @property
    def origin(self) -> str:
        """Who placed it: client 0 is TWS itself."""
        return "by hand in TWS" if self.client_id == 0 else f"by API client {self.client_id}"


def position_differences(
    ours: Mapping[str, int], theirs: Mapping[str, int], cash_moved: Decimal | None = None
) -> tuple[Difference, ...]:
    """Compare signed shares by symbol; both leave out zeros or not, as they like.

    `cash_moved` (broker less ledger, USD; None: unknown) tells a split from a trade.
    """
    found: list[Difference] = []
    for symbol in sorted(ours.keys() | theirs.keys()):
        ledger, broker = ours.get(symbol, 0), theirs.get(symbol, 0)
        if ledger == broker:
            continue
        shares, ratio = broker - ledger, split_ratio(ledger, broker, cash_moved)
        found.append(
            Difference(
                DifferenceKind.POSITION if ratio is None else DifferenceKind.SPLIT,
                symbol,
                symbol,
                f"{ledger}",
                f"{broker}",
                "shares",
                _about_shares(shares, ratio),
                PositionCorrection(symbol, shares),
            )
        )
    return tuple(found)


def _about_shares(shares: int, ratio: tuple[int, int] | None) -> str:
    if ratio is not None:
        return (
            f"looks like a split of {ratio[0]} for {ratio[1]}, since no money moved: compare the "
            f"statement; accept books {shares:+d} shares at the cost of those held"
        )
    return (
        f"find the trade, split or transfer of {shares:+d} shares in the statement; "
        "a child that was filled: robo settle; else accept to take them over"
    )


def cash_differences(
    ours: Decimal,
    theirs: Decimal,
    *,
    unknown_commissions: int = 0,
    positions: Mapping[str, int] | None = None,
    mismatched: bool = False,
) -> tuple[Difference, ...]:
    """Compare cash in USD to the cent. `mismatched` says that positions differ as well."""
    amount = theirs - ours
    if abs(amount) < CENT:
        return ()
    kind = _likely_kind(amount, unknown_commissions, positions or {}, mismatched)
    subject = f"({unknown_commissions} commissions unknown)" if unknown_commissions else "balance"
    return (
        Difference(
            DifferenceKind.CASH,
            subject,
            "",
            f"{ours:.4f}",
            f"{theirs:.4f}",
            "USD",
            f"{_why(kind, unknown_commissions)}; accept books {amount:+.4f} USD as {kind}",
            CashCorrection(amount, kind),
        ),
    )


def _likely_kind(
    amount: Decimal, unknown: int, positions: Mapping[str, int], mismatched: bool
) -> CashKind:
    if mismatched:
        return CashKind.TRADE
    if amount % HUNDRED == 0:
        return CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
    if amount < 0:
        shorts = any(shares < 0 for shares in positions.values())
        return CashKind.DIVIDEND if shorts and not unknown else CashKind.FEE
    longs = any(shares > 0 for shares in positions.values())
    return CashKind.DIVIDEND if longs else CashKind.INTEREST


def _why(kind: CashKind, unknown: int) -> str:
    if unknown:
        return f"{unknown} commissions are not reported yet: wait for them first"
    reasons = {
        CashKind.TRADE: "it may be the money of the position mismatch: settle that first",
        CashKind.DEPOSIT: "whole hundreds look like a deposit",
        CashKind.WITHDRAWAL: "whole hundreds look like a withdrawal",
        CashKind.FEE: "a loss without a trade looks like a fee",
        CashKind.INTEREST: "a gain without positions looks like interest",
        CashKind.DIVIDEND: "cash beside positions looks like a dividend",
    }
    return f"{reasons[kind]}; compare the statement"


def working_order_differences(
    orders: Iterable[WorkingOrder],
    ours: Mapping[str, ChildOrder],
    own_refs: Collection[str],
    external: Collection[int],
) -> tuple[Difference, ...]:
    """Compare the orders at work at the broker with the ledger's open children.

    `ours` are those by orderRef; `own_refs` the names among the orders that belong to a parent of
    the ledger; `external` the permIds that are known as somebody else's.
    """
    found: list[Difference] = []
    seen: dict[str, int] = {}
    for order in sorted(orders, key=lambda order: (order.perm_id, order.client_id, order.order_id)):
        if order.perm_id in external:
            continue
        is_first = seen.setdefault(order.order_ref, order.perm_id) == order.perm_id
        child = ours.get(order.order_ref)
        if child is not None and child.perm_id:
            is_first = child.perm_id == order.perm_id
        if child is not None and is_first:
            continue
        if order.order_ref in own_refs or child is not None:
            found.append(_unknown(order))
        else:
            found.append(_external(order))
    return tuple(found)


def _external(order: WorkingOrder) -> Difference:
    working = f"{order.remaining} {order.symbol} working"
    text = f"placed {order.origin}; noted as EXTERNAL: it is never cancelled, its fills are booked"
    kind, symbol = DifferenceKind.EXTERNAL_ORDER, order.symbol
    return Difference(kind, order.name, symbol, "none", working, "shares", text)


def _unknown(order: WorkingOrder) -> Difference:
    return Difference(
        DifferenceKind.UNKNOWN_ORDER,
        f"{order.name} ({order.order_ref})",
        order.symbol,
        "none at work",
        f"{order.remaining} {order.symbol} working",
        "shares",
        f"it carries a name of this system, placed {order.origin}: cancel it in TWS and find out "
        "who sent it; accept only to leave it working as EXTERNAL",
        OrderAttribution(order.perm_id) if order.perm_id else None,
    )


def unsettled_differences(
    children: Iterable[ChildOrder], working_refs: Collection[str]
) -> tuple[Difference, ...]:
    """Return the ledger's open children that the broker does not work."""
    return tuple(
        Difference(
            DifferenceKind.UNSETTLED_ORDER,
            child.order_ref,
            child.symbol,
            f"{child.state}, {child.leaves} {child.symbol} may fill",
            "none",
            "shares",
            "of today: robo execute looks twice and settles it; of an earlier day: "
            f"robo settle {child.order_ref}",
        )
        for child in sorted(children, key=lambda child: child.order_ref)
        if child.order_ref not in working_refs
    )


def missing_fills(fills: Iterable[Fill], own_refs: Collection[str]) -> tuple[Difference, ...]:
    """Return a difference for each execution that the ledger had not seen."""
    return tuple(
        Difference(
            DifferenceKind.MISSING_FILL
            if fill.order_ref in own_refs
            else DifferenceKind.EXTERNAL_FILL,
            f"{fill.exec_id} ({fill.order_ref or 'no order of this system'})",
            fill.symbol,
            "none",
            f"{fill.side} {fill.quantity} {fill.symbol} at {fill.price} USD",
            "shares",
            "recorded from the broker's own execution; nothing to accept",
        )
        for fill in fills
    )


def ledger_contradictions(texts: Iterable[str]) -> tuple[Difference, ...]:
    """Return a difference for each thing in which the ledger contradicts itself."""
    advice = "a child that ended short of its executions: robo settle; else robo ledger check"
    return tuple(
        Difference(DifferenceKind.LEDGER, text, "", "inconsistent", "-", "", advice)
        for text in texts
    )
