"""Messages to the client: plain rows of fields, and the few that are built from a whole order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from typing import Any

from gateway.codec.framing import frame


class Out(IntEnum):
    """Message ids towards the client."""

    TICK_PRICE = 1
    TICK_SIZE = 2
    ORDER_STATUS = 3
    ERROR = 4
    OPEN_ORDER = 5
    ACCOUNT_VALUE = 6
    PORTFOLIO_VALUE = 7
    ACCOUNT_TIME = 8
    NEXT_VALID_ID = 9
    CONTRACT_DETAILS = 10
    EXECUTION = 11
    MARKET_DEPTH = 12
    MARKET_DEPTH_L2 = 13
    MANAGED_ACCOUNTS = 15
    HISTORICAL_DATA = 17
    SCANNER_PARAMETERS = 19
    TICK_GENERIC = 45
    TICK_STRING = 46
    CURRENT_TIME = 49
    REAL_TIME_BAR = 50
    CONTRACT_DETAILS_END = 52
    OPEN_ORDER_END = 53
    ACCOUNT_DOWNLOAD_END = 54
    EXECUTION_END = 55
    TICK_SNAPSHOT_END = 57
    MARKET_DATA_TYPE = 58
    COMMISSION_REPORT = 59
    POSITION = 61
    POSITION_END = 62
    ACCOUNT_SUMMARY = 63
    ACCOUNT_SUMMARY_END = 64
    DISPLAY_GROUP_LIST = 67
    DISPLAY_GROUP_UPDATED = 68
    POSITION_MULTI = 71
    POSITION_MULTI_END = 72
    ACCOUNT_UPDATE_MULTI = 73
    ACCOUNT_UPDATE_MULTI_END = 74
    OPTION_PARAMETERS_END = 76
    SOFT_DOLLAR_TIERS = 77
    FAMILY_CODES = 78
    SYMBOL_SAMPLES = 79
    DEPTH_EXCHANGES = 80
    TICK_REQ_PARAMS = 81
    SMART_COMPONENTS = 82
    NEWS_PROVIDERS = 85
    HEAD_TIMESTAMP = 88
    HISTOGRAM = 89
    HISTORICAL_UPDATE = 90
    MARKET_RULE = 93
    PNL = 94
    PNL_SINGLE = 95
    HISTORICAL_TICKS = 96
    HISTORICAL_TICKS_BID_ASK = 97
    HISTORICAL_TICKS_LAST = 98
    TICK_BY_TICK = 99
    ORDER_BOUND = 100
    COMPLETED_ORDER = 101
    COMPLETED_ORDERS_END = 102
    HISTORICAL_SCHEDULE = 106
    USER_INFO = 107


def _decimal_text(value: Decimal) -> str:
    return format(value, "f") if value.is_finite() else "Infinity"


_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    bool: lambda value: "1" if value else "0",
    Decimal: _decimal_text,
    float: repr,
}
_NUL = "\0"
_KINDS = {kind: f"{int(kind)}\0" for kind in Out}


def text_of(value: Any) -> str:
    """Write one value as the protocol does: unset is empty, flags are 0 or 1."""
    return value if type(value) is str else _WRITERS.get(type(value), str)(value)


def message(kind: Out, *values: Any) -> bytes:
    """Return one framed message."""
    if not values:
        return frame(_KINDS[kind].encode())
    writer = _WRITERS.get
    texts = [v if type(v) is str else writer(type(v), str)(v) for v in values]
    return frame(f"{_KINDS[kind]}{_NUL.join(texts)}\0".encode())


# The messages that come by the tens of thousands are written each by one format, several times as
# fast as field by field.


def tick_price(request_id: int, kind: int, price: str, size: int, mask: int) -> bytes:
    """Return a top-of-book price (tickPrice, version 6)."""
    return frame(f"1\x006\0{request_id}\0{kind}\0{price}\0{size}\0{mask}\0".encode())


def tick_size(request_id: int, kind: int, size: int) -> bytes:
    """Return a top-of-book size or volume (tickSize, version 6)."""
    return frame(f"2\x006\0{request_id}\0{kind}\0{size}\0".encode())


def tick_string(request_id: int, kind: int, text: str) -> bytes:
    """Return a top-of-book text (tickString, version 6)."""
    return frame(f"46\x006\0{request_id}\0{kind}\0{text}\0".encode())


def tick_trade(request_id: int, kind: int, at: int, price: str, size: int) -> bytes:
    """Return one trade, tick by tick, on Nasdaq; `at` is seconds since 1970."""
    return frame(f"99\0{request_id}\0{kind}\0{at}\0{price}\0{size}\x000\0NASDAQ\0\0".encode())


def tick_quote(request_id: int, at: int, prices: tuple[str, str], sizes: tuple[int, int]) -> bytes:
    """Return one bid and ask, tick by tick; `at` is seconds since 1970."""
    (bid, ask), (bid_size, ask_size) = prices, sizes
    head = f"99\0{request_id}\x003\0{at}\0"
    return frame(f"{head}{bid}\0{ask}\0{bid_size}\0{ask_size}\x000\0".encode())


DepthCells = tuple[int, int, str, int]  # operation, side, price, shares


def depth_row(request_id: int, place: int, cells: DepthCells) -> bytes:
    """Return one row of market depth (updateMktDepth, version 1)."""
    operation, side, price, size = cells
    row = f"12\x001\0{request_id}\0{place}\0{operation}\0{side}\0{price}\0{size}\0"
    return frame(row.encode())


def depth_l2(request_id: int, place: int, maker: str, cells: DepthCells, smart: bool) -> bytes:
    """Return one row of market depth with its market maker (updateMktDepthL2, version 1)."""
    operation, side, price, size = cells
    head = f"13\x001\0{request_id}\0{place}\0{maker}\0"
    return frame(f"{head}{operation}\0{side}\0{price}\0{size}\0{int(smart)}\0".encode())


def cents(value: int) -> str:
    """Write whole cents as dollars, exactly."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    return f"{sign}{value // 100}.{value % 100:02d}"
