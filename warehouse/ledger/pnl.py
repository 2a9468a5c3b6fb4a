"""Profit and loss of an account from the ledger's executions, by both ways of counting cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from models.domain.errors import InvalidInput
from models.portfolio.lots import (
    Adjustment,
    CostMethod,
    PositionBook,
    Split,
    Transfer,
    market_value,
    money,
    replay,
)
from warehouse.ledger.accounts import Accounts
from warehouse.ledger.adjustments import Adjustments
from warehouse.ledger.executions import Executions


@dataclass(frozen=True, slots=True)
class MethodPnl:
    """One symbol by one method: USD a share, and USD; None is not known, never zero."""

    average_cost: Decimal | None
    realised: Decimal | None
    unrealised: Decimal | None


@dataclass(frozen=True, slots=True)
class SymbolPnl:
    """One symbol since the account's opening; `shares` signed, `mark` in USD a share.

    `commission` (USD) leaves out `unknown_commissions` executions. It is part of neither profit.
    """

    symbol: str
    shares: Decimal
    mark: Decimal | None
    fifo: MethodPnl
    average: MethodPnl
    commission: Decimal
    unknown_commissions: int


@dataclass(frozen=True, slots=True)
class AccountPnl:
    """An account since its opening (UTC): every symbol, its cash and its worth in USD.

    `worth` is cash and shares at their marks; None while a held symbol has no mark.
    """

    account: str
    opened_at: datetime
    symbols: tuple[SymbolPnl, ...]
    cash: Decimal
    worth: Decimal | None
    realised: Decimal | None
    unrealised: Decimal | None
    commission: Decimal
    unknown_commissions: int


@dataclass(frozen=True, slots=True)
class Books:
    """The lots of an account by either method, by symbol."""

    fifo: Mapping[str, PositionBook]
    average: Mapping[str, PositionBook]


def account_books(
    accounts: Accounts,
    executions: Executions,
    account: str,
    costs: Mapping[str, Decimal],
    adjustments: Sequence[Adjustment] = (),
) -> Books:
    """Replay an account's lots; `costs` is what opening positions cost, USD a share by symbol."""
    opening = accounts.opening(account)
    if opening is None:
        raise InvalidInput(
            f"the ledger has no opening balance of account {account!r}; "
            "run robo reconcile, which records it at first contact"
        )
    held = [
        Transfer(symbol, opening.at, Fraction(shares), costs.get(symbol))
        for symbol, shares in opening.positions.items()
    ]
    fills = executions.fills_of_account(account)
    fifo, average = (
        replay(method, fills, opening=held, adjustments=adjustments)
        for method in (CostMethod.FIFO, CostMethod.AVERAGE)
    )
    return Books(fifo, average)


def account_pnl(
    accounts: Accounts,
    executions: Executions,
    account: str,
    marks: Mapping[str, Decimal],
    costs: Mapping[str, Decimal],
    *,
    adjustments: Sequence[Adjustment] = (),
) -> AccountPnl:
    """Return what an account has earned since its opening, at `marks` (USD a share by symbol).

    Raises InvalidInput when the account has no recorded opening.
    """
    books = account_books(accounts, executions, account, costs, adjustments)
    opening = accounts.opening(account)
    assert opening is not None  # account_books has raised otherwise
    symbols = tuple(
        _symbol(books.fifo[name], books.average[name], marks.get(name)) for name in books.fifo
    )
    cash = executions.cash(account).amount
    value = market_value(books.fifo, marks)
    return AccountPnl(
        account=account,
        opened_at=opening.at,
        symbols=symbols,
        cash=cash,
        worth=None if value is None else cash + value,
        realised=_sum(row.fifo.realised for row in symbols),
        unrealised=_sum(row.fifo.unrealised for row in symbols),
        commission=sum((row.commission for row in symbols), Decimal(0)),
        unknown_commissions=sum(row.unknown_commissions for row in symbols),
    )


def transfers_of(adjustments: Adjustments, account: str) -> tuple[Adjustment, ...]:
    """Return what accepted corrections brought: splits, and shares at a cost that nobody knows."""
    return tuple(
        one.split or Transfer(one.symbol, one.acceptance.at, Fraction(one.shares))
        for one in adjustments.of_positions(account)
    )


def lots_disagree(
    accounts: Accounts,
    executions: Executions,
    account: str,
    transfers: Sequence[Adjustment] = (),
    other_cash: Decimal = Decimal(0),
) -> list[str]:
    """Compare lots with the ledger's sums: shares by symbol, and cash to 1e-8 USD, in words.

    `transfers` and `other_cash` (USD) are what came without a trade since the opening. Whatever
    opening positions and transfers cost, opening cash + other cash - (cost of what is held - their
    cost) + realised - commissions is the cash that there must be; here they cost 1 USD a share.
    """
    opening = accounts.opening(account)
    if opening is None:
        return []
    found: list[str] = []
    one = dict.fromkeys(opening.positions, Decimal(1))
    come = [each for each in transfers if isinstance(each, Transfer)]
    moved: list[Adjustment] = [replace(each, price=Decimal(1)) for each in come]
    moved += [each for each in transfers if isinstance(each, Split)]
    books = account_books(accounts, executions, account, one, moved)
    free = Fraction(opening.cash) + Fraction(other_cash) + sum(opening.positions.values())
    free += sum((each.shares for each in come), Fraction(0))
    positions = executions.positions(account)
    told = executions.cash(account)
    for method, by_symbol in (("FIFO", books.fifo), ("average cost", books.average)):
        for symbol in sorted({*by_symbol, *positions}):
            book = by_symbol.get(symbol)
            shares = book.shares if book is not None else Fraction(0)
            if shares != positions.get(symbol, 0):
                found.append(
                    f"{symbol}: {method} lots hold {shares} shares, "
                    f"the executions sum to {positions.get(symbol, 0)}"
                )
        cash = free
        for book in by_symbol.values():
            cash += book.earned - Fraction(book.commission)
            cash -= sum((lot.shares * (lot.cost or 0) for lot in book.lots), Fraction(0))
        if money(cash - Fraction(told.amount)):
            found.append(
                f"cash by {method} lots is {money(cash)} USD, by executions {told.amount} USD"
            )
    return found


def _symbol(fifo: PositionBook, average: PositionBook, mark: Decimal | None) -> SymbolPnl:
    return SymbolPnl(
        symbol=fifo.symbol,
        shares=money(fifo.shares),
        mark=mark,
        fifo=MethodPnl(fifo.average_cost, fifo.realised, fifo.unrealised(mark)),
        average=MethodPnl(average.average_cost, average.realised, average.unrealised(mark)),
        commission=fifo.commission,
        unknown_commissions=fifo.unknown_commissions,
    )


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
