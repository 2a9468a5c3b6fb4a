"""What there is of market data, for the command line: lists, gaps and charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from models.domain.sessions import EXCHANGE_TZ, sessions_between
from tasks.market_data.data_charts import candle_chart, coverage_chart, labels_of, write_html

if TYPE_CHECKING:
    import pandas as pd

    from tasks.settings import Settings
    from warehouse.market import MarketWarehouse

TIMEFRAMES = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 0}  # seconds
MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)
SHOWN_BARS = {"1m": 5, "5m": 20, "15m": 40, "1h": 120, "1d": 400}  # days, where none are given


@dataclass(frozen=True, slots=True)
class Shown:
    """A chart that was written; `gaps` are the labels of the missing bars."""

    file: Path
    symbol: str
    timeframe: str
    bars: int
    first: str
    last: str
    gaps: tuple[str, ...]
    quarantined: int


def list_data(settings: Settings, warehouse: MarketWarehouse) -> list[dict[str, Any]]:
    """Return one row a table and symbol: bars or ticks, first and last, score and quarantine."""
    from warehouse.market.ticks import TickFiles

    waiting = warehouse.quarantine.counts()
    rows: list[dict[str, Any]] = []
    for table, coverage in (
        ("bars_daily", warehouse.bars.coverage()),
        ("bars_minute", intraday_coverage(warehouse, "1m")),
        ("bars_5s", warehouse.seconds.coverage()),
    ):
        scores = warehouse.scores.by_symbol(table).set_index("symbol")["score"].to_dict()
        rows += [
            {
                "table": table,
                "symbol": str(item["symbol"]),
                "rows": int(item["count"]),
                "first": str(item["first"])[:19],
                "last": str(item["last"])[:19],
                "score": scores.get(item["symbol"]),
                "quarantined": waiting.pop((table, str(item["symbol"])), 0),
            }
            for item in coverage.to_dict("records")
        ]
    ticks = TickFiles(settings.ticks_dir).coverage()
    if len(ticks):
        sums = ticks.groupby(["kind", "symbol"], sort=True).agg(
            {"rows": "sum", "first": "min", "last": "max"}
        )
        rows += [
            {
                "table": str(kind),
                "symbol": str(symbol),
                "rows": int(item["rows"]),
                "first": str(item["first"])[:19],
                "last": str(item["last"])[:19],
                "score": None,
                "quarantined": waiting.pop((str(kind), str(symbol)), 0),
            }
            for (kind, symbol), item in zip(sums.index, sums.to_dict("records"), strict=True)
        ]
    rows += [
        {"table": table, "symbol": symbol, "rows": 0, "first": "", "last": "", "score": None,
         "quarantined": count}
        for (table, symbol), count in sorted(waiting.items())
    ]  # fmt: skip
    return rows


def show_bars(  # noqa: PLR0917 - the command's options
    settings: Settings,
    warehouse: MarketWarehouse,
    symbol: str,
    timeframe: str,
    first: date | None,
    last: date | None,
    out: Path | None,
    *,
    adjusted: bool = False,
) -> Shown:
    """Write the chart of a symbol's bars, sessions in [first, last]; default: the newest stretch.

    `adjusted` shows daily bars in shares of the last one shown. Raises InvalidInput for an unknown
    timeframe or symbol, and when there is nothing to show.
    """
    if timeframe not in TIMEFRAMES:
        raise InvalidInput(
            f"there are no bars of {timeframe!r}; give --timeframe {', '.join(TIMEFRAMES)}"
        )
    if adjusted and timeframe != "1d":
        raise InvalidInput("--adjusted is for daily bars: leave it out, or give --timeframe 1d")
    bars = _bars(warehouse, symbol, timeframe, first, last)
    begins, ends = _day(bars["session"].min()), _day(bars["session"].max())
    splits = {
        f"{action.ex_date}": action.value
        for action in warehouse.actions.splits_between([symbol], begins, ends)
    }
    if adjusted:
        bars = warehouse.bars.adjusted([symbol], begins, ends, on=ends)
    gaps = missing_bars(bars, timeframe)
    table = "bars_daily" if timeframe == "1d" else "bars_minute"
    refused = warehouse.quarantine.counts().get((table, symbol), 0)
    title = f"{symbol} {timeframe}" + (f" adjusted for splits to {ends}" if adjusted else "")
    figure = candle_chart(title, timeframe, bars, gaps, splits=splits, quarantined=refused)
    name = f"{symbol.replace('/', '-')}-{timeframe}.html"
    file = write_html(figure, out or settings.state_dir / "charts" / name)
    labels = labels_of(bars, timeframe)
    return Shown(file, symbol, timeframe, len(bars), labels[0], labels[-1], tuple(gaps), refused)


def _bars(
    warehouse: MarketWarehouse,
    symbol: str,
    timeframe: str,
    first: date | None,
    last: date | None,
) -> pd.DataFrame:
    daily = timeframe == "1d"
    coverage = warehouse.bars.coverage() if daily else intraday_coverage(warehouse, timeframe)
    own = coverage[coverage["symbol"] == symbol]
    if own.empty:
        known = ", ".join(sorted(coverage["symbol"].astype(str))[:20])
        others = f"there are some of {known}" if known else "nor of any other symbol"
        raise InvalidInput(
            f"there are no {timeframe} bars of {symbol}, {others}: see `robo data list`"
        )
    newest = _day(own["last"].iloc[0])
    last = last or newest
    if first is None:
        first = last - timedelta(days=SHOWN_BARS[timeframe])
    if first > last:
        raise InvalidInput(f"--from {first} is after --to {last}; exchange them")
    if timeframe == "1d":
        bars = warehouse.bars.daily([symbol], first, last)
    else:
        bars = warehouse.minutes.bars([symbol], timeframe, first, last)
    if bars.empty:
        raise InvalidInput(
            f"{symbol} has no {timeframe} bars from {first} to {last}; it has some from "
            f"{_day(own['first'].iloc[0])} to {newest}"
        )
    return bars


def intraday_coverage(warehouse: MarketWarehouse, timeframe: str) -> pd.DataFrame:
    """Return one row a symbol: start of the first and the last bar (UTC), and the count of bars."""
    by_session = warehouse.minutes.coverage(timeframe)
    found = by_session.groupby("symbol", sort=True)
    return found.agg({"first": "min", "last": "max", "count": "sum"}).reset_index()


def missing_bars(bars: pd.DataFrame, timeframe: str) -> list[str]:
    """Return the labels of the bars that the exchange's calendar has and the symbol lacks.

    From the first to the last bar; of intraday bars the regular hours alone count.
    """
    there = set(labels_of(bars, timeframe))
    first, last = _day(bars["session"].min()), _day(bars["session"].max())
    sessions = sessions_between(first, last)
    if timeframe == "1d":
        return [str(day.date) for day in sessions if str(day.date) not in there]
    step = timedelta(seconds=TIMEFRAMES[timeframe])
    begins, ends = min(there), max(there)
    missing: list[str] = []
    for session in sessions:
        moment = session.open
        while moment < session.close:
            label = f"{moment.astimezone(EXCHANGE_TZ):%Y-%m-%d %H:%M}"
            if begins < label < ends and label not in there:
                missing.append(label)
            moment += step - (moment - MIDNIGHT) % step  # bars start on the clock's boundaries
    return missing


def show_coverage(
    settings: Settings, warehouse: MarketWarehouse, table: str, out: Path | None
) -> tuple[Path, list[dict[str, Any]]]:
    """Write the heat map of symbols by day; return it and one row a symbol with its mean score."""
    scores = warehouse.scores.of(table)
    if scores.empty:
        raise InvalidInput(
            f"no day of {table} has a quality score yet; bars get theirs when they are ingested"
        )
    file = out or settings.state_dir / "charts" / f"coverage-{table}.html"
    write_html(coverage_chart(table, scores), file)
    symbols = warehouse.scores.by_symbol(table).to_dict("records")
    return file, [{str(name): value for name, value in row.items()} for row in symbols]


def _day(value: Any) -> date:
    return date.fromisoformat(str(value)[:10])
