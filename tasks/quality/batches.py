"""Judge one batch of a table: derive what its rules look at, and run them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.sessions import TradingSession, sessions_between
from tasks.quality.bars import BarFacts, derive_bars
from tasks.quality.engine import judge
from tasks.quality.policy import suites
from tasks.quality.quotes import derive_quotes, derive_trades
from tasks.quality.reference import (
    DIVIDEND_COLUMNS,
    SPLIT_COLUMNS,
    derive_actions,
    derive_instruments,
)
from tasks.quality.report import QualityReport

if TYPE_CHECKING:
    import pandas as pd


def validate_bars(
    table: str,
    frame: pd.DataFrame,
    facts: BarFacts,
    *,
    policy: Path | None = None,
    docs: Path | None = None,
) -> QualityReport:
    """Judge bars of any number of symbols: bars_daily, bars_minute, bars_5m, bars_15m or bars_1h.

    Prices are USD, volumes shares. `policy` is the operator's quality.toml, `docs` the folder of
    the Data Docs. Never raises on bad data; raises InvalidInput for a wrong `policy`.
    """
    return judge(table, derive_bars(table, frame, facts), suites(policy)[table], docs)


def validate_daily_bars(frame: pd.DataFrame, sessions_expected: Sequence[date]) -> QualityReport:
    """Judge a Bars frame adjusted for splits, alone, against the session dates that it may hold."""
    sessions: Sequence[TradingSession] = ()
    if sessions_expected:
        wanted = set(sessions_expected)
        found = sessions_between(sessions_expected[0], sessions_expected[-1])
        sessions = tuple(session for session in found if session.date in wanted)
    return validate_bars("bars_daily", frame, BarFacts(sessions, adjusted=True))


def validate_instruments(frame: pd.DataFrame, policy: Path | None = None) -> QualityReport:
    """Judge rows of symbol, con_id, primary_exchange, currency, listed and delisted."""
    return judge("instruments", derive_instruments(frame), suites(policy)["instruments"])


def validate_actions(
    table: str, frame: pd.DataFrame, sessions: Sequence[date], policy: Path | None = None
) -> QualityReport:
    """Judge `splits` (symbol, session, ratio) or `dividends` (symbol, session, amount in USD)."""
    names = SPLIT_COLUMNS if table == "splits" else DIVIDEND_COLUMNS
    return judge(table, derive_actions(frame, sessions, names), suites(policy)[table])


def validate_ticks(
    table: str,
    frame: pd.DataFrame,
    sessions: Sequence[TradingSession],
    policy: Path | None = None,
    docs: Path | None = None,
) -> QualityReport:
    """Judge `trades` or `quotes` in the order in which they came."""
    derive = derive_trades if table == "trades" else derive_quotes
    return judge(table, derive(frame, sessions), suites(policy)[table], docs)
