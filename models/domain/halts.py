"""Why trading was halted: the codes under which a halt is kept."""

from __future__ import annotations

from enum import StrEnum


class HaltCode(StrEnum):
    """The cause of a halt; every one of them stays in force until a person resumes."""

    OPERATOR = "OPERATOR"  # robo halt, or the button in the Prefect UI
    SIGNAL = "SIGNAL"  # SIGUSR1 to the session's process
    HEARTBEAT = "HEARTBEAT"  # the gateway did not answer for longer than the limit
    RECONCILIATION = "RECONCILIATION"  # an order under our name that we did not commit
    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN = "DRAWDOWN"
    QUOTE_AGE = "QUOTE_AGE"  # no quote of any symbol for longer than the limit
    ORDER_RATE = "ORDER_RATE"  # a loop that wants to send far more than it may
    REJECTS = "REJECTS"  # the broker refuses one order after the other
