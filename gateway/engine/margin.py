"""What orders would need of the account, as if they had filled (Regulation T)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.engine.account import INITIAL_MARGIN, MAINTENANCE_MARGIN, commission_for
from gateway.engine.checks import Terms
from gateway.engine.orders import Order

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange


def margin_needed(exchange: Exchange, order: Order) -> tuple[int, int]:
    """Return equity and the initial margin (cents) if this and every open order filled."""
    shares = {c: p.shares for c, p in exchange.account.positions.items()}
    before = dict(shares)
    for column, signed in exchange.exposure.items():
        shares[column] = shares.get(column, 0) + signed
    marks = {column: exchange.mark(column) for column in {*shares, order.column}}
    equity = exchange.account.equity(marks)
    held = sum(abs(count) * marks[column] for column, count in before.items())
    after = sum(abs(count) * marks[column] for column, count in shares.items())
    return equity, round(after * INITIAL_MARGIN) if after > held else 0


def imagined(exchange: Exchange, column: int, terms: Terms) -> dict[str, int]:
    """Return the margins, equity and commission (cents) of an order that is not placed."""
    marks = {**exchange.marks(), column: exchange.mark(column)}
    equity, gross = exchange.account.equity(marks), exchange.account.gross(marks)
    position = exchange.account.positions.get(column)
    held = position.shares if position else 0
    target = held + (terms.quantity if terms.buy else -terms.quantity)
    changed = (abs(target) - abs(held)) * marks[column]
    price = terms.limit or marks[column]
    return {
        "initial_before": round(gross * INITIAL_MARGIN),
        "initial_change": round(changed * INITIAL_MARGIN),
        "maintenance_before": round(gross * MAINTENANCE_MARGIN),
        "maintenance_change": round(changed * MAINTENANCE_MARGIN),
        "equity": equity,
        "commission": commission_for(terms.quantity, terms.quantity * price),
    }
