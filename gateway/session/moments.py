"""The date and time formats that clients write."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.engine.refusal import Refused
from gateway.timeline import to_micros
from models.domain.sessions import EXCHANGE_TZ

INVALID = (
    "End Date/Time: The date, time, or time-zone entered is invalid. The correct format is "
    "yyyymmdd hh:mm:ss xx/xxxx where yyyymmdd and xx/xxxx are optional."
)


def parse_moment(text: str) -> int:
    """Return microseconds UTC of a client's date and time; New York is meant where no zone is.

    Reads `yyyymmdd hh:mm:ss zone`, `yyyymmdd-hh:mm:ss` (UTC), both without seconds' fractions, and
    a bare `yyyymmdd`. Raises Refused 10314 for anything else.
    """
    words = text.split()
    try:
        if len(words) == 1 and "-" in text:
            return to_micros(datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC))
        zone = ZoneInfo(words[2]) if len(words) > 2 else EXCHANGE_TZ
        day = words[0]
        clock = words[1] if len(words) > 1 else "00:00:00"
        stamp = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
        return to_micros(stamp.astimezone(UTC))
    except (ValueError, IndexError, OSError, OverflowError, ZoneInfoNotFoundError):
        raise Refused(10314, INVALID) from None
