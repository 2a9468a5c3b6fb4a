"""What is known of instruments and the account, and does not change with the market."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from gateway.codec.fields import UNSET_INT
from gateway.codec.messages import Out, message
from gateway.engine.refusal import Refused
from gateway.market.universe import RULES, Instrument
from gateway.options import ACCOUNT
from gateway.session.connection import Connection
from gateway.session.contracts import exchanges_of, find, listed
from gateway.session.venues import EXCHANGES, LETTERS
from gateway.timeline import SECOND, Span, extended_span, forex_span, new_york, span_on

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
ORDER_TYPES = (
    "ACTIVETIM,AD,ALGO,AON,CASHQTY,COND,CONDORDER,DAY,FOK,GAT,GTC,GTD,HID,ICE,IOC,LIT,LMT,LOC,"
    "LOO,MIT,MKT,MOC,MOO,OCA,OPG,PEGMID,REL,RTH,STP,STPLMT,TRAIL,TRAILLMT,WHATIF"
)
HOURS_DAYS = 6


def contract_details(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the details of every matching instrument."""
    for instrument in find(values):
        usual = exchanges_of(instrument)[0]
        exchange = values["exchange"] or usual
        connection.send(
            _details(instrument, exchange, hub.now, values["reqId"], connection.version)
        )
    connection.send(message(Out.CONTRACT_DETAILS_END, 1, values["reqId"]))


def _details(
    instrument: Instrument, exchange: str, now: int, request_id: int, version: int
) -> bytes:
    old, kind, name = version < 164, instrument.sec_type, instrument.local_symbol
    exchanges = exchanges_of(instrument)
    trading, liquid = trading_hours(instrument, now)
    fields: list[Any] = [8] if old else []
    fields += [request_id, instrument.symbol, kind, "", "0", "", exchange, instrument.currency]
    fields += [name, instrument.trading_class, instrument.trading_class]
    fields += [instrument.con_id, instrument.tick]
    fields += [100] if old else []
    fields += ["", ORDER_TYPES if kind == "STK" else "", ",".join(exchanges), 1, 0]
    fields += [instrument.name, "" if kind == "CASH" else instrument.primary]
    fields += ["", instrument.industry, instrument.category, instrument.category, "US/Eastern"]
    fields += [trading, liquid, "", "", 0, 1, "", ""]
    fields += [",".join([str(instrument.rule)] * len(exchanges)), "", instrument.stock_type]
    if version == 163:
        fields += ["1"]
    if version >= 164:
        fields += ["1", "1", "1"]
    return message(Out.CONTRACT_DETAILS, *fields)


def trading_hours(instrument: Instrument, now: int) -> tuple[str, str]:
    """Return trading and liquid hours of the next days: stocks from 04:00 to 20:00 and regular."""
    today = new_york(now).date()
    days = [today + timedelta(days=offset) for offset in range(HOURS_DAYS)]
    if instrument.sec_type == "CASH":
        text = ";".join(filter(None, map(_forex_hours, days)))
        return text, text
    liquid: list[str] = []
    trading: list[str] = []
    for day in days:
        span = span_on(day)
        if span is None:
            closed = f"{day:%Y%m%d}:CLOSED"
            liquid.append(closed)
            trading.append(closed)
        else:
            wide = extended_span(day) if instrument.sec_type == "STK" else span
            liquid.append(_hours(span))
            trading.append(_hours(wide))
    return ";".join(trading), ";".join(liquid)


def _forex_hours(day: date) -> str:
    """Return the hours of a forex day; none for a day off whose evening begins the next one."""
    if span_on(day) is not None:
        return _hours(forex_span(day))
    return "" if span_on(day + timedelta(days=1)) is not None else f"{day:%Y%m%d}:CLOSED"


def _hours(span: Span) -> str:
    return f"{new_york(span.open):%Y%m%d:%H%M}-{new_york(span.close):%Y%m%d:%H%M}"


def matching_symbols(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the instruments whose symbol or name begins with the pattern."""
    pattern = values["pattern"].strip().upper()
    found = [
        instrument
        for instrument in listed()
        if pattern
        and (
            instrument.symbol.startswith(pattern)
            or any(word.startswith(pattern) for word in instrument.name.split())
        )
    ][:16]
    fields: list[Any] = [values["reqId"], len(found)]
    for instrument in found:
        fields += [instrument.con_id, instrument.symbol, instrument.sec_type]
        fields += [instrument.primary, instrument.currency, 0]
        if connection.version >= 176:
            fields += [instrument.name, ""]
    connection.send(message(Out.SYMBOL_SAMPLES, *fields))


def market_rule(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the price increments of a market rule."""
    rule = RULES.get(values["marketRuleId"])
    if rule is None:
        raise Refused(321, "Error validating request.-'bR' : cause - Invalid market rule id")
    cells = [cell for level in rule for cell in level]
    connection.send(message(Out.MARKET_RULE, values["marketRuleId"], len(rule), *cells))


def current_time(hub: Hub, connection: Connection, values: Values) -> None:
    """Send market time in whole seconds."""
    connection.send(message(Out.CURRENT_TIME, 1, hub.now // SECOND))


def managed_accounts(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the account list."""
    connection.send(message(Out.MANAGED_ACCOUNTS, 1, ACCOUNT))


def family_codes(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the account's (empty) family code."""
    connection.send(message(Out.FAMILY_CODES, 1, ACCOUNT, ""))


def soft_dollar_tiers(hub: Hub, connection: Connection, values: Values) -> None:
    """Send no soft dollar tiers."""
    connection.send(message(Out.SOFT_DOLLAR_TIERS, values["reqId"], 0))


def depth_exchanges(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the exchanges that publish depth."""
    fields: list[Any] = [len(EXCHANGES) - 1]
    for exchange in EXCHANGES[1:]:
        fields += [exchange, "STK", "", "Deep2", UNSET_INT]
    connection.send(message(Out.DEPTH_EXCHANGES, *fields))


def smart_components(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the exchanges behind SMART and their letters."""
    fields: list[Any] = [values["reqId"], len(EXCHANGES) - 1]
    for bit, exchange in enumerate(EXCHANGES[1:]):
        fields += [bit, exchange, LETTERS[exchange]]
    connection.send(message(Out.SMART_COMPONENTS, *fields))


def option_parameters(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the end of an empty list: no options are listed here."""
    connection.send(message(Out.OPTION_PARAMETERS_END, values["reqId"]))


def news_providers(hub: Hub, connection: Connection, values: Values) -> None:
    """Send no news providers."""
    connection.send(message(Out.NEWS_PROVIDERS, 0))


def scanner_parameters(hub: Hub, connection: Connection, values: Values) -> None:
    """Send an empty list of scans."""
    text = '<?xml version="1.0" encoding="UTF-8"?><ScanParameterResponse/>'
    connection.send(message(Out.SCANNER_PARAMETERS, 1, text))


def display_groups(hub: Hub, connection: Connection, values: Values) -> None:
    """Send an empty list of display groups."""
    connection.send(message(Out.DISPLAY_GROUP_LIST, 1, values["reqId"], ""))


def group_events(hub: Hub, connection: Connection, values: Values) -> None:
    """Send that nothing is selected in the group."""
    connection.send(message(Out.DISPLAY_GROUP_UPDATED, 1, values["reqId"], "none"))


def user_info(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the (empty) white branding id."""
    connection.send(message(Out.USER_INFO, values["reqId"], ""))


HANDLERS = {
    "reqContractDetails": contract_details,
    "reqMatchingSymbols": matching_symbols,
    "reqMarketRule": market_rule,
    "reqCurrentTime": current_time,
    "reqManagedAccts": managed_accounts,
    "reqFamilyCodes": family_codes,
    "reqSoftDollarTiers": soft_dollar_tiers,
    "reqMktDepthExchanges": depth_exchanges,
    "reqSmartComponents": smart_components,
    "reqSecDefOptParams": option_parameters,
    "reqNewsProviders": news_providers,
    "reqScannerParameters": scanner_parameters,
    "queryDisplayGroups": display_groups,
    "subscribeToGroupEvents": group_events,
    "reqUserInfo": user_info,
}
