"""`robo ledger`: look after the order ledger; nothing here trades."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from flows.cli_exit import FAILED, answer, exits
from flows.cli_flows import AsJson
from models.domain.errors import InvalidInput


def register(root: typer.Typer) -> None:
    """Add `robo ledger` and `robo explain` to the command line."""
    root.add_typer(app, name="ledger", help="Look after the order ledger.")
    root.command()(explain)


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
        from tasks.books.ledger_check import check_ledger, prices_of
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        marks, costs = prices_of(mark or (), "--mark"), prices_of(cost or (), "--cost")
        settings = load_settings()
        with open_ledger(settings) as ledger:
            found = check_ledger(settings, ledger, marks, costs)
        answer(found, as_json, "\n".join(check_lines(found)))
        if not found.audit.is_whole:
            raise typer.Exit(FAILED)


@app.command()
def backup(
    path: Annotated[
        Path | None,
        typer.Argument(help="File or folder; default: var/<mode>/backups/ with the moment's name."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a verified copy of the ledger while it is in use; of PostgreSQL a portable one."""
    with exits(as_json):
        from tasks.books.ledger_files import backup_ledger
        from tasks.settings import load_settings

        done = backup_ledger(load_settings(), path, progress_line(as_json))
        rows = sum(done.rows.values())
        answer(
            done,
            as_json,
            f"{done.path}: {done.size / 1e6:,.2f} MB, {rows:,} rows, schema {done.schema}, "
            f"{done.links:,} links\nby {done.method}; verified\nSHA-256 {done.sha256}\n"
            f"head    {done.head}",
        )


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(help="A file written by robo ledger backup.")],
    force: Annotated[
        bool, typer.Option("--force", help="Put a present ledger aside; it is kept.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the ledger's place, halted; refused while a session's lease is alive."""
    with exits(as_json):
        from tasks.books.ledger_files import restore_ledger
        from tasks.settings import load_settings

        done = restore_ledger(
            load_settings(), path, getpass.getuser(), force, progress_line(as_json)
        )
        aside = f"the former ledger is kept as {done.aside}\n" if done.aside else ""
        rows = sum(done.rows.values())
        answer(
            done,
            as_json,
            f"{done.place}: {rows:,} rows from {done.source}\n{aside}"
            f"trading is halted: {done.halt}",
        )


@app.command()
def export(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A new or empty folder; default: one in var/<mode>/exports/."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The same, as an option.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write every table as Parquet with its SHA-256, and DuckDB views that read it."""
    with exits(as_json):
        from tasks.books.ledger_files import export_ledger
        from tasks.settings import load_settings

        if folder and to:
            raise InvalidInput(f"two folders were given, {folder} and --to {to}: give one")
        to = folder or to
        done = export_ledger(load_settings(), to, progress_line(as_json))
        size = sum(table.size for table in done.tables.values())
        rows = sum(table.rows for table in done.tables.values())
        answer(
            done,
            as_json,
            f"{done.folder}: {len(done.tables)} tables, {rows:,} rows, {size / 1e3:,.1f} kB; "
            f"schema {done.schema}, head {done.head}",
        )


def progress_line(as_json: bool) -> Callable[[str], None]:
    """Return what shows a line of progress on the terminal; nothing with --json."""
    return (lambda _: None) if as_json else (lambda text: typer.echo(f"    {text}", err=True))


def explain(
    name: Annotated[
        str,
        typer.Argument(
            help="An execution id, an order reference parent.slice.attempt, a parent id, or the "
            "broker's order id or permId."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Print the chain behind a fill or an order: model, signal, checks, messages, cost."""
    with exits(as_json):
        from flows.explain_text import explanation_lines
        from tasks.books.explain import explain as chain
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        settings = load_settings()
        with open_ledger(settings) as ledger:
            found = chain(settings, ledger, name)
        answer(found, as_json, "\n".join(explanation_lines(found)))
