"""`robo warehouse`: look after the market data; nothing here trades."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli_exit import FAILED, answer, exits
from flows.cli_flows import AsJson
from flows.cli_ledger import progress_line


def register(root: typer.Typer) -> None:
    """Add `robo warehouse` to the command line."""
    root.add_typer(app, name="warehouse", help="Look after the market-data warehouse.")


app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    daily_bps: Annotated[
        float | None,
        typer.Option(
            min=0, help="Compare the broker's daily prices with the minutes', to this many bps."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every row: checksums, keys, prices, larger bars against the minutes; hash each table."""
    with exits(as_json):
        from tasks.market_data.warehouse_files import check_warehouse
        from tasks.settings import load_settings

        found = check_warehouse(load_settings(), progress_line(as_json), daily_bps)
        rows = sum(table.rows for table in found.tables.values())
        lines = [f"{found.place}: {len(found.tables)} tables, {rows:,} rows"]
        lines += [f"  {problem}" for problem in found.problems] or ["no problem was found"]
        lines.append(
            f"SHA-256 of the content {found.sha256}"
            if found.sha256
            else "no hash: the warehouse was written to while it was read, a part at a time"
        )
        answer(found, as_json, "\n".join(lines))
        if found.problems:
            raise typer.Exit(FAILED)


@app.command()
def backup(
    path: Annotated[
        Path | None,
        typer.Argument(help="File or folder; default: var/<mode>/backups/ with the moment's name."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a verified copy; writers wait while the file is copied, readers do not."""
    with exits(as_json):
        from tasks.market_data.warehouse_files import backup_warehouse
        from tasks.settings import load_settings

        done = backup_warehouse(load_settings(), path, progress_line(as_json))
        told = f"{done.path}: {done.size / 1e6:,.1f} MB, {sum(done.rows.values()):,} rows"
        answer(done, as_json, f"{told}, verified\nSHA-256 of the content {done.sha256}")


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(help="A file written by robo warehouse backup.")],
    force: Annotated[
        bool, typer.Option("--force", help="Put a present warehouse aside; it is kept.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the warehouse's place, after reading every row of it."""
    with exits(as_json):
        from tasks.market_data.warehouse_files import restore_warehouse
        from tasks.settings import load_settings

        done = restore_warehouse(load_settings(), path, force, progress_line(as_json))
        aside = f"\nthe former warehouse is kept as {done.aside}" if done.aside else ""
        rows = sum(done.rows.values())
        answer(done, as_json, f"{done.place}: {rows:,} rows from {done.source}{aside}")


@app.command()
def compact(as_json: AsJson = False) -> None:
    """Write the file anew, sorted and without dead space; refused if somebody wrote meanwhile."""
    with exits(as_json):
        from tasks.market_data.warehouse_files import compact_warehouse
        from tasks.settings import load_settings

        done = compact_warehouse(load_settings(), progress_line(as_json))
        sizes = f"{done.before / 1e6:,.1f} MB before, {done.after / 1e6:,.1f} MB now"
        answer(done, as_json, f"{done.place}: {sizes}; the content is the same")


@app.command()
def retain(
    days: Annotated[
        int,
        typer.Option(min=1, help="Keep intraday bars of this many calendar days (market time)."),
    ],
    to: Annotated[
        Path | None, typer.Option(help="A folder to write the rows to as Parquet before.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove them; without it they are only counted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Drop minutes and five-second bars that are older; larger and daily bars stay, as known."""
    with exits(as_json):
        from tasks.market_data.warehouse_files import retain_warehouse
        from tasks.settings import load_settings

        done = retain_warehouse(load_settings(), days, to, remove, progress_line(as_json))
        what = "removed" if done.removed else "would go; add --remove to drop them"
        lines = [f"{name}: {rows:,} rows" for name, rows in done.rows.items()]
        lines += [f"written to {file}" for file in done.written]
        if done.removed:
            lines.append("the file shrinks with robo warehouse compact")
        answer(done, as_json, f"before {done.before}, {what}:\n" + "\n".join(lines))


@app.command()
def export(
    to: Annotated[
        Path | None,
        typer.Option(help="A new or empty folder; default: one in var/<mode>/exports/."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write every table as Parquet, with a manifest that holds the hash of each one's content."""
    with exits(as_json):
        from tasks.market_data.warehouse_files import export_warehouse
        from tasks.settings import load_settings

        done = export_warehouse(load_settings(), to, progress_line(as_json))
        rows = sum(table.rows for table in done.tables.values())
        told = f"{done.folder}: {rows:,} rows, {done.size / 1e6:,.1f} MB, schema {done.schema}"
        answer(done, as_json, f"{told}\nSHA-256 of the content {done.sha256}")


@app.command(name="import")
def import_folder(
    folder: Annotated[Path, typer.Argument(help="A folder written by robo warehouse export.")],
    as_json: AsJson = False,
) -> None:
    """Fill an empty warehouse, file or lake, from an export; the content's hash must agree."""
    with exits(as_json):
        from tasks.market_data.warehouse_files import import_warehouse
        from tasks.settings import load_settings

        done = import_warehouse(load_settings(), folder, progress_line(as_json))
        rows = sum(done.rows.values())
        answer(done, as_json, f"{rows:,} rows\nSHA-256 of the content {done.sha256}")
