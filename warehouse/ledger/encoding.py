"""How values are written in the ledger: exact decimals, UTC moments and JSON, all as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

from models.domain.errors import InvalidInput


def moment_text(moment: datetime) -> str:
    """Write a timezone-aware moment in UTC with microseconds: text order is time order.

    Raises InvalidInput for a moment without a timezone.
    """
    if moment.tzinfo is None:
        raise InvalidInput(f"the moment {moment} has no timezone; give it as UTC")
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds')[:-6]}Z"  # without +00:00


def moment_of(text: str) -> datetime:
    """Read what `moment_text` wrote, as UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def money_text(amount: Decimal) -> str:
    """Write a finite decimal exactly as it is.

    Raises InvalidInput for NaN and infinities.
    """
    if not amount.is_finite():
        raise InvalidInput(f"{amount} is no amount; the ledger takes finite decimals only")
    return str(amount)


def optional_money(text: str | None) -> Decimal | None:
    """Read a decimal that may be absent."""
    return None if text is None else Decimal(text)


def optional_money_text(amount: Decimal | None) -> str | None:
    """Write a decimal that may be absent."""
    return None if amount is None else money_text(amount)


def json_text(payload: Mapping[str, Any]) -> str:
    """Write a mapping as JSON with sorted keys; decimals, moments and dates become text."""
    return _ENCODER.encode(dict(payload))


def list_text(items: Sequence[object]) -> str:
    """Write a list as JSON, quickly; it reads back as what `json_text` writes of it does."""
    try:
        text = orjson.dumps(items, default=_plain, option=_AS_JSON).decode()
    except TypeError:  # NumPy's numbers, whole ones above 64 bits, and what cannot be written
        return _ENCODER.encode(list(items))
    return _ENCODER.encode(list(items)) if "null" in text else text  # NaN and infinity, perhaps


def list_of(text: str) -> list[Any]:
    """Read what `list_text` wrote."""
    found: list[Any] = json.loads(text)
    return found


def json_of(text: str) -> dict[str, Any]:
    """Read what `json_text` wrote."""
    found: dict[str, Any] = json.loads(text)
    return found


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise InvalidInput(f"{value!r} of type {type(value).__name__} cannot be written as JSON")


_AS_JSON = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_SORT_KEYS
_ENCODER = json.JSONEncoder(sort_keys=True, default=_plain, separators=(",", ":"))
