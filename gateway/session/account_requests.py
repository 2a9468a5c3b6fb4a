"""Account values, portfolio and positions: on request, and as they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, cents, message
from gateway.engine.account import INITIAL_MARGIN, MAINTENANCE_MARGIN, Account, Position
from gateway.engine.day_trades import DAY_TRADER_EQUITY
from gateway.engine.refusal import Refused
from gateway.market.universe import INSTRUMENTS
from gateway.options import ACCOUNT
from gateway.session.connection import Connection
from gateway.session.order_echo import stock
from gateway.timeline import new_york

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
Row = tuple[str, str, str]
UPDATES = "updates"  # who is told: account updates, or a request by its number
LEDGER_TAGS = frozenset(
    (
        "CashBalance",
        "TotalCashBalance",
        "NetLiquidationByCurrency",
        "StockMarketValue",
        "RealizedPnL",
        "UnrealizedPnL",
        "ExchangeRate",
        "AccruedCash",
        "Currency",
        "NetDividend",
        "FundValue",
        "RealCurrency",
        "AccountOrGroup",
    )
)


def account_rows(hub: Hub) -> list[Row]:
    """Return every (tag, value, currency) of the account at this moment."""
    account, marks = hub.exchange.account, hub.exchange.marks()
    equity, gross = account.equity(marks), account.gross(marks)
    cushion = (equity - round(gross * MAINTENANCE_MARGIN)) / equity if equity > 0 else 0
    rows: list[Row] = [
        ("AccountCode", ACCOUNT, ""),
        ("AccountOrGroup", ACCOUNT, "BASE"),
        ("AccountOrGroup", ACCOUNT, "USD"),
        ("AccountReady", "true", ""),
        ("AccountType", "INDIVIDUAL", ""),
        ("Currency", "USD", "USD"),
        ("RealCurrency", "USD", "USD"),
        ("ExchangeRate", "1.00", "USD"),
        ("Cushion", f"{cushion:.6f}", ""),
        ("DayTradesRemaining", str(hub.exchange.day_trades_remaining(equity)), ""),
        ("HighestSeverity", "0", ""),
        ("LookAheadNextChange", "0", ""),
        ("Leverage", f"{gross / equity:.2f}" if equity > 0 else "0", ""),
    ]
    money = {**_balances(account, equity, gross), **_margins(equity, gross)}
    return rows + [(tag, cents(value), "USD") for tag, value in money.items()]


def _balances(account: Account, equity: int, gross: int) -> dict[str, int]:
    stocks = equity - account.cash
    basis = sum(position.basis for position in account.positions.values())
    realized = sum(position.realized for position in account.positions.values())
    return {
        **dict.fromkeys(("NetLiquidation", "NetLiquidationByCurrency"), equity),
        **dict.fromkeys(("EquityWithLoanValue", "RegTEquity"), equity),
        **dict.fromkeys(("TotalCashValue", "TotalCashBalance"), account.cash),
        **dict.fromkeys(("CashBalance", "SettledCash"), account.cash),
        **dict.fromkeys(("AccruedCash", "AccruedDividend", "NetDividend", "FundValue"), 0),
        "StockMarketValue": stocks,
        "GrossPositionValue": gross,
        "ReqTEquity": equity,  # as some versions of the API spell it
        **dict.fromkeys(
            ("PreviousDayEquityWithLoanValue", "PreviousEquityWithLoanValue"), account.prior_equity
        ),
        "UnrealizedPnL": stocks - basis,
        "RealizedPnL": realized,
    }


def _margins(equity: int, gross: int) -> dict[str, int]:
    """Return Regulation T margins; nothing here looks ahead or differs over night."""
    initial, maintenance = round(gross * INITIAL_MARGIN), round(gross * MAINTENANCE_MARGIN)
    available, excess = equity - initial, equity - maintenance
    ahead = ("", "Full", "LookAhead")
    return {
        **dict.fromkeys(("RegTMargin", "ReqTMargin"), initial),
        "SMA": available,
        **dict.fromkeys((f"{when}InitMarginReq" for when in ahead), initial),
        **dict.fromkeys((f"{when}MaintMarginReq" for when in ahead), maintenance),
        **dict.fromkeys((f"{when}AvailableFunds" for when in ahead), available),
        **dict.fromkeys((f"{when}ExcessLiquidity" for when in ahead), excess),
        "BuyingPower": max(available, 0) * (4 if equity >= DAY_TRADER_EQUITY else 2),
    }


def account_updates(hub: Hub, connection: Connection, values: Values) -> None:
    """Start or stop account updates."""
    if values["account"] not in {"", ACCOUNT}:
        raise Refused(321, "Error validating request.-'bG' : cause - Invalid account code")
    connection.subscriptions.account = values["subscribe"]
    _forget(connection, UPDATES)
    if values["subscribe"]:
        _send_account(hub, connection)
        connection.send(message(Out.ACCOUNT_DOWNLOAD_END, 1, ACCOUNT))


def _send_account(hub: Hub, connection: Connection) -> None:
    for tag, value, currency in _changed(connection, UPDATES, account_rows(hub)):
        connection.send(message(Out.ACCOUNT_VALUE, 2, tag, value, currency, ACCOUNT))
    for column in sorted(hub.exchange.account.positions):
        _send_portfolio(hub, connection, column)
    connection.send(message(Out.ACCOUNT_TIME, 1, f"{new_york(hub.now):%H:%M}"))


def _send_portfolio(hub: Hub, connection: Connection, column: int) -> None:
    position = hub.exchange.account.positions[column]
    mark = hub.exchange.mark(column)
    instrument = INSTRUMENTS[column]
    shown = f"{mark} {position.shares} {position.basis} {position.realized}"
    if not _changed(connection, UPDATES, [(instrument.local_symbol, shown, "")]):
        return
    fields = stock(instrument, instrument.primary) | {"right": "0"}
    connection.send(
        message(
            Out.PORTFOLIO_VALUE,
            *(8, *fields.values(), position.shares, cents(mark), cents(position.shares * mark)),
            *(position.average_cost, cents(position.shares * mark - position.basis)),
            *(cents(position.realized), ACCOUNT),
        )
    )


def _changed(connection: Connection, told: str, rows: list[Row]) -> list[Row]:
    """Return the rows whose values a request has not been told yet, and note them as told."""
    sent = connection.subscriptions.account_sent
    changed: list[Row] = []
    for row in rows:
        tag, value, currency = row
        key = told, tag, currency
        if sent.get(key) != value:
            sent[key] = value
            changed.append(row)
    return changed


def _forget(connection: Connection, told: str) -> None:
    """Forget what a request was told: it starts anew, or has ended."""
    sent = connection.subscriptions.account_sent
    for key in [key for key in sent if key[0] == told]:
        del sent[key]


def tell_account(hub: Hub, connection: Connection) -> None:
    """Send what has changed of the account to those who follow it."""
    subscriptions = connection.subscriptions
    if subscriptions.account:
        _send_account(hub, connection)
    rows = account_rows(hub) if subscriptions.account_multi or subscriptions.summaries else []
    for request_id, ledger_only in subscriptions.account_multi.items():
        _send_multi(connection, request_id, rows, ledger_only)
    for request_id, tags in subscriptions.summaries.items():
        _send_summary(connection, request_id, rows, tags)


def account_multi(hub: Hub, connection: Connection, values: Values) -> None:
    """Start account updates under a request id."""
    if values["account"] not in {"", ACCOUNT}:
        raise Refused(321, "Error validating request.-'bG' : cause - Invalid account code")
    request_id, ledger_only = values["reqId"], values["ledgerAndNLV"]
    connection.subscriptions.account_multi[request_id] = ledger_only
    _forget(connection, f"multi {request_id}")
    _send_multi(connection, request_id, account_rows(hub), ledger_only)
    connection.send(message(Out.ACCOUNT_UPDATE_MULTI_END, 1, request_id))


def _send_multi(
    connection: Connection, request_id: int, rows: list[Row], ledger_only: bool
) -> None:
    wanted = [
        row
        for row in rows
        if not ledger_only or row[0] == "NetLiquidation" or row[0] in LEDGER_TAGS
    ]
    for tag, value, currency in _changed(connection, f"multi {request_id}", wanted):
        fields = (1, request_id, ACCOUNT, "", tag, value, currency)
        connection.send(message(Out.ACCOUNT_UPDATE_MULTI, *fields))


def cancel_account_multi(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop account updates under a request id."""
    connection.subscriptions.account_multi.pop(values["reqId"], None)


def account_summary(hub: Hub, connection: Connection, values: Values) -> None:
    """Start an account summary of the named tags ($LEDGER: the cash balances)."""
    tags = tuple(tag.strip() for tag in values["tags"].split(",") if tag.strip())
    rows = account_rows(hub)
    _check_summary(values["group"], tags, {tag for tag, _, _ in rows})
    if values["reqId"] in connection.subscriptions.summaries:
        raise Refused(322, "Error processing request.-'bF' : cause - Duplicate ticker id")
    if len(connection.subscriptions.summaries) >= 2:
        raise Refused(
            322,
            "Error processing request.-'bF' : cause - "
            "Maximum number of account summary requests exceeded",
        )
    connection.subscriptions.summaries[values["reqId"]] = tags
    _forget(connection, f"summary {values['reqId']}")
    _send_summary(connection, values["reqId"], rows, tags)
    connection.send(message(Out.ACCOUNT_SUMMARY_END, 1, values["reqId"]))


def _check_summary(group: str, tags: tuple[str, ...], known: set[str]) -> None:
    """Refuse a group other than All, and tags of which none is known."""
    validating = "Error validating request.-'bF' : cause - "
    if group != "All":
        raise Refused(321, f"{validating}Group {group or '(none)'} is not known; use All")
    if not any(tag in known or tag.startswith("$LEDGER") for tag in tags):
        shown = ", ".join(tags)[:200] or "(none)"
        raise Refused(321, f"{validating}None of the tags is known: {shown}")


def _send_summary(
    connection: Connection, request_id: int, rows: list[Row], tags: tuple[str, ...]
) -> None:
    ledger = any(tag.startswith("$LEDGER") for tag in tags)
    wanted = [row for row in rows if row[0] in tags or (ledger and row[0] in LEDGER_TAGS)]
    for tag, value, currency in _changed(connection, f"summary {request_id}", wanted):
        fields = (1, request_id, ACCOUNT, tag, value, currency)
        connection.send(message(Out.ACCOUNT_SUMMARY, *fields))


def cancel_account_summary(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop an account summary."""
    connection.subscriptions.summaries.pop(values["reqId"], None)


def positions(hub: Hub, connection: Connection, values: Values) -> None:
    """Send every position, and start position updates."""
    connection.subscriptions.positions = True
    for column, position in sorted(hub.exchange.account.positions.items()):
        if position.shares:
            _send_position(connection, column, position)
    connection.send(message(Out.POSITION_END, 1))


def cancel_positions(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop position updates."""
    connection.subscriptions.positions = False


def positions_multi(hub: Hub, connection: Connection, values: Values) -> None:
    """Send every position under a request id, and start updates."""
    if values["account"] not in {"", ACCOUNT}:
        raise Refused(321, "Error validating request.-'bU' : cause - Invalid account code")
    connection.subscriptions.positions_multi[values["reqId"]] = values["modelCode"]
    for column, position in sorted(hub.exchange.account.positions.items()):
        if position.shares:
            _send_position_multi(connection, values["reqId"], column, position)
    connection.send(message(Out.POSITION_MULTI_END, 1, values["reqId"]))


def cancel_positions_multi(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop position updates under a request id."""
    connection.subscriptions.positions_multi.pop(values["reqId"], None)


def tell_positions(hub: Hub, connection: Connection, columns: set[int]) -> None:
    """Send changed positions to those who follow them."""
    for column in sorted(columns):
        position = hub.exchange.account.positions[column]
        if connection.subscriptions.positions:
            _send_position(connection, column, position)
        for request_id in connection.subscriptions.positions_multi:
            _send_position_multi(connection, request_id, column, position)


def _send_position(connection: Connection, column: int, position: Position) -> None:
    contract = stock(INSTRUMENTS[column], INSTRUMENTS[column].primary)
    fields = (3, ACCOUNT, *contract.values(), position.shares, position.average_cost)
    connection.send(message(Out.POSITION, *fields))


def _send_position_multi(
    connection: Connection, request_id: int, column: int, position: Position
) -> None:
    contract = stock(INSTRUMENTS[column], INSTRUMENTS[column].primary)
    fields = (1, request_id, ACCOUNT, *contract.values(), position.shares, position.average_cost)
    connection.send(message(Out.POSITION_MULTI, *fields, ""))


HANDLERS = {
    "reqAccountUpdates": account_updates,
    "reqAccountUpdatesMulti": account_multi,
    "cancelAccountUpdatesMulti": cancel_account_multi,
    "reqAccountSummary": account_summary,
    "cancelAccountSummary": cancel_account_summary,
    "reqPositions": positions,
    "cancelPositions": cancel_positions,
    "reqPositionsMulti": positions_multi,
    "cancelPositionsMulti": cancel_positions_multi,
}
