"""`robo data`: look at market data, its quality and its quarantine; import and record ticks."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli_exit import answer, exits
from flows.cli_flows import AsJson, run_verb

Out = Annotated[Path | None, typer.Option(help="HTML file; default: one in var/<mode>/charts/.")]
Session = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]
MOST = 50


def register(root: typer.Typer) -> None:
    """Add `robo data` to the command line."""
    root.add_typer(app, name="data", help="Look at market data, its quality and its quarantine.")


app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
quarantine = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(quarantine, name="quarantine", help="Rows that were kept out of their tables.")


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """List what there is: bars and ticks by symbol, with quality scores."""
    with exits(as_json):
        from tasks.market_data.data_looks import list_data

        settings, warehouse = _open()
        rows = list_data(settings, warehouse)
        if not rows and not as_json:
            typer.echo("there is no market data yet; `robo ingest` brings some")
        headings = {"first": "first (UTC)", "last": "last (UTC)", "score": "score (0-100)"}
        _table(rows, as_json, headings | {"quarantined": "quarantined rows"})


@app.command()
def show(  # noqa: PLR0917 - options
    symbol: Annotated[str, typer.Argument(help="The symbol to draw.")],
    timeframe: Annotated[str, typer.Option(help="1m, 5m, 15m, 1h or 1d.")] = "1d",
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First session (New York)."),
    ] = None,
    to: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last session (New York).")
    ] = None,
    out: Out = None,
    adjusted: Annotated[
        bool, typer.Option("--adjusted", help="Daily bars in shares of the last one shown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw candles, volume and gaps of a symbol into an HTML file that opens offline."""
    with exits(as_json):
        from tasks.market_data.data_looks import show_bars

        settings, warehouse = _open()
        first, last = (None if day is None else day.date() for day in (from_, to))
        done = show_bars(
            settings, warehouse, symbol, timeframe, first, last, out, adjusted=adjusted
        )
        gaps = f"{len(done.gaps):,} missing" + (f" (first {done.gaps[0]})" if done.gaps else "")
        answer(
            done,
            as_json,
            f"{done.file}\n{done.symbol} {done.timeframe}: {done.bars:,} bars, {done.first} to "
            f"{done.last} New York, {gaps}, {done.quarantined:,} quarantined",
        )


@app.command()
def coverage(
    table: Annotated[str, typer.Option(help="bars_daily or bars_minute.")] = "bars_daily",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Draw the heat map of quality scores, symbols by day, into an HTML file."""
    with exits(as_json):
        from tasks.market_data.data_looks import show_coverage

        settings, warehouse = _open()
        file, rows = show_coverage(settings, warehouse, table, out)
        if as_json:
            answer({"file": file, "symbols": rows}, True)
            return
        headings = {"score": "mean score (0-100)", "empty_days": "empty days"}
        headings |= {"refused": "refused rows", "warned": "rows with a warning"}
        _table(rows, False, headings)
        typer.echo(str(file))


@app.command()
def check(
    symbol: Annotated[
        list[str] | None, typer.Option(help="A symbol; may be repeated. Default: all of them.")
    ] = None,
    table: Annotated[str, typer.Option(help="bars_daily or bars_minute.")] = "bars_daily",
    as_json: AsJson = False,
) -> None:
    """Run the quality rules on stored bars; scores are renewed, nothing is moved."""
    with exits(as_json):
        from tasks.quality.gate import Batch
        from tasks.quality.stored import check_stored

        settings, warehouse = _open()
        now = datetime.now(UTC)
        batch = Batch("stored", f"check-{now:%Y%m%dT%H%M%S}", now)
        done = check_stored(
            warehouse,
            table,
            symbol,
            batch,
            (lambda _text: None) if as_json else typer.echo,
            policy=settings.quality_path,
            docs=settings.data_docs,
        )
        rows = [
            {"symbol": item.symbol, "bar": label, "reason": reason}
            for item in done
            for label, reason in item.rows[:MOST]
        ]
        _table(rows, as_json, {})
        if not as_json:
            typer.echo(f"Data Docs: {done[-1].report.docs}" if done else "there are no bars")


@app.command()
def rules(as_json: AsJson = False) -> None:
    """List every quality rule in force: severity, bounds and meaning (see quality.toml)."""
    with exits(as_json):
        from tasks.quality.policy import suites
        from tasks.settings import load_settings

        rows: list[dict[str, Any]] = [
            {
                "table": table,
                "rule": rule.name,
                "severity": str(rule.severity),
                "allowed": rule.bounds,
                "says": rule.says,
            }
            for table, found in suites(load_settings().quality_path).items()
            for rule in found
        ]
        _table(rows, as_json, {})


@app.command(name="import-ticks")
def import_ticks(
    path: Annotated[Path, typer.Argument(help="A Lean or LOBSTER file, or a folder of them.")],
    as_json: AsJson = False,
) -> None:
    """Import tick files into Parquet by date and symbol; importing twice is as good as once."""
    with exits(as_json):
        from tasks.market_data.tick_files import TickTarget
        from tasks.market_data.tick_files import import_ticks as run
        from warehouse.market.ticks import TickFiles

        settings, warehouse = _open()
        files = TickFiles(settings.ticks_dir)
        target = TickTarget(files, warehouse, settings.quality_path, datetime.now(UTC))
        done: list[Any] = []
        for item in run(target, path):
            done.append(item)
            if not as_json:
                typer.echo(item.summary)
        if as_json:
            from dataclasses import asdict

            answer({"files": [asdict(item) for item in done]}, True)


@app.command()
def record(
    symbol: Annotated[
        list[str] | None, typer.Option(help="A symbol; may be repeated. Default: ROBO_UNIVERSE.")
    ] = None,
    depth: Annotated[
        int, typer.Option(min=0, max=10, help="Rows a side of the order book; 0: no book.")
    ] = 0,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, max=1440, help="Minutes of market time to record.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record trades, quotes and books from the broker until the session has closed."""

    def work() -> Any:
        from flows.parameters import RecordParameters
        from flows.record import record as run

        parameters = RecordParameters(symbols=symbol, depth_rows=depth, minutes=minutes)
        return run(parameters, return_state=True)

    with exits(as_json):
        if symbol:
            from tasks.symbols import require_symbols

            symbol = require_symbols(symbol, "--symbol")
    run_verb(work, as_json)


@quarantine.command(name="list")
def quarantine_list(
    table: Annotated[str | None, typer.Option(help="Only rows of this table.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only rows of this symbol.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Released rows too.")] = False,
    most: Annotated[int, typer.Option(min=1, help="Rows to show.")] = MOST,
    as_json: AsJson = False,
) -> None:
    """List refused rows with the reason, newest first."""
    with exits(as_json):
        _, warehouse = _open()
        found = warehouse.quarantine.rows(table, symbol, with_released=everything, most=most)
        rows: list[dict[str, Any]] = [
            {
                "id": row.id[:10],
                "table": row.table,
                "symbol": row.symbol,
                "time": "" if row.moment is None else f"{row.moment:%Y-%m-%d %H:%M}",
                "reason": row.reason,
                "source": row.source,
                "released": row.released_by,
            }
            for row in found
        ]
        if not rows and not as_json:
            typer.echo("nothing is quarantined")
        _table(rows, as_json, {"time": "time (UTC)"})
        waiting = warehouse.quarantine.count()
        if waiting > len(rows) and not as_json:
            typer.echo(
                f"{waiting:,} rows wait in all; --symbol, --table and --most choose, "
                "`robo data list` counts them by symbol"
            )


@quarantine.command(name="release")
def quarantine_release(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids from the list.")] = None,
    reason: Annotated[str, typer.Option(help="Why the rows are right; kept with them.")] = "",
    table: Annotated[str, typer.Option(help="With --symbol: of which table.")] = "bars_daily",
    symbol: Annotated[str | None, typer.Option(help="All waiting rows of this symbol.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let quarantined bars into their table on your word; rows no reader could use stay out."""
    with exits(as_json):
        from models.domain.errors import InvalidInput
        from tasks.quality.releasing import release_rows

        settings, warehouse = _open()
        chosen = list(ids or ())
        if symbol:
            chosen += [row.id for row in warehouse.quarantine.rows(table, symbol)]
        if not chosen:
            raise InvalidInput("name rows by id, or a --symbol that has some in quarantine")
        now = datetime.now(UTC) if settings.clock == "wall" else _market_now(settings)
        count = release_rows(warehouse, chosen, getpass.getuser(), reason, now)
        answer({"released": count}, as_json, f"{count:,} rows released into {table}")


def _market_now(settings: Any) -> datetime:
    """Return market time; where no gateway answers, the wall clock's."""
    from tasks.broker.clock import market_now
    from tasks.broker.protocol import GatewayUnreachable

    try:
        return market_now(settings.clock, settings.host, settings.control_port)
    except GatewayUnreachable:
        return datetime.now(UTC)


def _open() -> tuple[Any, Any]:
    from tasks.settings import load_settings
    from tasks.stores import open_warehouse

    settings = load_settings()
    return settings, open_warehouse(settings)


def _table(rows: list[dict[str, Any]], as_json: bool, headings: dict[str, str]) -> None:
    """Print rows as a table with units in the headings, or as one JSON object."""
    if as_json:
        answer({"rows": rows}, True)
        return
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in rows[0]:
        numeric = any(isinstance(row[name], int | float) for row in rows)
        table.add_column(headings.get(name, name), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    Console(width=max(120, Console().width)).print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
