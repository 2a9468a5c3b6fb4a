"""What a plan knew of each symbol, for the checks and exits of the session that works it.

The order loop never opens the warehouse; it reads these rows once, when it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text

from models.domain.regimes import Regime
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_text, money_text

_UPSERT = text(
    "INSERT INTO symbol_facts (session, symbol, close, adv, atr, regime, noted_at) "
    "VALUES (:session, :symbol, :close, :adv, :atr, :regime, :noted_at) "
    "ON CONFLICT (session, symbol) DO UPDATE SET close = excluded.close, adv = excluded.adv, "
    "atr = excluded.atr, regime = excluded.regime, noted_at = excluded.noted_at"
)
_LATEST = text(
    "SELECT * FROM symbol_facts WHERE session = "
    "(SELECT MAX(session) FROM symbol_facts WHERE session <= :session) ORDER BY symbol"
)


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """One symbol before a session.

    `close` and `atr` (average true range) USD, `adv` average daily shares; None is unknown.
    """

    symbol: str
    close: Decimal
    adv: float | None
    atr: float | None
    regime: Regime | None


class SymbolFactsTable:
    """The facts of every planned session."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def note(self, session: date, facts: Sequence[SymbolFacts], at: datetime) -> None:
        """Keep the facts of a session; again replaces them."""
        rows = [
            {
                "session": session.isoformat(),
                "symbol": one.symbol,
                "close": money_text(one.close),
                "adv": None if one.adv is None else repr(one.adv),
                "atr": None if one.atr is None else repr(one.atr),
                "regime": None if one.regime is None else one.regime.value,
                "noted_at": moment_text(at),
            }
            for one in facts
        ]
        if not rows:
            return
        with self._store.write() as connection:
            connection.execute(_UPSERT, rows)

    def before(self, session: date) -> dict[str, SymbolFacts]:
        """Return the facts by symbol of the last plan for this session or one before it."""
        with self._store.read() as connection:
            rows = connection.execute(_LATEST, {"session": session.isoformat()}).all()
        return {
            row.symbol: SymbolFacts(
                row.symbol,
                Decimal(row.close),
                None if row.adv is None else float(row.adv),
                None if row.atr is None else float(row.atr),
                None if row.regime is None else Regime(row.regime),
            )
            for row in rows
        }
