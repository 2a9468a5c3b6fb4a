"""Instruments, their tick rules and the tickers that they had, as known at any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal

from models.domain.instruments import Instrument, SymbolSpan, TickStep, require_spans
from warehouse.market.as_of import MergeResult, VersionedTable
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.staging import stage

_VALUES = ("con_id", "name", "primary_exchange", "currency", "listed", "delisted")
INSTRUMENTS = VersionedTable("instruments", ("symbol",), _VALUES)
TICK_RULES = VersionedTable("tick_rules", ("symbol", "from_price"), ("increment",))
SYMBOLS = VersionedTable(
    "instrument_symbols", ("instrument", "symbol", "valid_from"), ("valid_to",)
)


class Instruments:
    """The instruments of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def merge(
        self, instruments: Sequence[Instrument], source: str, known_at: datetime
    ) -> MergeResult:
        """Keep what is known of instruments; what is None or "" leaves the stored value as it is.

        A new instrument gets its own id as its ticker. `known_at` is UTC. Raises InvalidInput when
        newer knowledge is stored already.
        """
        stored = {kept.symbol: kept for kept in self.all()}
        merged = [_filled(new, stored.get(new.symbol)) for new in instruments]
        spans = [SymbolSpan(new.symbol, new.symbol) for new in merged if new.symbol not in stored]
        staged = stage(
            {
                "symbol": ("text", [item.symbol for item in merged]),
                "con_id": ("shares", [item.con_id for item in merged]),
                "name": ("text", [item.name for item in merged]),
                "primary_exchange": ("text", [item.primary_exchange for item in merged]),
                "currency": ("text", [item.currency for item in merged]),
                "listed": ("date", [item.listed for item in merged]),
                "delisted": ("date", [item.delisted for item in merged]),
            }
        )
        known = {span.instrument for span in self.spans()}
        fresh = _staged_spans([span for span in spans if span.instrument not in known])
        with self._store.write() as connection:
            result = INSTRUMENTS.merge(connection, staged, source, utc_naive(known_at))
            SYMBOLS.merge(connection, fresh, source, utc_naive(known_at))
        return result

    def all(self, as_of: datetime | None = None) -> tuple[Instrument, ...]:
        """Return every instrument known at `as_of` (UTC; None: now), by id."""
        names = ", ".join(field.name for field in fields(Instrument))
        query = f"SELECT {names} FROM ({INSTRUMENTS.known(as_of)}) ORDER BY symbol"  # noqa: S608
        with self._store.read() as connection:
            rows = connection.execute(query, _moment(as_of)).fetchall()
        return tuple(Instrument(*row) for row in rows)

    def set_spans(self, spans: Sequence[SymbolSpan], source: str, known_at: datetime) -> int:
        """Keep the tickers of the instruments named, in the place of all theirs; return changes.

        Raises InvalidInput when an interval is empty, or one ticker has two owners on a day.
        """
        named = sorted({span.instrument for span in spans})
        others = [span for span in self.spans() if span.instrument not in named]
        require_spans([*spans, *others])
        staged, moment = _staged_spans(spans), utc_naive(known_at)
        with self._store.write() as connection:
            gone = SYMBOLS.withdraw_others(connection, staged, ("instrument", named), moment)
            merged = SYMBOLS.merge(connection, staged, source, moment)
        return gone + merged.added + merged.changed

    def spans(self, as_of: datetime | None = None) -> tuple[SymbolSpan, ...]:
        """Return every ticker's interval known at `as_of` (UTC; None: now)."""
        query = (
            f"SELECT instrument, symbol, valid_from, valid_to FROM ({SYMBOLS.known(as_of)}) "  # noqa: S608
            "ORDER BY symbol, valid_from"
        )
        with self._store.read() as connection:
            rows = connection.execute(query, _moment(as_of)).fetchall()
        return tuple(SymbolSpan(*row) for row in rows)

    def owner(self, symbol: str, day: date, as_of: datetime | None = None) -> str | None:
        """Return the instrument that had the ticker on `day`, or None."""
        for span in self.spans(as_of):
            if span.symbol == symbol and span.contains(day):
                return span.instrument
        return None

    def set_tick_rules(
        self, rules: Mapping[str, Sequence[TickStep]], source: str, known_at: datetime
    ) -> MergeResult:
        """Keep price steps (USD) by instrument, in the place of those instruments' earlier ones."""
        rows = [(symbol, step) for symbol, steps in rules.items() for step in steps]
        staged = stage(
            {
                "symbol": ("text", [symbol for symbol, _ in rows]),
                "from_price": ("money", [step.from_price for _, step in rows]),
                "increment": ("money", [step.increment for _, step in rows]),
            }
        )
        moment = utc_naive(known_at)
        with self._store.write() as connection:
            TICK_RULES.withdraw_others(connection, staged, ("symbol", sorted(rules)), moment)
            return TICK_RULES.merge(connection, staged, source, moment)

    def tick_steps(self, symbol: str, as_of: datetime | None = None) -> tuple[TickStep, ...]:
        """Return an instrument's price steps (USD), lowest price first."""
        query = (
            f"SELECT from_price, increment FROM ({TICK_RULES.known(as_of)}) "  # noqa: S608
            "WHERE symbol = $symbol ORDER BY from_price"
        )
        wanted = {"symbol": symbol} | (_moment(as_of) or {})
        with self._store.read() as connection:
            rows = connection.execute(query, wanted).fetchall()
        return tuple(TickStep(Decimal(low), Decimal(step)) for low, step in rows)


def _filled(new: Instrument, kept: Instrument | None) -> Instrument:
    if kept is None:
        return new
    return Instrument(
        new.symbol,
        new.con_id if new.con_id is not None else kept.con_id,
        new.name or kept.name,
        new.primary_exchange or kept.primary_exchange,
        new.currency or kept.currency,
        new.listed or kept.listed,
        new.delisted or kept.delisted,
    )


def _staged_spans(spans: Sequence[SymbolSpan]) -> object:
    return stage(
        {
            "instrument": ("text", [span.instrument for span in spans]),
            "symbol": ("text", [span.symbol for span in spans]),
            "valid_from": ("date", [span.valid_from for span in spans]),
            "valid_to": ("date", [span.valid_to for span in spans]),
        }
    )


def _moment(as_of: datetime | None) -> dict[str, object] | None:
    return None if as_of is None else {"as_of": utc_naive(as_of)}
