"""`robo ingest`: new daily bars from the broker, and by subcommand every other source."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli_exit import answer, exits
from flows.cli_flows import run_verb

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Symbols = Annotated[
    list[str] | None, typer.Option(help="A symbol; may be repeated. Default: ROBO_UNIVERSE.")
]
KnownAt = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"], help="When it was known, UTC."),
]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="New York date.")]
File = Annotated[Path, typer.Argument(help="A CSV or Parquet file, or a folder of them.")]

app = typer.Typer(
    invoke_without_command=True,
    help="Bring bars into the warehouse; without a subcommand: new daily bars from the broker.",
    rich_markup_mode=None,
)


def register(parent: typer.Typer) -> None:
    """Add the verb and its subcommands to the command line."""
    parent.add_typer(app, name="ingest", short_help="Bring bars into the warehouse.")


@app.callback()
def ingest(context: typer.Context, symbol: Symbols = None, as_json: AsJson = False) -> None:
    """Bring bars into the warehouse; without a subcommand: new daily bars from the broker."""
    if context.invoked_subcommand is not None:
        return

    def work() -> Any:
        from flows.ingest import ingest as run
        from flows.parameters import IngestParameters

        return run(IngestParameters(symbols=symbol), return_state=True)

    with exits(as_json):
        if symbol:
            from tasks.symbols import require_symbols

            symbol = require_symbols(symbol, "--symbol")  # before a Prefect server is started
    run_verb(work, as_json)


@app.command()
def file(
    path: File,
    *,
    layout: Annotated[
        str | None, typer.Option(help="long, per-symbol or wide; default: guessed and shown.")
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(help="ROLE=COLUMN, as in close=adj_close; repeatable. volume=: 0 shares."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of times without an offset: America/New_York, UTC …")
    ] = None,
    time_format: Annotated[
        str | None, typer.Option(help="Of the times: %d/%m/%Y %H:%M …; default: guessed and shown.")
    ] = None,
    timeframe: Annotated[str | None, typer.Option(help="1m or 1d; default: guessed.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Whose bars one file has.")] = None,
    new_symbols: Annotated[
        bool, typer.Option("--new-symbols", help="Take unknown symbols for new instruments.")
    ] = False,
    adjusted: Annotated[
        str | None,
        typer.Option(help="What the source has put into daily prices: splits, splits+dividends."),
    ] = None,
    adjusted_through: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Up to when; default: when it was known."),
    ] = None,
    known_at: KnownAt = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how the file would be read; import nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import bars from CSV or Parquet; what is taken for what is shown first."""
    from tasks.sources.files import ADJUSTED, FileOptions, plan_import

    with exits(as_json):
        learnt = _utc(known_at)
        options = FileOptions(
            _one_of(layout, ("long", "per-symbol", "wide"), "--layout"),
            _pairs(map or []),
            timezone,
            _one_of(timeframe, ("1m", "1d"), "--timeframe"),
            symbol,
            time_format,
            _one_of(adjusted, ADJUSTED, "--adjusted"),
            _through(adjusted, adjusted_through, learnt),
        )
        plan = plan_import(path, options)
        _tell(as_json, plan.lines)
        if dry_run:
            answer({"plan": plan.lines}, as_json)
            return

        def work(store: Any, settings: Any) -> Any:
            from tasks.sources.imports import import_files

            return import_files(
                store,
                plan,
                _progress(as_json),
                register=new_symbols,
                known_at=learnt,
                universe=(*settings.universe, *([symbol.upper()] if symbol else ())),
                quality=_quality(settings),
            )

        _import(work, as_json)


@app.command()
def lean(folder: Path, known_at: KnownAt = None, as_json: AsJson = False) -> None:
    """Import a Lean folder: daily/*.zip, minute/*/*_trade.zip and factor_files/*.csv."""
    from tasks.sources.lean import lean_folder

    with exits(as_json):
        found = lean_folder(folder)
        _tell(as_json, found.lines)

        def work(store: Any, settings: Any) -> Any:
            from tasks.sources.imports import import_lean

            return import_lean(store, found, _progress(as_json), _utc(known_at), _quality(settings))

        _import(work, as_json)


@app.command()
def sample(as_json: AsJson = False) -> None:
    """Import the packaged sample: closes of 20 large US companies, 1990 to 2022."""
    with exits(as_json):

        def work(store: Any, settings: Any) -> Any:
            from tasks.sources.imports import import_sample

            return import_sample(store, _progress(as_json), quality=_quality(settings))

        _import(work, as_json)


@app.command()
def actions(path: Path, known_at: KnownAt = None, as_json: AsJson = False) -> None:
    """Import splits and dividends: CSV symbol,ex_date,kind,value; all there are of a symbol."""
    _table("actions", path, known_at, as_json)


@app.command()
def universe(path: Path, known_at: KnownAt = None, as_json: AsJson = False) -> None:
    """Import universes: CSV universe,symbol,valid_from,valid_to; all members of each."""
    _table("universe", path, known_at, as_json)


@app.command()
def tickers(path: Path, known_at: KnownAt = None, as_json: AsJson = False) -> None:
    """Import symbol changes: CSV instrument,symbol,valid_from,valid_to."""
    _table("tickers", path, known_at, as_json)


@app.command()
def backfill(
    *,
    symbol: Symbols = None,
    timeframe: Annotated[str, typer.Option(help="1m or 5s.")] = "1m",
    sessions: Annotated[int, typer.Option(min=1, max=5000, help="Sessions back.")] = 5,
    first: Day = None,
    last: Day = None,
    refetch: Annotated[
        bool, typer.Option("--refetch", help="Ask again for what is done already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the broker's history of intraday bars; goes on where it stopped."""

    def work() -> Any:
        from flows.backfill import backfill as run
        from flows.parameters import BackfillParameters

        chosen = BackfillParameters(
            symbols=symbol,
            timeframe=timeframe,  # pyright: ignore[reportArgumentType] - checked above
            sessions=sessions,
            first=first.date() if first else None,
            last=last.date() if last else None,
            refetch=refetch,
        )
        return run(chosen, return_state=True)

    with exits(as_json):
        _one_of(timeframe, ("1m", "5s"), "--timeframe")
    run_verb(work, as_json)


@app.command()
def live(
    symbol: Symbols = None,
    minutes: Annotated[
        int | None, typer.Option(min=1, max=390, help="Market minutes; default: to the close.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep 5 s and 1 min bars of the running session up to date, until it closes."""

    def work() -> Any:
        from flows.live_bars import live_bars as run
        from flows.parameters import LiveBarsParameters

        return run(LiveBarsParameters(symbols=symbol, minutes=minutes), return_state=True)

    run_verb(work, as_json)


@app.command()
def instruments(symbol: Symbols = None, as_json: AsJson = False) -> None:
    """Ask the broker what instruments are: conId, exchange, first trade, price steps."""
    import asyncio

    with exits(as_json):
        from tasks.settings import load_settings
        from tasks.sources.instruments import fetch_from_broker
        from tasks.symbols import require_symbols

        chosen = {"universe": tuple(require_symbols(symbol, "--symbol"))} if symbol else {}
        changed = asyncio.run(fetch_from_broker(load_settings(**chosen), _progress(as_json)))
        answer({"changed": changed}, as_json, f"{changed} instruments are new or changed")


def _table(kind: str, path: Path, known_at: datetime | None, as_json: bool) -> None:
    with exits(as_json):
        from tasks.settings import load_settings
        from tasks.sources.imports import import_table
        from tasks.stores import open_warehouse

        settings = load_settings()
        changed = import_table(
            open_warehouse(settings),
            kind,
            path,
            _utc(known_at),
            progress=_progress(as_json),
            quality=_quality(settings),
        )
        answer({"changed": changed}, as_json, f"{changed} rows of {kind} changed ({path.name})")


def _import(work: Callable[[Any, Any], Any], as_json: bool) -> None:
    from tasks.settings import load_settings
    from tasks.stores import open_warehouse

    settings = load_settings()
    report = work(open_warehouse(settings), settings)
    landing = report.landing
    counts = {"added": landing.added, "changed": landing.changed, "unchanged": landing.unchanged}
    facts = {"message": report.summary, **counts, "quarantined": dict(landing.rejected)}
    more = {"left_out": dict(landing.left_out), "new_instruments": list(report.new)}
    quality = landing.quality
    more |= {"warned": quality.warned, "validation_seconds": quality.seconds}
    more |= {"seconds": landing.seconds, "data_docs": quality.docs}
    docs = f"\nData Docs: {quality.docs}" if quality.docs else ""
    _publish(settings, report)
    answer(facts | more, as_json, "\n".join(report.lines) + docs)


def _publish(settings: Any, report: Any) -> None:
    """Put the counts among the artifacts of the Prefect server, if one runs: there is no run."""
    from tasks.services.prefect_api import running_api

    with running_api(settings) as url:
        if url:
            from flows.artifacts import publish_landing

            key = f"import-{report.landing.source}"
            publish_landing(report.landing, key=key, description=report.summary)


def _quality(settings: Any) -> Any:
    from tasks.quality.imports import QualityFiles

    return QualityFiles(settings.quality_path, settings.data_docs)


def _tell(as_json: bool, lines: list[str]) -> None:
    if not as_json:
        for line in lines:
            typer.echo(line)
        sys.stdout.flush()  # before what goes to stderr, where both are redirected


def _progress(as_json: bool) -> Callable[[str], None]:
    return lambda text: None if as_json else typer.echo(f"    {text}", err=True)


def _utc(moment: datetime | None) -> datetime | None:
    """Return a stated --known-at; one to come would hide the rows and refuse their corrections."""
    from models.domain.errors import InvalidInput

    if moment is not None and moment.replace(tzinfo=UTC) > datetime.now(UTC):
        raise InvalidInput(f"--known-at {moment} is in the future; give when it was known, UTC")
    return moment.replace(tzinfo=UTC) if moment else None


def _through(
    adjusted: str | None, stated: datetime | None, known_at: datetime | None
) -> date | None:
    """Return up to when a vendor's prices are adjusted: a file is, up to the day it was made."""
    from models.domain.errors import InvalidInput
    from models.domain.sessions import exchange_date

    today = exchange_date(known_at or datetime.now(UTC))
    if adjusted is None:
        if stated:
            raise InvalidInput("--adjusted-through says up to when; say for what with --adjusted")
        return None
    if stated and stated.date() > today:
        raise InvalidInput(
            f"--adjusted-through {stated.date()} lies after {today}, when the file "
            "was known; give the day on which it was made"
        )
    return stated.date() if stated else today


def _one_of(value: str | None, allowed: tuple[str, ...], option: str) -> Any:
    from models.domain.errors import InvalidInput

    if value is not None and value not in allowed:
        raise InvalidInput(f"{option} {value}: give {', '.join(allowed)}")
    return value


def _pairs(given: list[str]) -> dict[str, str]:
    from models.domain.errors import InvalidInput

    pairs: dict[str, str] = {}
    for text in given:
        role, mark, column = text.partition("=")
        if not mark or not (column or role == "volume"):
            raise InvalidInput(f"--map {text}: write ROLE=COLUMN, as in --map close=adj_close")
        pairs[role] = column
    return pairs
