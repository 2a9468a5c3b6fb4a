"""Which instruments a client means by the contract fields of its request."""

from __future__ import annotations

from typing import Any

from gateway.engine.refusal import Refused
from gateway.market.universe import BY_CON_ID, FIRST_CON_ID, INSTRUMENTS, Instrument

UNKNOWN = "No security definition has been found for the request"
EXCHANGES = ("SMART", "NYSE", "NASDAQ", "ARCA", "BATS", "IEX")
SAME_EXCHANGE = {"ISLAND": "NASDAQ"}
SEC_TYPES = frozenset(
    (
        "STK",
        "OPT",
        "FUT",
        "CASH",
        "IND",
        "FOP",
        "CFD",
        "BAG",
        "WAR",
        "BOND",
        "CMDTY",
        "NEWS",
        "FUND",
        "IOPT",
        "CONTFUT",
        "CRYPTO",
        "EC",
    )
)


def find(values: dict[str, Any]) -> list[Instrument]:
    """Return the matching instruments; raise Refused (200, 321) when there are none."""
    kind = values["secType"]
    if kind and kind not in SEC_TYPES:
        raise Refused(
            321, "Error validating request.-'bN' : cause - Please enter a valid security type"
        )
    found = [i for i in _candidates(values) if _fits(i, values)] if kind in {"", "STK"} else []
    if not found:
        raise Refused(200, UNKNOWN)
    return found


def one_column(values: dict[str, Any]) -> int:
    """Return the column of the one instrument that is meant; raise Refused otherwise."""
    found = find(values)
    if len(found) > 1:
        raise Refused(200, "The contract description specified is ambiguous.")
    return found[0].con_id - FIRST_CON_ID


def _candidates(values: dict[str, Any]) -> tuple[Instrument, ...]:
    con_id, symbol, local = values["conId"], values["symbol"], values["localSymbol"]
    if con_id:
        found = BY_CON_ID.get(con_id)
        return (found,) if found else ()
    name = (symbol or local).upper()
    return tuple(i for i in INSTRUMENTS if i.symbol == name) if values["secType"] and name else ()


def _fits(instrument: Instrument, values: dict[str, Any]) -> bool:
    exchange = values.get("exchange", "").upper()
    primary = values.get("primaryExchange", "").upper()
    return (
        values["symbol"].upper() in {"", instrument.symbol}
        and values["localSymbol"].upper() in {"", instrument.symbol}
        and values.get("currency", "") in {"", "USD"}
        and SAME_EXCHANGE.get(exchange, exchange) in {"", *EXCHANGES}
        and SAME_EXCHANGE.get(primary, primary) in {"", "SMART", instrument.primary}
        and values.get("tradingClass", "") in {"", instrument.trading_class}
    )
