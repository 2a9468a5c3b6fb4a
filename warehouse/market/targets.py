"""Targets: what a strategy wants to hold after a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from warehouse.market.connection import MarketStore
from warehouse.market.staging import merge_statement, stage

KEYS = ("session", "strategy", "symbol")


@dataclass(frozen=True, slots=True)
class Target:
    """One symbol's target for a session: fraction of equity, signed shares, USD price; UTC."""

    session: date
    strategy: str
    symbol: str
    weight: float
    shares: int
    price: Decimal
    at: datetime


class Targets:
    """The targets of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def record(self, session: date, strategy: str, targets: Sequence[Target]) -> None:
        """Keep the targets in the place of the strategy's earlier ones for the session.

        Prices are kept to 1e-8 USD.
        """
        staged = stage(
            {
                "session": ("date", [session for _ in targets]),
                "strategy": ("text", [strategy for _ in targets]),
                "symbol": ("text", [target.symbol for target in targets]),
                "weight": ("float", [target.weight for target in targets]),
                "shares": ("shares", [target.shares for target in targets]),
                "price": ("money", [target.price for target in targets]),
                "made_at": ("moment", [target.at for target in targets]),
            }
        )
        with self._store.write() as connection:
            connection.register("staged", staged)
            connection.execute(
                "DELETE FROM targets WHERE session = ? AND strategy = ? "
                "AND symbol NOT IN (SELECT symbol FROM staged)",
                [session, strategy],
            )
            connection.execute(merge_statement("targets", staged, KEYS))

    def of_session(self, session: date, strategy: str) -> tuple[Target, ...]:
        """Return the targets of a strategy for a session, by symbol."""
        query = (
            "SELECT symbol, weight, shares, price, made_at FROM targets "
            "WHERE session = ? AND strategy = ? ORDER BY symbol"
        )
        with self._store.read() as connection:
            rows = connection.execute(query, [session, strategy]).fetchall()
        return tuple(
            Target(session, strategy, symbol, weight, shares, price, at.replace(tzinfo=UTC))
            for symbol, weight, shares, price, at in rows
        )
