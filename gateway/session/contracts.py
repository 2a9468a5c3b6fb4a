"""Which instruments a client means by the contract fields of its request."""

from __future__ import annotations

from typing import Any

from gateway.engine.refusal import Refused
from gateway.market.universe import BY_CON_ID, INSTRUMENTS, Instrument
from gateway.session.venues import EXCHANGES

UNKNOWN = "No security definition has been found for the request"
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
    found = [i for i in _candidates(values) if _fits(i, values)]
    if not found:
        raise Refused(200, UNKNOWN)
    return found


def one_column(values: dict[str, Any]) -> int:
    """Return the column of the one instrument that is meant; raise Refused otherwise."""
    found = find(values)
    if len(found) > 1:
        raise Refused(200, "The contract description specified is ambiguous.")
    return found[0].column


def separate_primary(values: dict[str, Any]) -> None:
    """Read SMART:NASDAQ or SMART/NASDAQ, as older clients write it, as SMART and the primary."""
    routing, _, primary = values["exchange"].replace("/", ":").partition(":")
    if primary and routing.upper() == "SMART":
        values["exchange"] = routing
        values["primaryExchange"] = values.get("primaryExchange") or primary


def refuse_untradable(column: int) -> None:
    """Raise Refused for an instrument that gives data but takes no orders: indices, forex."""
    kind = INSTRUMENTS[column].sec_type
    if kind == "IND":
        raise Refused(201, "Order rejected - reason:The contract is not available for trading")
    if kind == "CASH":
        raise Refused(460, "No trading permissions.")


def list_only(columns: frozenset[int] | None) -> None:
    """Let only these columns be found (None: all); a replayed file knows no others."""
    _LISTED.clear()
    _LISTED.update(range(len(INSTRUMENTS)) if columns is None else columns)


_LISTED: set[int] = set(range(len(INSTRUMENTS)))


def listed() -> list[Instrument]:
    """Return the instruments that can be found."""
    return [INSTRUMENTS[column] for column in sorted(_LISTED)]


def exchanges_of(instrument: Instrument) -> tuple[str, ...]:
    """Return the exchanges that an instrument can be asked for on, the usual one first."""
    return EXCHANGES if instrument.sec_type == "STK" else (instrument.primary,)


def _candidates(values: dict[str, Any]) -> list[Instrument]:
    con_id, symbol, local = values["conId"], values["symbol"], values["localSymbol"]
    if con_id:
        found = BY_CON_ID.get(con_id)
        return [found] if found and found.column in _LISTED else []
    name = (symbol or local).upper()
    if not name:
        return []
    return [i for i in listed() if name in {i.symbol, i.local_symbol}]


def _fits(instrument: Instrument, values: dict[str, Any]) -> bool:
    exchange = values.get("exchange", "").upper()
    primary = values.get("primaryExchange", "").upper()
    return (
        values["secType"] in {"", instrument.sec_type}
        and values["symbol"].upper() in {"", instrument.symbol}
        and values["localSymbol"].upper() in {"", instrument.local_symbol}
        and values.get("currency", "") in {"", instrument.currency}
        and SAME_EXCHANGE.get(exchange, exchange) in {"", *exchanges_of(instrument)}
        and SAME_EXCHANGE.get(primary, primary) in {"", "SMART", instrument.primary}
        and values.get("tradingClass", "") in {"", instrument.trading_class}
    )
