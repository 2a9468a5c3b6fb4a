"""Instruments, their tick rules and the tickers that they had, as known at any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.instruments import Instrument, SymbolSpan, TickStep, require_spans
from warehouse.market.as_of import MergeResult, VersionedTable
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.selection import known_then
from warehouse.market.staging import arrow, stage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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
        newer knowledge is stored already, or that ticker is another instrument's.
        """
        arrow()
        with self._store.write() as connection:  # what is stored is read in the same transaction
            return _merge(connection, instruments, source, utc_naive(known_at))

    def all(self, as_of: datetime | None = None) -> tuple[Instrument, ...]:
        """Return every instrument known at `as_of` (UTC; None: now), by id."""
        with self._store.read() as connection:
            return _read_instruments(connection, as_of)

    def set_spans(self, spans: Sequence[SymbolSpan], source: str, known_at: datetime) -> int:
        """Keep the tickers of the instruments named, in the place of all theirs; return changes.

        Raises InvalidInput when an interval is empty, or one ticker has two owners on a day.
        """
        named = sorted({span.instrument for span in spans})
        staged, moment = _staged_spans(spans), utc_naive(known_at)
        with self._store.write() as connection:
            others = [span for span in _read_spans(connection) if span.instrument not in named]
            require_spans([*spans, *others])
            gone = SYMBOLS.withdraw_others(connection, staged, ("instrument", named), moment)
            merged = SYMBOLS.merge(connection, staged, source, moment)
        return gone + merged.added + merged.changed

    def spans(self, as_of: datetime | None = None) -> tuple[SymbolSpan, ...]:
        """Return every ticker's interval known at `as_of` (UTC; None: now)."""
        with self._store.read() as connection:
            return _read_spans(connection, as_of)

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
        wanted = {"symbol": symbol} | known_then(as_of)
        with self._store.read() as connection:
            rows = connection.execute(query, wanted).fetchall()
        return tuple(TickStep(Decimal(low), Decimal(step)) for low, step in rows)


def _read_instruments(
    connection: DuckDBPyConnection, as_of: datetime | None = None
) -> tuple[Instrument, ...]:
    names = ", ".join(field.name for field in fields(Instrument))
    query = f"SELECT {names} FROM ({INSTRUMENTS.known(as_of)}) ORDER BY symbol"  # noqa: S608
    return tuple(
        Instrument(*row) for row in connection.execute(query, known_then(as_of) or None).fetchall()
    )


def _read_spans(
    connection: DuckDBPyConnection, as_of: datetime | None = None
) -> tuple[SymbolSpan, ...]:
    query = (
        f"SELECT instrument, symbol, valid_from, valid_to FROM ({SYMBOLS.known(as_of)}) "  # noqa: S608
        "ORDER BY symbol, valid_from"
    )
    return tuple(
        SymbolSpan(*row) for row in connection.execute(query, known_then(as_of) or None).fetchall()
    )


def _merge(
    connection: DuckDBPyConnection,
    instruments: Sequence[Instrument],
    source: str,
    moment: datetime,
) -> MergeResult:
    stored = {kept.symbol: kept for kept in _read_instruments(connection)}
    merged = [_filled(new, stored.get(new.symbol)) for new in instruments]
    spans = _read_spans(connection)
    known = stored.keys() | {span.instrument for span in spans}
    fresh = [SymbolSpan(new.symbol, new.symbol) for new in merged if new.symbol not in known]
    require_spans([*spans, *fresh])
    result = INSTRUMENTS.merge(connection, _staged_instruments(merged), source, moment)
    SYMBOLS.merge(connection, _staged_spans(fresh), source, moment)
    return result


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


def _staged_instruments(instruments: Sequence[Instrument]) -> object:
    return stage(
        {
            "symbol": ("text", [item.symbol for item in instruments]),
            "con_id": ("shares", [item.con_id for item in instruments]),
            "name": ("text", [item.name for item in instruments]),
            "primary_exchange": ("text", [item.primary_exchange for item in instruments]),
            "currency": ("text", [item.currency for item in instruments]),
            "listed": ("date", [item.listed for item in instruments]),
            "delisted": ("date", [item.delisted for item in instruments]),
        }
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
