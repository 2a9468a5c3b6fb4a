"""The parameters of every flow: the forms of the Prefect UI, checked before a run starts."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.execution.differences import CashKind
from tasks.symbols import checked_symbols


class FlowParameters(BaseModel):
    """Refuse unknown names, so that a misspelt parameter fails the run before it does anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class IngestParameters(FlowParameters):
    """What to ingest."""

    symbols: list[str] | None = Field(
        default=None,
        title="Symbols",
        description="Symbols to ingest; empty for the whole universe (ROBO_UNIVERSE).",
    )

    @field_validator("symbols")
    @classmethod
    def _check_symbols(cls, value: list[str] | None) -> list[str] | None:
        return checked_symbols(value) if value else None


class SymbolsParameters(FlowParameters):
    """Which symbols a flow is about."""

    symbols: list[str] | None = Field(
        default=None,
        title="Symbols",
        description="Symbols to fetch; empty for the whole universe (ROBO_UNIVERSE).",
    )

    @field_validator("symbols")
    @classmethod
    def _check_symbols(cls, value: list[str] | None) -> list[str] | None:
        return checked_symbols(value) if value else None


class BackfillParameters(SymbolsParameters):
    """Which intraday history to fetch."""

    timeframe: Literal["1m", "5s"] = Field(
        default="1m", title="Timeframe", description="Size of the bars; larger ones are built."
    )
    sessions: int = Field(
        default=5,
        ge=1,
        le=5000,
        title="Sessions",
        description="Sessions back from the last one, where no first date is given.",
    )
    first: date | None = Field(
        default=None, title="First session", description="New York date to begin with."
    )
    last: date | None = Field(
        default=None,
        title="Last session",
        description="New York date to end with; empty for the last session that closed.",
    )
    refetch: bool = Field(
        default=False,
        title="Fetch again",
        description="Ask again for what is done already, so that corrections are seen.",
    )


class LiveBarsParameters(SymbolsParameters):
    """Which bars of the running session to keep up to date."""

    minutes: int | None = Field(
        default=None,
        ge=1,
        le=390,
        title="Minutes",
        description="Market minutes to run; empty for until the close.",
    )


class RecordParameters(FlowParameters):
    """What to record."""

    symbols: list[str] | None = Field(
        default=None,
        title="Symbols",
        description="Symbols to record; empty for the whole universe (ROBO_UNIVERSE).",
    )
    depth_rows: int = Field(
        default=0,
        ge=0,
        le=10,
        title="Depth",
        description="Rows a side of the order book to record; 0 records no book.",
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        le=24 * 60,
        title="Minutes",
        description="Minutes of market time to record; empty until the session has closed.",
    )

    @field_validator("symbols")
    @classmethod
    def _check_symbols(cls, value: list[str] | None) -> list[str] | None:
        return checked_symbols(value) if value else None


class RetrainParameters(FlowParameters):
    """How to train and judge a candidate model."""

    folds: int = Field(default=6, ge=2, le=20, title="Folds", description="Walk-forward folds.")
    horizon: int = Field(
        default=5,
        ge=1,
        le=63,
        title="Horizon",
        description="Label horizon in sessions (trading days).",
    )
    seed: int = Field(
        default=7, ge=0, le=2**31 - 1, title="Seed", description="Seed of the training."
    )


class RebalanceParameters(FlowParameters):
    """Which session to plan for."""

    session: date | None = Field(
        default=None,
        title="Session",
        description="New York date to plan for; empty for the present session, or after its "
        "close for the next one.",
    )


class ExecuteParameters(FlowParameters):
    """How to work today's parent orders."""

    session: date | None = Field(
        default=None, title="Session", description="New York date to execute; empty for today."
    )
    longest_wait_minutes: float = Field(
        default=90.0,
        ge=0,
        le=24 * 60,
        title="Longest wait",
        description="Real minutes to wait for the first slice; a session further away is skipped.",
    )


class ReconcileParameters(FlowParameters):
    """Which reconciliation this is."""

    moment: Literal["open", "close", "now"] = Field(
        default="now",
        title="Moment",
        description="'open' and 'close' are skipped on a day without a session; 'now' never is.",
    )
    accept: list[str] = Field(
        default=[],
        title="Accept",
        description="Differences (D1, D2 …) whose proposed corrections a person accepts.",
    )
    reason: str = Field(
        default="", title="Reason", description="Why they are accepted; kept in the ledger."
    )
    cash_kind: CashKind | None = Field(
        default=None,
        title="Cash is",
        description="What an accepted cash difference is, where the proposal guessed wrong.",
    )


class HaltParameters(FlowParameters):
    """What to stop, and whether to close positions as well."""

    reason: str = Field(
        min_length=3, title="Reason", description="Why; it is kept in the ledger and shown."
    )
    symbol: str = Field(
        default="", title="Symbol", description="One symbol; empty stops everything."
    )
    flatten: bool = Field(
        default=False,
        title="Flatten",
        description="Also close this system's positions, by reducing orders only.",
    )
    everything: bool = Field(
        default=False,
        title="Flatten what was traded by hand too",
        description="With Flatten: close every position of the account.",
    )
    confirm: str = Field(
        default="",
        title="Confirmation",
        description="To flatten, type FLATTEN here; positions are then sold or bought back.",
    )

    @model_validator(mode="after")
    def _check_confirmation(self) -> Self:
        if self.flatten and self.confirm != "FLATTEN":
            raise ValueError("to flatten, type FLATTEN as the confirmation; nothing was done")
        return self


class ResumeParameters(FlowParameters):
    """Why trading is safe again."""

    reason: str = Field(
        min_length=3, title="Reason", description="Why it is safe again; kept in the ledger."
    )
    symbol: str = Field(
        default="",
        title="Symbol",
        description="Lift the halts of one symbol; empty lifts all but those of symbols.",
    )


class DayParameters(FlowParameters):
    """The whole simulated trading day of `robo demo`."""

    retrain: RetrainParameters = Field(default=RetrainParameters(), title="Retrain")
