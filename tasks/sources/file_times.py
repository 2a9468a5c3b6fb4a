"""The times in a bar file: their form, and the time zone that they are in or that was stated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

OFFSET = r"(?:[zZ]|UTC|\d[+-]\d{2}:?\d{2})$"  # not the year of 02-Jan-2024
FIXED = {"EST": "America/New_York", "MST": "America/Denver", "HST": "Pacific/Honolulu"}
ISO = "ISO8601"
EPOCHS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
FORMATS = (
    *("%Y%m%d", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%Y%m%d %H%M%S", "%Y%m%d %H%M"),
    *("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%y"),
    *("%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S"),
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
    *("%d-%b-%Y", "%b %d, %Y"),
)
NO_TIME = "the date or time cannot be read"
NO_OFFSET = "the time has no offset from UTC, though others of the file have one"
AN_OFFSET = "the time has an offset from UTC, though others of the file have none"
AMBIGUOUS = "the time does not exist or exists twice where clocks change"


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How times are written: `form` is ISO8601, an epoch unit or a strptime format.

    `aware` says that each has its own offset; `zone` is the stated time zone of the others.
    """

    form: str
    aware: bool
    zone: str | None

    @property
    def text(self) -> str:
        """For people."""
        if self.form in EPOCHS.values():
            return f"{self.form} since 1970 UTC"
        zone = "each with its offset from UTC" if self.aware else self.zone or "no time zone"
        return f"{self.form}, {zone}"


def guess_times(sample: Sequence[str], zone: str | None, form: str | None = None) -> TimeForm:
    """Recognise the form of the first times of a file; `zone` and `form` are those stated.

    Raises InvalidInput for times of no known form, or of one that leaves open whether the day or
    the month goes first, for a mix of times with and without an offset, and for an unknown zone.
    """
    _check_zone(zone)
    texts = [text for text in sample if text]
    if not texts:
        raise InvalidInput("the file has no rows with a date or time; see --map and --layout")
    if form is None and all(text.isdigit() for text in texts) and len(texts[0]) in EPOCHS:
        return TimeForm(EPOCHS[len(texts[0])], True, None)
    offsets = [bool(re.search(OFFSET, text)) and len(text) > 10 for text in texts]
    if any(offsets) and not all(offsets):
        row = offsets.index(not offsets[0]) + 1
        raise InvalidInput(
            f"the file mixes times with and without an offset from UTC ({texts[0]!r} in row 1, "
            f"{texts[row - 1]!r} in row {row}), so the time zone of some is not known: give all of "
            "them an offset, or none and --timezone"
        )
    return TimeForm(_stated(texts, form) if form else _form(texts), offsets[0], zone)


def _check_zone(zone: str | None) -> None:
    if zone is None:
        return
    if zone.upper() in FIXED:
        raise InvalidInput(
            f"--timezone {zone} has no daylight saving: its summers would be an hour off. Give "
            f"{FIXED[zone.upper()]}, or Etc/GMT+5 and the like where clocks never change"
        )
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"--timezone {zone} is unknown; give a name such as America/New_York or UTC"
        ) from error


def _stated(texts: Sequence[str], form: str) -> str:
    """Return the stated form; InvalidInput when it does not read most of the texts."""
    if not _reads(texts, form):
        raise InvalidInput(
            f"--time-format {form} does not read the file's times (the first is {texts[0]!r}); "
            f"give {ISO} or Python's codes, as in %d/%m/%Y %H:%M"
        )
    return form


def _reads(texts: Sequence[str], form: str) -> bool:
    """Tell whether a form reads more than nine texts of ten."""
    import pandas as pd

    try:
        read = pd.to_datetime(pd.Series(texts), format=form, errors="coerce", utc=True)
    except ValueError:  # a code that there is not
        return False
    return bool(read.notna().mean() > 0.9)


def _form(texts: Sequence[str]) -> str:
    digits = [text for text in texts if text.isdigit()]
    forms = (ISO, *FORMATS) if all(len(text) == 8 for text in digits) else (ISO,)
    for form in forms:
        if not _reads(texts, form) or (form == ISO and texts[0].isdigit()):
            continue
        other = form.replace("%m/%d", "%d/%m")
        if other != form and _reads(texts, other):
            raise InvalidInput(
                f"the first dates of the file do not tell whether the day or the month goes first "
                f"({texts[0]!r}); state it: --time-format {form!r} or {other!r}"
            )
        return form
    raise InvalidInput(
        f"the times are of no known form (the first is {texts[0]!r}); write them as "
        "2024-01-02 09:30:00, state --time-format, or name their column with --map time=COLUMN"
    )


def read_times(texts: pd.Series, form: TimeForm) -> tuple[pd.Series, pd.Series]:
    """Return moments (UTC, or without a zone when none is known) and, by row, why there is none."""
    import pandas as pd

    why = pd.Series("", index=texts.index, dtype=object)
    if form.form in EPOCHS.values():
        numbers = pd.to_numeric(texts, errors="coerce")
        unit: Any = form.form
        moments = pd.to_datetime(numbers, unit=unit, utc=True, errors="coerce")
        why[moments.isna()] = NO_TIME
        return moments, why
    has_offset = texts.str.contains(OFFSET, regex=True, na=False) & (texts.str.len() > 10)
    moments = pd.to_datetime(texts, format=form.form, errors="coerce", utc=True)
    why[moments.isna()] = NO_TIME
    wrong = has_offset != form.aware
    why[wrong & (why == "")] = AN_OFFSET if not form.aware else NO_OFFSET
    if form.aware:
        return moments.where(~wrong), why
    local = moments.where(~wrong).dt.tz_localize(None)
    if form.zone is None:
        return local, why
    placed = local.dt.tz_localize(ZoneInfo(form.zone), ambiguous="NaT", nonexistent="NaT")
    why[placed.isna() & (why == "")] = AMBIGUOUS
    return placed.dt.tz_convert("UTC"), why
