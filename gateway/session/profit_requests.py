"""Profit and loss of the account and of single positions, as they change."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, cents, message
from gateway.engine.account import Position
from gateway.engine.refusal import Refused
from gateway.market.universe import FIRST_CON_ID, INSTRUMENTS
from gateway.options import ACCOUNT
from gateway.session.connection import Connection
from gateway.session.contracts import UNKNOWN
from gateway.session.subscriptions import ProfitSingle

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]


def profit(hub: Hub, connection: Connection, values: Values) -> None:
    """Start profit updates of the account."""
    _check(values, connection.subscriptions.profit)
    connection.subscriptions.profit[values["reqId"]] = ()
    tell_profit(hub, connection)


def _check(values: Values, following: Container[int]) -> None:
    """Refuse another account, and a request id that follows a profit already."""
    if values["reqId"] in following:
        raise Refused(322, "Error processing request.-'cG' : cause - Duplicate ticker id")
    if values["account"] not in {"", ACCOUNT}:
        raise Refused(321, "Error validating request.-'cG' : cause - Invalid account code")


def cancel_profit(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop profit updates of the account."""
    connection.subscriptions.profit.pop(values["reqId"], None)


def profit_single(hub: Hub, connection: Connection, values: Values) -> None:
    """Start profit updates of one position."""
    _check(values, connection.subscriptions.profit_single)
    column = values["conId"] - FIRST_CON_ID
    if not 0 <= column < len(INSTRUMENTS):
        raise Refused(200, UNKNOWN)
    request_id = values["reqId"]
    connection.subscriptions.profit_single[request_id] = ProfitSingle(request_id, column)
    tell_profit(hub, connection)


def cancel_profit_single(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop profit updates of one position."""
    connection.subscriptions.profit_single.pop(values["reqId"], None)


def tell_profit(hub: Hub, connection: Connection) -> None:
    """Send profit figures that changed to those who follow them."""
    subscriptions = connection.subscriptions
    account = hub.exchange.account
    if subscriptions.profit:
        marks = hub.exchange.marks()
        equity = account.equity(marks)
        basis = sum(position.basis for position in account.positions.values())
        realized = sum(position.realized for position in account.positions.values())
        figures = (equity - account.prior_equity, equity - account.cash - basis, realized)
        for request_id, sent in subscriptions.profit.items():
            if figures != sent:
                subscriptions.profit[request_id] = figures
                connection.send(message(Out.PNL, request_id, *map(cents, figures)))
    for single in subscriptions.profit_single.values():
        position = account.positions.get(single.column, Position())
        value = position.shares * hub.exchange.mark(single.column)
        figures = (
            value - position.opening + position.flow,
            value - position.basis,
            position.realized,
            value,
        )
        if (position.shares, *figures) != single.sent:
            single.sent = (position.shares, *figures)
            fields = (single.request_id, position.shares, *map(cents, figures))
            connection.send(message(Out.PNL_SINGLE, *fields))


HANDLERS = {
    "reqPnL": profit,
    "cancelPnL": cancel_profit,
    "reqPnLSingle": profit_single,
    "cancelPnLSingle": cancel_profit_single,
}
