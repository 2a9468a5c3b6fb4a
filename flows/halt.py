"""Halt and resume as deployments: a button with a form in the Prefect UI.

The same acts as `robo halt` and `robo resume`, which need no Prefect and are faster.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.cli_halt import flattened_text, halted_text
from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.parameters import HaltParameters, ResumeParameters
from flows.run_end import Outcome
from models.domain.errors import RetryLater

BY = "the Prefect UI"


@flow(
    name="halt",
    flow_run_name=run_name,
    retries=0,
    persist_result=False,
    on_failure=[alert],
    on_crashed=[alert],
)
def halt(parameters: HaltParameters) -> State[Any]:
    """Block every new order, cancel every working one; close positions too if that was asked."""
    return finish(lambda: _halt(parameters))


@flow(name="resume", flow_run_name=run_name, retries=0, persist_result=False)
def resume(parameters: ResumeParameters) -> State[Any]:
    """Reconcile now, and lift the halt only when broker and ledger agree."""
    return finish(lambda: _resume(parameters))


def _halt(parameters: HaltParameters) -> Outcome:
    from tasks.halts.flattening import FlattenOrder, flatten_now, require_flat
    from tasks.halts.halting import HaltOrder, halt_trading
    from tasks.settings import load_settings
    from tasks.symbols import require_known_symbol

    settings = load_settings()
    symbol = parameters.symbol
    if symbol:
        symbol = require_known_symbol(settings, symbol, "Symbol")
    done = halt_trading(settings, HaltOrder(parameters.reason, BY, symbol=symbol))
    text = halted_text(done)
    if parameters.flatten:
        say(text)
        order = FlattenOrder(BY, parameters.reason, symbol, parameters.everything)
        closed = flatten_now(settings, order, say)
        require_flat(closed)
        text = f"{text}\n{flattened_text(closed)}"
    if done.trouble or done.still_working:
        raise RetryLater(f"{text}; run `robo halt` at a terminal, or cancel in TWS")
    return Outcome(text, done)


def _resume(parameters: ResumeParameters) -> Outcome:
    from tasks.halts.resuming import resume_trading
    from tasks.settings import load_settings
    from tasks.stores import open_ledger

    settings = load_settings()
    with open_ledger(settings) as ledger:
        done = resume_trading(settings, ledger, parameters.reason, BY, parameters.symbol.upper())
    return Outcome(done.text, done)
