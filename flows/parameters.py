"""The parameters of every flow: the forms of the Prefect UI, checked before a run starts."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from models.execution.differences import CashKind


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


class DayParameters(FlowParameters):
    """The whole simulated trading day of `robo demo`."""

    retrain: RetrainParameters = Field(default=RetrainParameters(), title="Retrain")
