"""The text of a message of the TWS API, as ib_async's client writes it, for a fraction of the time.

An order has a hundred fields, and ib_async builds its converters anew for each message. What is
written must be the same to the byte: a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from types import NoneType
from typing import Any

UNSET_DOUBLE = 1.7976931348623157e308
UNSET_INTEGER = 2**31 - 1


def message_text(fields: Iterable[Any], contract: type) -> str:
    """Return the fields as text, each with a NUL behind it; an unset number is empty.

    `contract` is the class whose objects, and its subclasses', stand for twelve fields.
    """
    parts: list[str] = []
    for field in fields:
        kind = type(field)
        if kind is str:
            parts.append(field)
            continue
        text = _TEXTS.get(kind)
        if text is None:
            text = _contract_text if isinstance(field, contract) else str
        parts.append(text(field))
    parts.append("")
    return "\0".join(parts)


def _contract_text(contract: Any) -> str:
    fields = (
        contract.conId,
        contract.symbol,
        contract.secType,
        contract.lastTradeDateOrContractMonth,
        contract.strike,
        contract.right,
        contract.multiplier,
        contract.exchange,
        contract.primaryExchange,
        contract.currency,
        contract.localSymbol,
        contract.tradingClass,
    )
    return "\0".join(map(str, fields))


def _float_text(number: float) -> str:
    if number == UNSET_DOUBLE:
        return ""
    return "Infinite" if number == inf else str(number)


def _int_text(number: int) -> str:
    return "" if number == UNSET_INTEGER else str(number)


def _bool_text(flag: bool) -> str:
    return "1" if flag else "0"


def _nothing(_field: None) -> str:
    return ""


def _tags_text(tags: Iterable[Any]) -> str:
    return "".join(f"{tag.tag}={tag.value};" for tag in tags)


_TEXTS: dict[type, Callable[[Any], str]] = {
    float: _float_text,
    int: _int_text,
    bool: _bool_text,
    NoneType: _nothing,
    list: _tags_text,
}
