"""Lots and profit of a position: first in first out, or average cost, replayed from its trades.

Amounts are exact fractions inside and become decimals (1e-8 USD) at the edge, so both methods end
at the same profit once a position is flat. Commissions are an expense of their own, never part of
a lot's cost. A cost that nobody knows is None, and so is every profit that would rest on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from models.domain.errors import InvalidInput
from models.domain.orders import Fill

GRAIN = 10**8  # amounts are shown to 1e-8 USD


class CostMethod(StrEnum):
    """Which shares a closing trade takes: the oldest first, or all alike at their average."""

    FIFO = "FIFO"
    AVERAGE = "AVERAGE"


@dataclass(frozen=True, slots=True)
class Split:
    """`new` shares for every `old` ones at `at` (UTC); the cost of the position stays."""

    symbol: str
    at: datetime
    new: int
    old: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """Signed shares that came or went without a trade; `price` in USD a share, None: unknown."""

    symbol: str
    at: datetime
    shares: Fraction
    price: Decimal | None = None


Adjustment = Split | Transfer


@dataclass(frozen=True, slots=True)
class Lot:
    """Shares (signed, short negative) taken at one cost in USD a share (None: unknown)."""

    shares: Fraction
    cost: Fraction | None
    opened: datetime


@dataclass(slots=True)
class PositionBook:
    """The lots of one symbol and what closing others has earned, commissions apart."""

    symbol: str
    method: CostMethod
    lots: list[Lot] = field(default_factory=list[Lot])
    earned: Fraction = Fraction(0)
    unknown_closed: Fraction = Fraction(0)  # shares closed whose cost is not known
    commission: Decimal = Decimal(0)
    unknown_commissions: int = 0

    @property
    def shares(self) -> Fraction:
        """Signed shares held; whole unless a split left a fraction."""
        return sum((lot.shares for lot in self.lots), Fraction(0))

    @property
    def realised(self) -> Decimal | None:
        """USD earned by closed shares before commissions; None when a cost was unknown."""
        return None if self.unknown_closed else money(self.earned)

    @property
    def average_cost(self) -> Decimal | None:
        """USD a share of what is held; None when flat or when a cost is unknown."""
        cost = self._cost()
        return None if cost is None or not self.shares else money(cost / self.shares)

    def unrealised(self, mark: Decimal | None) -> Decimal | None:
        """USD that selling (or buying back) all at `mark` would earn; None when not known."""
        if not self.lots:
            return Decimal(0)
        cost = self._cost()
        return None if mark is None or cost is None else money(self.shares * Fraction(mark) - cost)

    def trade(self, shares: Fraction, price: Fraction | None, at: datetime) -> None:
        """Close opposite lots with signed `shares`, oldest first, and open what is left over."""
        while shares and self.lots and (self.lots[0].shares > 0) != (shares > 0):
            oldest = self.lots[0]
            closed = min(abs(shares), abs(oldest.shares))
            direction = 1 if oldest.shares > 0 else -1
            if price is None or oldest.cost is None:
                self.unknown_closed += closed
            else:
                self.earned += direction * closed * (price - oldest.cost)
            left = oldest.shares - direction * closed
            self.lots[:1] = [Lot(left, oldest.cost, oldest.opened)] if left else []
            shares += direction * closed
        if shares:
            self.lots.append(Lot(shares, price, at))
            if self.method is CostMethod.AVERAGE:
                self._merge()

    def split(self, split: Split) -> None:
        """Scale every lot; the cost of each stays what it was."""
        ratio = Fraction(split.new, split.old)
        self.lots = [
            Lot(lot.shares * ratio, None if lot.cost is None else lot.cost / ratio, lot.opened)
            for lot in self.lots
        ]

    def _merge(self) -> None:
        cost, shares = self._cost(), self.shares
        each = None if cost is None else cost / shares
        self.lots = [Lot(shares, each, self.lots[0].opened)]

    def _cost(self) -> Fraction | None:
        total = Fraction(0)
        for lot in self.lots:
            if lot.cost is None:
                return None
            total += lot.shares * lot.cost
        return total


def replay(
    method: CostMethod,
    fills: Iterable[Fill],
    *,
    opening: Iterable[Transfer] = (),
    adjustments: Iterable[Adjustment] = (),
) -> dict[str, PositionBook]:
    """Return the book of every symbol after its whole history, by symbol.

    `opening` is what was held before the first fill. Of an execution and its corrections the
    highest revision counts, at the moment of the first one; quantity 0 is a bust. At one moment
    adjustments come before fills. Raises InvalidInput for a split that is not positive or a price
    that is not finite.
    """
    books: dict[str, PositionBook] = {}
    for held in opening:
        _book(books, held.symbol, method).trade(held.shares, _price(held.price), held.at)
    history: list[tuple[datetime, int, str, Fill | Adjustment]] = [
        (at, 1, fill.exec_base, fill) for at, fill in _current(fills)
    ]
    history += [(change.at, 0, change.symbol, change) for change in adjustments]
    for at, _, _, happened in sorted(history, key=lambda entry: entry[:3]):
        book = _book(books, happened.symbol, method)
        match happened:
            case Fill():
                signed = Fraction(happened.side.sign * happened.quantity)
                book.trade(signed, _price(happened.price), at)
                _expense(book, happened)
            case Transfer():
                book.trade(Fraction(happened.shares), _price(happened.price), at)
            case Split():
                if min(happened.new, happened.old) < 1:
                    raise InvalidInput(
                        f"a split of {happened.symbol} is given as {happened.new} new for "
                        f"{happened.old} old shares; give two whole numbers of at least 1"
                    )
                book.split(happened)
    return {symbol: books[symbol] for symbol in sorted(books)}


def market_value(books: Mapping[str, PositionBook], marks: Mapping[str, Decimal]) -> Decimal | None:
    """Return the USD value of all shares at `marks`; None while a held symbol has no mark."""
    total = Fraction(0)
    for symbol, book in books.items():
        if book.shares:
            if symbol not in marks:
                return None
            total += book.shares * Fraction(marks[symbol])
    return money(total)


def money(amount: Fraction) -> Decimal:
    """Return an amount to 1e-8 USD, ties to even; exact for whatever has that many decimals."""
    return Decimal(round(amount * GRAIN)).scaleb(-8).normalize() + Decimal(0)


def _current(fills: Iterable[Fill]) -> list[tuple[datetime, Fill]]:
    newest: dict[str, Fill] = {}
    first: dict[str, Fill] = {}
    for fill in fills:
        base = fill.exec_base
        if base not in newest or fill.revision > newest[base].revision:
            newest[base] = fill
        if base not in first or fill.revision < first[base].revision:
            first[base] = fill
    return [(first[base].at, fill) for base, fill in newest.items()]


def _expense(book: PositionBook, fill: Fill) -> None:
    if fill.commission is not None:
        book.commission += fill.commission
    elif fill.quantity:
        book.unknown_commissions += 1


def _book(books: dict[str, PositionBook], symbol: str, method: CostMethod) -> PositionBook:
    return books.setdefault(symbol, PositionBook(symbol, method))


def _price(price: Decimal | None) -> Fraction | None:
    if price is None:
        return None
    if not price.is_finite():
        raise InvalidInput(f"a price of {price} has no profit; give a finite amount in USD")
    return Fraction(price)
