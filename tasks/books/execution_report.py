"""What a session's orders did and cost: benchmarks noted while working, and the report after."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.orders import ParentState, Side
from models.execution.tca import Shortfall, average_price, shortfall

if TYPE_CHECKING:
    from datetime import date, datetime

    from models.domain.orders import ParentOrder
    from tasks.session.orders import OrderDesk
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.parents import ParentRecord
    from warehouse.ledger.worked_parents import Moment
    from warehouse.market import MarketWarehouse


@dataclass(frozen=True, slots=True)
class ParentReport:
    """One parent's outcome: shares, prices in USD per share, commission in USD (None: unknown).

    `shortfall` is None until an arrival mid was noted, that is before the first slice.
    """

    order: ParentOrder
    state: ParentState
    reason: str
    filled: int
    average_price: Decimal | None
    arrival_price: Decimal | None
    commission: Decimal | None
    shortfall: Shortfall | None


@dataclass(frozen=True, slots=True)
class DayReport:
    """A session's parents, and the account's worth in USD before and after (None: unknown)."""

    session: date
    parents: tuple[ParentReport, ...]
    equity_before: Decimal | None
    equity_after: Decimal | None

    @property
    def worked(self) -> tuple[ParentReport, ...]:
        """The parents that passed the pre-trade checks."""
        return tuple(row for row in self.parents if row.state is not ParentState.REJECTED)

    @property
    def traded_notional(self) -> Decimal:
        """USD bought and sold."""
        return sum(
            (row.filled * row.average_price for row in self.worked if row.average_price), Decimal(0)
        )

    @property
    def commission(self) -> Decimal | None:
        """All commissions in USD; None while one is unknown."""
        known = [row.commission for row in self.worked]
        return None if None in known else sum((c for c in known if c is not None), Decimal(0))

    @property
    def shortfall_usd(self) -> Decimal | None:
        """The whole shortfall in USD, fees included; None while a part of it is unknown."""
        totals = [row.shortfall.total if row.shortfall else None for row in self.worked]
        return None if None in totals else sum((t for t in totals if t is not None), Decimal(0))

    @property
    def shortfall_bps(self) -> Decimal | None:
        """The whole shortfall in bps of the whole decision notional (never a mean of bps)."""
        notional = sum(
            (row.shortfall.decision_notional for row in self.worked if row.shortfall), Decimal(0)
        )
        total = self.shortfall_usd
        return None if total is None or not notional else total / notional * 10_000


def note_mids(ledger: OrderLedger, desk: OrderDesk, moment: Moment, now: datetime) -> None:
    """Keep the mid of each started parent's symbol, once per moment: its benchmark price."""
    for parent_id, execution in desk.executions.items():
        quote = desk.quote(execution.parent.symbol)
        if now < execution.curve.due_times()[0] or quote is None or not quote.is_sane:
            continue
        if ledger.worked.mid(parent_id, moment) is None:
            ledger.worked.note_mid(parent_id, moment, quote.mid, now)


def day_report(ledger: OrderLedger, account: str, session: date) -> DayReport:
    """Return the outcome of every parent of `session`, sells first, by symbol."""
    records = sorted(
        ledger.parents.of_session(session),
        key=lambda record: (record.order.side is Side.BUY, record.order.symbol),
    )
    return DayReport(
        session=session,
        parents=tuple(parent_report(ledger, record) for record in records),
        equity_before=_equity(ledger, account, f"{session} before"),
        equity_after=_equity(ledger, account, f"{session} after"),
    )


def parent_report(ledger: OrderLedger, record: ParentRecord) -> ParentReport:
    """Return the outcome and cost of one parent as far as they are known."""
    order = record.order
    fills = [fill for fill in ledger.executions.fills_of(order.parent_id) if fill.quantity]
    arrival = ledger.worked.mid(order.parent_id, "arrival")
    end = ledger.worked.mid(order.parent_id, "end") or arrival
    commissions = [fill.commission for fill in fills]
    known = None if None in commissions else sum((c for c in commissions if c), Decimal(0))
    cost = None
    if arrival is not None and end is not None and record.state is not ParentState.REJECTED:
        cost = shortfall(
            order.side,
            order.quantity,
            decision_price=order.decision_price,
            arrival_price=arrival,
            end_price=end,
            fills=fills,
        )
    return ParentReport(
        order=order,
        state=record.state,
        reason=record.reason,
        filled=sum(fill.quantity for fill in fills),
        average_price=average_price(fills),
        arrival_price=arrival,
        commission=known,
        shortfall=cost,
    )


def _equity(ledger: OrderLedger, account: str, label: str) -> Decimal | None:
    found = ledger.accounts.snapshots(account, label)
    return found[-1].net_liquidation if found else None


def record_costs(warehouse: MarketWarehouse, report: DayReport, at: datetime) -> None:
    """Keep the cost analysis of every worked parent in the warehouse; again replaces it."""
    from warehouse.market.tca import TcaRow

    rows = [
        TcaRow(
            session=report.session,
            parent_id=row.order.parent_id,
            symbol=row.order.symbol,
            side=row.order.side,
            target=row.order.quantity,
            filled=row.filled,
            avg_price=row.average_price,
            arrival_price=row.arrival_price,
            decision_price=row.order.decision_price,
            shortfall_bps=_optional_float(row.shortfall.total_bps if row.shortfall else None),
            shortfall_usd=row.shortfall.total if row.shortfall else None,
            commission_usd=row.commission,
            at=at,
        )
        for row in report.worked
    ]
    warehouse.tca.record(rows)


def _optional_float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
