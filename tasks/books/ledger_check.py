"""What `robo ledger check` looks at: the audit of the ledger, and profit at marks of the bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput, RoboError
from models.domain.sessions import exchange_date

if TYPE_CHECKING:
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.audit import LedgerAudit
    from warehouse.ledger.pnl import AccountPnl
    from warehouse.market import MarketWarehouse


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """The audit and, once an account was opened, its profit; `marked` says where marks are from."""

    audit: LedgerAudit
    pnl: AccountPnl | None
    marked: Mapping[str, str]
    notes: tuple[str, ...]


def check_ledger(
    settings: Settings,
    ledger: OrderLedger,
    marks: Mapping[str, Decimal],
    costs: Mapping[str, Decimal],
) -> LedgerCheck:
    """Audit the ledger, and count the profit of the account that was opened last.

    `marks` (USD a share) win over the warehouse's last closes, `costs` of opening positions over
    the close before the opening; what neither has stays unknown.
    """
    account = ledger.accounts.latest_account() or ""
    audit = ledger.audit(account)
    opening = ledger.accounts.opening(account) if account else None
    if opening is None:
        note = "no account yet: its profit can be counted after the first robo reconcile"
        return LedgerCheck(audit, None, {}, (note,))
    notes: list[str] = []
    closes: dict[str, tuple[date, Decimal]] = {}
    bought: dict[str, Decimal] = {}
    if settings.has_warehouse:
        from tasks.stores import open_warehouse

        try:
            warehouse = open_warehouse(settings)
            closes = _closes(warehouse, date.max)
            before = exchange_date(opening.at)
            bought = {s: price for s, (_, price) in _closes(warehouse, before).items()}
        except RoboError as error:
            notes.append(f"no closes: {error}")
    known = {symbol: price for symbol, (_, price) in closes.items()} | dict(marks)
    pnl = ledger.pnl(account, known, bought | dict(costs))
    marked = {
        row.symbol: "given" if row.symbol in marks else f"close of {closes[row.symbol][0]}"
        for row in pnl.symbols
        if row.shares and row.mark is not None
    }
    unmarked = [row.symbol for row in pnl.symbols if row.shares and row.mark is None]
    if unmarked:
        wanted = " ".join(f"--mark {symbol}=PRICE" for symbol in unmarked)
        notes.append(f"no close is known of {', '.join(unmarked)}: give {wanted} (USD a share)")
    costless = [s for s in opening.positions if s not in bought and s not in costs]
    if costless:
        wanted = " ".join(f"--cost {symbol}=PRICE" for symbol in costless)
        notes.append(f"what was held at the opening has no known cost: give {wanted} (USD a share)")
    return LedgerCheck(audit, pnl, marked, tuple(notes))


def prices_of(pairs: Iterable[str], option: str) -> dict[str, Decimal]:
    """Read `SYMBOL=PRICE` texts, USD a share.

    Raises InvalidInput for a malformed one, a price that is not finite and above zero, or a symbol
    given twice.
    """
    found: dict[str, Decimal] = {}
    for pair in pairs:
        symbol, _, price = pair.partition("=")
        symbol = symbol.strip().upper()
        try:
            amount = Decimal(price.strip())
        except InvalidOperation:
            amount = Decimal("NaN")
        if not symbol or not amount.is_finite() or amount <= 0:
            raise InvalidInput(
                f"{option} {pair!r} is not SYMBOL=PRICE with a price above 0 in USD a share; "
                f"give for example {option} AAPL=189.25"
            )
        if symbol in found:
            raise InvalidInput(f"{option} names {symbol} twice; give it once")
        found[symbol] = amount
    return found


def _closes(warehouse: MarketWarehouse, before: date) -> dict[str, tuple[date, Decimal]]:
    return {
        symbol: (session, Decimal(repr(round(close, 6))))
        for symbol, (session, close) in warehouse.bars.last_closes(before).items()
    }
