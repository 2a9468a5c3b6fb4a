"""Transaction cost analysis, one row a parent order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from models.domain.orders import Side
from warehouse.market.connection import MarketStore
from warehouse.market.staging import replace_rows, stage


@dataclass(frozen=True, slots=True)
class TcaRow:
    """What a parent order cost; prices and amounts in USD, shortfall also in bps, `at` in UTC.

    None is not known (no fill, no quote, a commission that was not reported), never zero.
    """

    session: date
    parent_id: str
    symbol: str
    side: Side
    target: int
    filled: int
    avg_price: Decimal | None
    arrival_price: Decimal | None
    decision_price: Decimal
    shortfall_bps: float | None
    shortfall_usd: Decimal | None
    commission_usd: Decimal | None
    at: datetime


class TcaRows:
    """The cost analyses of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def record(self, rows: Sequence[TcaRow]) -> None:
        """Keep rows, each in the place of the parent's earlier one; money is kept to 1e-8 USD."""
        if not rows:
            return
        staged = stage(
            {
                "session": ("date", [row.session for row in rows]),
                "parent_id": ("text", [row.parent_id for row in rows]),
                "symbol": ("text", [row.symbol for row in rows]),
                "side": ("text", [row.side.value for row in rows]),
                "target": ("shares", [row.target for row in rows]),
                "filled": ("shares", [row.filled for row in rows]),
                "avg_price": ("money", [row.avg_price for row in rows]),
                "arrival_price": ("money", [row.arrival_price for row in rows]),
                "decision_price": ("money", [row.decision_price for row in rows]),
                "shortfall_bps": ("float", [row.shortfall_bps for row in rows]),
                "shortfall_usd": ("money", [row.shortfall_usd for row in rows]),
                "commission_usd": ("money", [row.commission_usd for row in rows]),
                "measured_at": ("moment", [row.at for row in rows]),
            }
        )
        replace_rows(self._store, "tca", staged, ("parent_id",))

    def of_session(self, session: date) -> tuple[TcaRow, ...]:
        """Return the rows of a session by symbol and parent."""
        query = (
            "SELECT session, parent_id, symbol, side, target, filled, avg_price, arrival_price, "
            "decision_price, shortfall_bps, shortfall_usd, commission_usd, measured_at FROM tca "
            "WHERE session = ? ORDER BY symbol, parent_id"
        )
        with self._store.read() as connection:
            rows = connection.execute(query, [session]).fetchall()
        return tuple(_row(row) for row in rows)


def _row(row: tuple[Any, ...]) -> TcaRow:
    return TcaRow(
        session=row[0],
        parent_id=row[1],
        symbol=row[2],
        side=Side(row[3]),
        target=row[4],
        filled=row[5],
        avg_price=row[6],
        arrival_price=row[7],
        decision_price=row[8],
        shortfall_bps=row[9],
        shortfall_usd=row[10],
        commission_usd=row[11],
        at=row[12].replace(tzinfo=UTC),
    )
