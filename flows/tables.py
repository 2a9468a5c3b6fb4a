"""The day's table, the same for the terminal and for the artifact in the Prefect UI."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.books.execution_report import DayReport, ParentReport

COLUMNS = (
    "symbol",
    "side",
    "target shares",
    "filled shares",
    "average USD",
    "decision USD",
    "arrival USD",
    "shortfall bps",
    "shortfall USD",
    "commission USD",
    "state",
)
UNKNOWN = "unknown"


def day_rows(report: DayReport) -> list[dict[str, Any]]:
    """Return one row per parent, every number with its unit in the column's name, and a total."""
    rows = [_row(parent) for parent in report.parents]
    total = {
        "symbol": "total",
        "side": "",
        "target shares": f"{sum(row.order.quantity for row in report.worked):,}",
        "filled shares": f"{sum(row.filled for row in report.worked):,}",
        "average USD": "",
        "decision USD": "",
        "arrival USD": "",
        "shortfall bps": _shown(report.shortfall_bps, 2),
        "shortfall USD": _shown(report.shortfall_usd, 2),
        "commission USD": _shown(report.commission, 2),
        "state": "",
    }
    return [*rows, total]


def day_summary(report: DayReport) -> str:
    """Return the day in one line."""
    filled = sum(row.filled for row in report.worked)
    wanted = sum(row.order.quantity for row in report.worked)
    return (
        f"{report.session}: {filled:,} of {wanted:,} shares filled in {len(report.worked)} parent "
        f"orders, {_shown(report.traded_notional, 2)} USD traded, shortfall "
        f"{_shown(report.shortfall_bps, 2)} bps ({_shown(report.shortfall_usd, 2)} USD), "
        f"commission {_shown(report.commission, 2)} USD"
    )


def equity_lines(report: DayReport) -> list[str]:
    """Return the account's worth before and after, and the change."""
    before, after = report.equity_before, report.equity_after
    lines = [f"equity before {_shown(before, 2)} USD, after {_shown(after, 2)} USD"]
    if before is not None and after is not None:
        change = after - before
        lines.append(f"change {change:+,.2f} USD ({change / before * 10_000:+.1f} bps)")
    return lines


def day_table(report: DayReport) -> Table:
    """Return the day's table for the terminal."""
    from rich.table import Table

    table = Table(title=f"Trading day {report.session}", title_justify="left")
    for name in COLUMNS:
        numeric = name not in ("symbol", "side", "state")
        heading = "\n".join(name.split(" "))
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    rows = day_rows(report)
    for row in rows:
        if row is rows[-1]:
            table.add_section()
        table.add_row(*(str(row[name]) for name in COLUMNS))
    return table


def _row(parent: ParentReport) -> dict[str, Any]:
    cost = parent.shortfall
    return {
        "symbol": parent.order.symbol,
        "side": parent.order.side.value,
        "target shares": f"{parent.order.quantity:,}",
        "filled shares": f"{parent.filled:,}",
        "average USD": _shown(parent.average_price, 4),
        "decision USD": _shown(parent.order.decision_price, 4),
        "arrival USD": _shown(parent.arrival_price, 4),
        "shortfall bps": _shown(cost.total_bps if cost else None, 2),
        "shortfall USD": _shown(cost.total if cost else None, 2),
        "commission USD": _shown(parent.commission, 2),
        "state": parent.state.value,
    }


def _shown(value: Decimal | None, places: int) -> str:
    return UNKNOWN if value is None else f"{value:,.{places}f}"
