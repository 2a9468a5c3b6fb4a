"""`robo ledger`: look after the order ledger; nothing here trades."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_exit import FAILED, answer, exits
from flows.cli_flows import AsJson

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    mark: Annotated[
        list[str] | None,
        typer.Option(help="SYMBOL=PRICE in USD a share; default: the warehouse's last close."),
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(
            help="SYMBOL=PRICE that a position held at the opening cost, in USD a share; "
            "default: the close before the opening."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Audit the ledger: storage, hash chain, sums, lots; then profit and loss in USD."""
    with exits(as_json):
        from flows.ledger_text import check_lines
        from tasks.ledger_check import check_ledger, prices_of
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        marks, costs = prices_of(mark or (), "--mark"), prices_of(cost or (), "--cost")
        settings = load_settings()
        with open_ledger(settings) as ledger:
            found = check_ledger(settings, ledger, marks, costs)
        answer(found, as_json, "\n".join(check_lines(found)))
        if not found.audit.is_whole:
            raise typer.Exit(FAILED)
