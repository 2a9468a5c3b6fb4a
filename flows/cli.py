"""The `robo` command: every verb of the system, for people and for scripts.

Exit codes: 0 done (or rightly nothing to do), 1 failed, 2 wrong usage or input, 3 halted by risk.
"""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.exceptions import TyperException

from flows import (
    cli_control,
    cli_data,
    cli_flows,
    cli_halt,
    cli_ingest,
    cli_ledger,
    cli_limits,
    cli_orders,
    cli_reconcile,
    cli_warehouse,
)
from flows.cli_exit import DONE, answer, exits
from gateway.cli import app as gateway_app

app = typer.Typer(
    name="robo",
    help="Systematic trading for an Interactive Brokers account, run as Prefect workflows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's markdown costs a third of the start
)
CONTROL_VERBS = (
    *("status", "advance", "stop", "order", "cancel", "halt", "resume", "fault", "faults"),
)
OTHER_MODE = (
    "note: the mode is {}, so this gateway takes nothing from the settings: it has its own account "
    "SIM0000001 and state (var/gateway unless --state-dir names another), and neither touches nor "
    "stands in for the broker at port {}. Set ROBO_MODE=simulated to trade against it."
)
app.add_typer(gateway_app, name="gateway", short_help="The simulated IB Gateway.")
cli_flows.register(app)
cli_ingest.register(app)
cli_reconcile.register(app)
cli_control.register(app)
cli_halt.register(app)
cli_limits.register(app)
cli_orders.register(app)
cli_ledger.register(app)
cli_data.register(app)

cli_warehouse.register(app)


def main() -> None:
    """Run the command line and end the process with the promised exit code."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run one command and return its exit code; with --json, wrong usage is told as JSON too.

    `robo gateway` takes its defaults from the settings; help needs none.
    """
    as_json = "--json" in words
    try:
        defaults: dict[str, Any] = {}
        if words[:1] == ["gateway"] and words[1:] and "--help" not in words:
            with exits(as_json):
                defaults = {"gateway": gateway_defaults()}
        code = app(words, prog_name="robo", standalone_mode=not as_json, default_map=defaults)
        return code if isinstance(code, int) else DONE
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort:
        error = TyperException("aborted at the question")
    except TyperException as wrong_usage:
        error = wrong_usage
    facts = {"error": error.format_message(), "kind": "InvalidInput", "exit_code": error.exit_code}
    answer(facts, True)
    return error.exit_code


def gateway_defaults() -> dict[str, dict[str, Any]]:
    """Return the options of each gateway verb as the settings have them (in mode simulated)."""
    from tasks.settings import load_settings

    settings = load_settings()
    if settings.mode != "simulated":
        if sys.argv[2:3] == ["run"] and "--help" not in sys.argv:
            typer.echo(OTHER_MODE.format(settings.mode, settings.port), err=True)
        return {}
    control = {"host": settings.host, "control_port": settings.control_port}
    run = control | {
        "port": settings.port,
        "seed": settings.gateway_seed,
        "speed": settings.gateway_speed,
        "cash": settings.gateway_cash,
        "state_dir": settings.gateway_dir,
    }
    return {"run": run} | dict.fromkeys(CONTROL_VERBS, control)


if __name__ == "__main__":
    main()
