"""Splits and dividends, and up to when a source's prices already hold the splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from models.domain.corporate_actions import ActionKind, CorporateAction, PriceBasis
from warehouse.market.as_of import MergeResult, VersionedTable
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.selection import OF_SYMBOLS, known_then
from warehouse.market.staging import stage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ACTIONS = VersionedTable("corporate_actions", ("symbol", "ex_date", "kind"), ("value",))
BASES = VersionedTable(
    "price_bases", ("symbol", "bar_source"), ("splits_through", "dividends_through")
)


class CorporateActions:
    """The corporate actions of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def merge(
        self, actions: Sequence[CorporateAction], source: str, known_at: datetime
    ) -> MergeResult:
        """Keep actions, learnt at `known_at` (UTC); another value replaces, and is remembered."""
        staged = _staged(actions)
        with self._store.write() as connection:
            return ACTIONS.merge(connection, staged, source, utc_naive(known_at))

    def replace(
        self,
        symbols: Sequence[str],
        actions: Sequence[CorporateAction],
        source: str,
        known_at: datetime,
    ) -> int:
        """Keep `actions` as all that there are of `symbols`; return how many rows changed."""
        staged, moment = _staged(actions), utc_naive(known_at)
        with self._store.write() as connection:
            gone = ACTIONS.withdraw_others(connection, staged, ("symbol", symbols), moment)
            merged = ACTIONS.merge(connection, staged, source, moment)
        return gone + merged.added + merged.changed

    def of(
        self, symbols: Sequence[str] | None = None, as_of: datetime | None = None
    ) -> tuple[CorporateAction, ...]:
        """Return the actions of `symbols` (None: all) known at `as_of`, by ex-date."""
        with self._store.read() as connection:
            return read_actions(connection, symbols, as_of)

    def splits_between(
        self, symbols: Sequence[str], after: date, until: date
    ) -> tuple[CorporateAction, ...]:
        """Return the splits with `after` < ex-date <= `until`, oldest first."""
        return tuple(
            action
            for action in self.of(symbols)
            if action.kind is ActionKind.SPLIT and after < action.ex_date <= until
        )

    def set_basis(
        self, splits_through: Mapping[str, date], bar_source: str, known_at: datetime
    ) -> MergeResult:
        """Note, by symbol, that prices of `bar_source` hold the splits up to a date."""
        bases = {symbol: PriceBasis(day) for symbol, day in splits_through.items()}
        return self.set_bases(bases, bar_source, known_at)

    def set_bases(
        self, bases: Mapping[str, PriceBasis], bar_source: str, known_at: datetime
    ) -> MergeResult:
        """Note, by symbol, what prices of `bar_source` hold already."""
        symbols = sorted(bases)
        paid = [bases[symbol].dividends_through for symbol in symbols]
        staged = stage(
            {
                "symbol": ("text", symbols),
                "bar_source": ("text", [bar_source] * len(symbols)),
                "splits_through": ("date", [bases[symbol].splits_through for symbol in symbols]),
                "dividends_through": ("date", paid),
            }
        )
        with self._store.write() as connection:
            return BASES.merge(connection, staged, bar_source, utc_naive(known_at))

    def known_bases(self, as_of: datetime | None = None) -> dict[tuple[str, str], PriceBasis]:
        """Return by (symbol, source of bars) what is in the prices already."""
        with self._store.read() as connection:
            return read_bases(connection, as_of)

    def bases(self, as_of: datetime | None = None) -> dict[tuple[str, str], date]:
        """Return by (symbol, source of bars) the date up to which splits are in the prices."""
        found = self.known_bases(as_of)
        return {key: basis.splits_through for key, basis in found.items()}


def read_actions(
    connection: DuckDBPyConnection, symbols: Sequence[str] | None, as_of: datetime | None
) -> tuple[CorporateAction, ...]:
    """Return the actions of `symbols` (None: all) known at `as_of`, by ex-date."""
    query = (
        "SELECT symbol, ex_date, kind, value "  # noqa: S608 - names are ours
        f"FROM ({ACTIONS.known(as_of)}) "
        f"WHERE {OF_SYMBOLS} "
        "ORDER BY ex_date, symbol, kind"
    )
    wanted = {"symbols": None if symbols is None else list(symbols)} | known_then(as_of)
    rows = connection.execute(query, wanted).fetchall()
    return tuple(
        CorporateAction(symbol, ex_date, ActionKind(kind), float(value))
        for symbol, ex_date, kind, value in rows
    )


def read_bases(
    connection: DuckDBPyConnection, as_of: datetime | None
) -> dict[tuple[str, str], PriceBasis]:
    """Return by (symbol, source of bars) what is in the prices already."""
    query = (
        "SELECT symbol, bar_source, splits_through, dividends_through "  # noqa: S608
        f"FROM ({BASES.known(as_of)})"
    )
    rows = connection.execute(query, known_then(as_of) or None).fetchall()
    return {(str(symbol), str(source)): PriceBasis(*basis) for symbol, source, *basis in rows}


def _staged(actions: Sequence[CorporateAction]) -> object:
    return stage(
        {
            "symbol": ("text", [action.symbol for action in actions]),
            "ex_date": ("date", [action.ex_date for action in actions]),
            "kind": ("text", [action.kind.value for action in actions]),
            "value": ("float", [action.value for action in actions]),
        }
    )
