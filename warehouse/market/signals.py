"""Signals: a model version's score of every symbol, for one session."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from warehouse.market.connection import MarketStore
from warehouse.market.staging import merge_statement, read_frame, stage

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("session", "model_version", "symbol")


class Signals:
    """The signals of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def record(
        self, session: date, model_version: str, scores: Mapping[str, float], at: datetime
    ) -> None:
        """Keep the scores (symbol to score) in the place of this version's for the session.

        Raises InvalidInput for a score that is not finite.
        """
        symbols = sorted(scores)
        values = [float(scores[symbol]) for symbol in symbols]
        for symbol, value in zip(symbols, values, strict=True):
            if value - value != 0:
                raise InvalidInput(f"the score of {symbol} is {value}; a signal must be finite")
        count = len(symbols)
        staged = stage(
            {
                "session": ("date", [session] * count),
                "symbol": ("text", symbols),
                "model_version": ("text", [model_version] * count),
                "score": ("float", values),
                "made_at": ("moment", [at] * count),
            }
        )
        with self._store.write() as connection:
            connection.register("staged", staged)
            connection.execute(
                "DELETE FROM signals WHERE session = ? AND model_version = ? "
                "AND symbol NOT IN (SELECT symbol FROM staged)",
                [session, model_version],
            )
            connection.execute(merge_statement("signals", staged, KEYS))

    def scores(self, session: date, model_version: str) -> dict[str, float]:
        """Return one version's score of every symbol at the closes of `session`."""
        query = (
            "SELECT symbol, score FROM signals WHERE session = ? AND model_version = ? "
            "ORDER BY symbol"
        )
        with self._store.read() as connection:
            rows = connection.execute(query, [session, model_version]).fetchall()
        return {str(symbol): float(score) for symbol, score in rows}

    def of_session(self, session: date) -> pd.DataFrame:
        """Return session, symbol, model_version, score and made_at (UTC), best score first."""
        query = "SELECT * FROM signals WHERE session = ? ORDER BY score DESC, symbol, model_version"
        return read_frame(self._store, query, [session])
