"""The verbs that run a flow here and now, recorded in Prefect like a scheduled run."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from flows.cli_exit import answer, exits
from flows.console import headline, show_progress_on, terminal

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Day = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="New York date of the session.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (demo, retrain, rebalance, execute):
        app.command()(verb)


def demo(as_json: AsJson = False) -> None:
    """Run a whole simulated trading day and print what happened."""
    with exits(as_json):
        outcome = _run(_demo, as_json)
        report = outcome.facts
        if as_json:
            from flows.tables import day_rows

            facts = {"session": report.session, "orders": day_rows(report)}
            answer(
                facts
                | {"equity_before": report.equity_before, "equity_after": report.equity_after},
                True,
            )
        else:
            _print_day(report)


def retrain(
    folds: Annotated[int, typer.Option(min=2, max=20, help="Walk-forward folds.")] = 6,
    horizon: Annotated[int, typer.Option(min=1, max=63, help="Label horizon, sessions.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Train a candidate model; it becomes champion only when it beats the gate."""

    def work() -> Any:
        from flows.parameters import RetrainParameters
        from flows.retrain import retrain as run

        return run(RetrainParameters(folds=folds, horizon=horizon, seed=seed), return_state=True)

    run_verb(work, as_json)


def rebalance(session: Day = None, as_json: AsJson = False) -> None:
    """Plan a session: target weights to checked parent orders. Sends nothing."""

    def work() -> Any:
        from flows.parameters import RebalanceParameters
        from flows.rebalance import rebalance as run

        day = session.date() if session else None
        return run(RebalanceParameters(session=day), return_state=True)

    run_verb(work, as_json)


def execute(
    session: Day = None,
    longest_wait: Annotated[
        float, typer.Option(min=0, max=1440, help="Real minutes to wait for the open.")
    ] = 90.0,
    as_json: AsJson = False,
) -> None:
    """Work today's parent orders through the broker; goes on where it stopped."""

    def work() -> Any:
        from flows.execute import execute as run
        from flows.parameters import ExecuteParameters

        day = session.date() if session else None
        parameters = ExecuteParameters(session=day, longest_wait_minutes=longest_wait)
        return run(parameters, return_state=True)

    run_verb(work, as_json)


def run_verb(work: Callable[[], Any], as_json: bool) -> None:
    """Run a flow and answer with its message."""
    with exits(as_json):
        outcome = _run(work, as_json)
        facts = {"message": outcome.message, "skipped": outcome.skipped}
        answer(facts, as_json, outcome.message)


def _run(work: Callable[[], Any], as_json: bool) -> Any:
    """Run a flow, shown on the terminal, and return its outcome, or raise what it raised."""
    from flows.recorded_run import recorded_run
    from tasks.settings import load_settings, quiet_dependencies

    settings = load_settings()
    quiet_dependencies(settings)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")  # say() shows it
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "3")  # 14 s a call; the 5 of Prefect: 62 s
    if not as_json:
        show_progress_on(terminal())
    headline("starting (Prefect records every run; this takes some seconds)")
    return recorded_run(work, settings)


def _demo() -> Any:
    from flows.trading_day import trading_day

    return trading_day(return_state=True)


def _print_day(report: Any) -> None:
    from rich.console import Console

    from flows.tables import day_summary, day_table, equity_lines
    from tasks.settings import load_settings

    settings = load_settings()
    console = Console(width=max(120, Console().width))
    console.print()
    console.print(day_table(report))
    console.print(day_summary(report))
    for line in equity_lines(report):
        console.print(line)
    console.print()
    console.print("Where to look next:")
    console.print("  make serve      then the runs, tables and schedules in the Prefect UI at")
    console.print(f"                  http://127.0.0.1:{settings.prefect_port}")
    console.print("                  and the model and its walk-forward in the MLflow UI at")
    console.print(f"                  http://127.0.0.1:{settings.mlflow_port}")
    console.print("  robo status     the account, the ledger and the last alerts")
    console.print("  make demo       again: the next trading day of the same account")
