"""The `robo` command: every verb of the system, for people and for scripts.

Exit codes: 0 done (or rightly nothing to do), 1 failed, 2 wrong usage or input, 3 halted by risk.
"""

from __future__ import annotations

import typer

from flows import cli_control, cli_flows
from gateway.cli import app as gateway_app

app = typer.Typer(
    name="robo",
    help="Systematic trading for an Interactive Brokers account, run as Prefect workflows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(gateway_app, name="gateway", help="The simulated IB Gateway.")
cli_flows.register(app)
cli_control.register(app)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
