"""The verb that lists orders, the rejected ones with every check that denied them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from flows.cli_exit import answer, exits
from flows.cli_flows import AsJson, Day

if TYPE_CHECKING:
    from tasks.books.order_list import OrderLine


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(orders)


def orders(session: Day = None, as_json: AsJson = False) -> None:
    """List a session's orders (default: the last one) with every check that denied one."""
    with exits(as_json):
        from tasks.books.order_list import list_orders
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        with open_ledger(load_settings()) as ledger:
            lines = list_orders(ledger, session.date() if session else None)
        facts = {"orders": [asdict(line) for line in lines]}
        answer(facts, as_json, "\n".join(row for line in lines for row in _rows(line)))


def _rows(line: OrderLine) -> list[str]:
    version = "" if line.limits_version is None else f"; limits version {line.limits_version}"
    head = (
        f"{line.session} {line.parent_id}: {line.side} {line.quantity:,} {line.symbol}, "
        f"{line.filled:,} shares filled, {line.state}{version}"
    )
    rows = [head] if not line.reason or line.denials else [head, f"    {line.reason}"]
    for one in line.denials:
        what = f"{one.order_ref} not sent" if one.order_ref else "rejected"
        rows.append(f"    {one.at:%Y-%m-%d %H:%M:%S} UTC {what}: {one.check}: {one.reason}")
    return rows
