"""The ledger's audit as text for people: every number with its unit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.books.ledger_check import LedgerCheck
    from warehouse.ledger.pnl import AccountPnl, SymbolPnl

HEADS = (
    ("symbol", "", 7),
    ("shares", "", 9),
    ("mark", "USD", 11),
    ("cost", "USD FIFO", 11),
    ("realised", "USD FIFO", 13),
    ("unrealised", "USD FIFO", 13),
    ("cost", "USD avg", 11),
    ("realised", "USD avg", 13),
    ("unrealised", "USD avg", 13),
    ("commission", "USD", 11),
)


def check_lines(check: LedgerCheck) -> list[str]:
    """Return the audit, its contradictions, and the profit table."""
    audit = check.audit
    rows = ", ".join(f"{name} {count:,}" for name, count in audit.rows.items())
    lines = [
        f"ledger          {audit.place} (schema {audit.schema})",
        f"rows            {rows}",
        f"hash chain      {audit.links:,} links, head {audit.head}",
        f"executions      {audit.own:,} of this system's orders, {audit.external:,} external, "
        f"{audit.opening:,} in the opening balance",
    ]
    if audit.waiting:
        lines.append(f"waiting         {len(audit.waiting):,} commissions without their execution")
    if audit.is_whole:
        lines.append("contradictions  none")
    else:
        lines.append(f"contradictions  {len(audit.contradictions):,}")
        lines += [f"  - {text}" for text in audit.contradictions]
    if check.pnl is not None:
        lines += ["", *pnl_lines(check.pnl)]
    if check.marked:
        sources = sorted(set(check.marked.values()))
        lines.append(f"marks: {', '.join(sources)}")
    lines += [f"note: {note}" for note in check.notes]
    if not audit.is_whole:
        lines.append(
            "what to do: send no order from this ledger; run robo reconcile to compare it with the "
            "broker, and if rows were altered, robo ledger restore a backup whose head is known"
        )
    return lines


def pnl_lines(pnl: AccountPnl) -> list[str]:
    """Return the profit of every symbol by both methods, and the account's totals."""
    lines = [
        f"profit of {pnl.account} since {pnl.opened_at:%Y-%m-%d %H:%M} UTC, before commissions"
    ]
    if pnl.symbols:
        lines.append("".join(f"{name:>{width}}" for name, _, width in HEADS))
        lines.append("".join(f"{unit:>{width}}" for _, unit, width in HEADS))
        lines += [_row(row) for row in pnl.symbols]
    missing = f" ({pnl.unknown_commissions} not reported yet)" if pnl.unknown_commissions else ""
    return [
        *lines,
        f"realised {usd(pnl.realised)}, unrealised {usd(pnl.unrealised)} (FIFO), "
        f"commissions {usd(pnl.commission)}{missing}",
        f"cash {usd(pnl.cash)}, worth {usd(pnl.worth)}",
    ]


def usd(amount: Decimal | None) -> str:
    """Return an amount in USD to the cent, or that it is unknown."""
    return "unknown" if amount is None else f"{amount:,.2f} USD"


def _row(row: SymbolPnl) -> str:
    shares = f"{row.shares:,f}" if row.shares != int(row.shares) else f"{int(row.shares):,}"
    cells = [row.symbol, shares, _money(row.mark, 4)]
    for method in (row.fifo, row.average):
        cost = _money(method.average_cost, 4) if row.shares else "-"
        cells += [cost, _money(method.realised, 2), _money(method.unrealised, 2)]
    cells.append(_money(row.commission, 2) + ("+?" if row.unknown_commissions else ""))
    return "".join(f"{cell:>{width}}" for cell, (_, _, width) in zip(cells, HEADS, strict=True))


def _money(amount: Decimal | None, places: int) -> str:
    return "unknown" if amount is None else f"{amount:,.{places}f}"
