"""Bars of every timeframe: their suite, and the columns that its rules look at."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np

from models.domain.sessions import TradingSession
from tasks.quality.returns import Scale, look_at_returns
from tasks.quality.rules import Kind, Rule, Severity, columns, filled, flag, some_rows
from tasks.quality.sequence import Sequence
from warehouse.market.minute_rows import LARGEST_PRICE

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

PRICE_COLUMNS = ("open", "high", "low", "close")
BAR_COLUMNS = ("symbol", "session", *PRICE_COLUMNS, "volume")
MINUTE_COLUMNS = ("symbol", "ts", *PRICE_COLUMNS, "volume")
DAY = 86_400
EXTENDED_OPEN, EXTENDED_CLOSE = 5.5 * 3600, 4 * 3600  # before 09:30 and after 16:00
LENGTHS = {"bars_minute": 60, "bars_5m": 300, "bars_15m": 900, "bars_1h": 3600}  # seconds
DAILY_SCALE = Scale(floor=0.003, spike=0.35, shift=1.5, longest=10)
INTRADAY_SCALE = Scale(floor=0.0003, spike=0.05, shift=1.5, longest=390)


@dataclass(frozen=True, slots=True)
class BarFacts:
    """What bars are judged against.

    `sessions` are those that the batch may hold, oldest first. `before` are stored bars in the
    columns of the batch that precede it (their returns and gaps count, they are not judged).
    `splits` has the columns symbol, session and ratio (new for old shares). `other` has the key
    columns and close of the same bars from another source. `adjusted` says that the source makes up
    for splits itself, so that a move like a split's is only told. `newest` says whether every
    symbol should reach the last session. An intraday bar that ends after `until`, the moment when
    the batch was learnt, cannot be one.
    """

    sessions: Items[TradingSession]
    before: pd.DataFrame | None = None
    splits: pd.DataFrame | None = None
    other: pd.DataFrame | None = None
    adjusted: bool = False
    newest: bool = False
    until: datetime | None = None


def bar_rules(table: str) -> tuple[Rule, ...]:
    """Return the suite of bars_daily or of an intraday table."""
    names = BAR_COLUMNS if table == "bars_daily" else MINUTE_COLUMNS
    refuse, warn = Severity.QUARANTINE, Severity.WARN
    prices = tuple(
        Rule(f"positive_{name}", Kind.BETWEEN, name, refuse, f"{name} is not above 0 and below 1e7",
             low=0, high=LARGEST_PRICE, strict_low=True, unit="USD", hard=True)
        for name in PRICE_COLUMNS
    )  # fmt: skip
    own = _DAILY_ONLY if table == "bars_daily" else _INTRADAY_ONLY
    return (
        columns(names),
        some_rows(),
        *(filled(name) for name in names),
        *prices,
        Rule("volume", Kind.BETWEEN, "volume", refuse, "volume is below 0", low=0, unit="shares",
             hard=True),
        Rule("high", Kind.BETWEEN, "high_room", refuse, "high is below open or close", low=0,
             unit="USD", hard=True),
        Rule("low", Kind.BETWEEN, "low_room", refuse, "low is above open or close", low=0,
             unit="USD", hard=True),
        flag("copy", "copies", refuse, "it is an exact copy of an earlier row", hard=True),
        flag("unique", "contradicts", refuse, "another row tells other values for this time",
             hard=True),
        flag("time_order", "steps_back", warn, "it stands behind a later bar"),
        flag("spike", "spike", refuse, "the price leaves and comes back a bar later"),
        flag("split_missed", "since_split", refuse,
             "from a move by a simple ratio on, without a split on record"),
        flag("split_suspected", "split_like", warn,
             "a move by a simple ratio in prices that are adjusted for splits"),
        flag("level_shift", "since_shift", refuse,
             "from a move beyond 1.5 log units on: another company, an unrecorded split, or prices "
             "adjusted for splits (the sample's, a vendor's) beside unadjusted ones: record the "
             "splits, state --adjusted"),
        Rule("jump", Kind.BETWEEN, "jump", warn, "a move far beyond the symbol's volatility",
             high=25, unit="robust sigmas"),
        Rule("stale", Kind.BETWEEN, "unchanged", warn, "nothing has changed for several bars",
             high=3, unit="bars"),
        Rule("agreement", Kind.BETWEEN, "disagreement", warn,
             "the close differs from another source's", high=100, unit="bps"),
        Rule("behind", Kind.BETWEEN, "sessions_behind", warn, "the symbol ends before the others",
             high=0, unit="sessions"),
        *own,
        Rule("refused_share", Kind.BETWEEN, "refused_share", Severity.STOP,
             "too large a share of the rows cannot be used", high=0.5, hard=True),
    )  # fmt: skip


_DAILY_ONLY = (
    flag("session", "outside", Severity.QUARANTINE, "it is no completed session of the exchange",
         hard=True),
    Rule("gap", Kind.BETWEEN, "skipped", Severity.WARN, "sessions are missing before it", high=0,
         unit="sessions"),
)  # fmt: skip
_INTRADAY_ONLY = (
    flag("session", "outside", Severity.QUARANTINE,
         "it lies outside the hours of a session (04:00 to 20:00 New York), or had not ended",
         hard=True),
    flag("aligned", "misaligned", Severity.QUARANTINE, "it does not start on a full bar",
         hard=True),
    Rule("gap", Kind.BETWEEN, "skipped", Severity.WARN, "bars are missing before it", high=15,
         unit="bars"),
)  # fmt: skip


def derive_bars(table: str, rows: pd.DataFrame, facts: BarFacts) -> pd.DataFrame:
    """Return the rows (index 0 … n-1) with every column that the suite of `table` looks at.

    A table that lacks columns is returned as it is: the rule about columns will refuse it.
    """
    import pandas as pd

    daily = table == "bars_daily"
    names = list(BAR_COLUMNS if daily else MINUTE_COLUMNS)
    if not set(names) <= set(rows.columns):
        return rows
    judged = rows[names].reset_index(drop=True)
    if facts.before is None or facts.before.empty:
        whole, skip = judged, 0
    else:
        whole = pd.concat([facts.before[names], judged], ignore_index=True)
        skip = len(facts.before)
    for name in (*PRICE_COLUMNS, "volume"):
        whole[name] = _numbers(whole[name])
    values = whole[[*PRICE_COLUMNS, "volume"]].to_numpy(dtype=np.float64)
    codes = pd.factorize(whole["symbol"])[0].astype(np.int64)
    places = _daily_places(whole, facts) if daily else _intraday_places(table, whole, facts)
    sequence = Sequence.of(codes, places.key)
    _add_columns(whole, values, sequence, places, facts, daily)
    table_rows = whole.iloc[skip:].reset_index(drop=True)
    refused = _unusable(table_rows)
    table_rows["refused_share"] = float(refused.mean()) if len(refused) else 0.0
    if table_rows["refused_share"].any():  # of the batch, told once
        table_rows.loc[1:, "refused_share"] = 0.0
    return table_rows


@dataclass(frozen=True, slots=True)
class _Places:
    """Where rows stand in the calendar: a key in time, the session's number, -1 outside.

    `length` is a bar's in units of the key: seconds, or 1 session.
    """

    key: NDArray[np.int64]
    session: NDArray[np.int64]
    misaligned: NDArray[np.int8]
    length: int = 1


def _numbers(column: pd.Series) -> pd.Series:
    """Return the column as numbers; what is none becomes empty, which a rule refuses."""
    import pandas as pd

    return column if column.dtype.kind in "fiu" else pd.to_numeric(column, errors="coerce")


def _daily_places(whole: pd.DataFrame, facts: BarFacts) -> _Places:
    number = {session.date: place for place, session in enumerate(facts.sessions)}
    session = np.empty(len(whole), dtype=np.int64)
    key = np.empty(len(whole), dtype=np.int64)
    for place, day in enumerate(whole["session"].tolist()):
        is_day = isinstance(day, date) and not isinstance(day, datetime)
        session[place] = number.get(day, -1) if is_day else -1
        key[place] = session[place] if session[place] >= 0 else _ordinal(day) - 10**7
    return _Places(key, session, np.zeros(len(whole), dtype=np.int8))


def _ordinal(day: object) -> int:
    return day.toordinal() if isinstance(day, date) and day == day else 0  # noqa: PLR0124 - NaT


def _intraday_places(table: str, whole: pd.DataFrame, facts: BarFacts) -> _Places:
    import pandas as pd

    length = LENGTHS[table]
    stamps = pd.to_datetime(whole["ts"], utc=True).dt.tz_localize(None)
    seconds = stamps.to_numpy(dtype="datetime64[s]").astype(np.int64)
    opens = np.array([session.open.timestamp() for session in facts.sessions], dtype=np.int64)
    session = np.searchsorted(opens - int(EXTENDED_OPEN), seconds, side="right") - 1
    if len(opens) == 0:
        none = np.zeros(len(whole), dtype=np.int8)
        return _Places(seconds, np.full(len(whole), -1), none, length)
    begin = opens[np.clip(session, 0, None)]
    last = begin + int(6.5 * 3600 + EXTENDED_CLOSE)
    inside = (session >= 0) & (seconds < last)
    if facts.until is not None:
        inside &= seconds + length <= facts.until.timestamp()
    # Boundaries are the clock's, and the first bar starts at the opening (`market/resample`).
    misaligned = (seconds % length != 0) & (seconds != begin)
    return _Places(seconds, np.where(inside, session, -1), misaligned.astype(np.int8), length)


def _add_columns(  # noqa: PLR0917 - the arrays of one batch
    whole: pd.DataFrame,
    values: NDArray[np.float64],
    sequence: Sequence,
    places: _Places,
    facts: BarFacts,
    daily: bool,
) -> None:
    opened, high, low, close = (values[:, number] for number in range(4))
    with np.errstate(invalid="ignore"):
        whole["high_room"] = high - np.maximum(opened, close)
        whole["low_room"] = np.minimum(opened, close) - low
    whole["copies"], whole["contradicts"] = sequence.repeats(values)
    whole["steps_back"] = sequence.steps_back()
    whole["outside"] = (places.session < 0).astype(np.int8)
    whole["misaligned"] = places.misaligned
    skipped, elapsed = _gaps(sequence, places, daily)
    whole["skipped"] = skipped
    whole["unchanged"] = _unchanged(sequence, values, daily)
    found = look_at_returns(
        sequence,
        values[:, :4],
        _split_logs(whole, sequence, places, facts),
        elapsed,
        DAILY_SCALE if daily else INTRADAY_SCALE,
    )
    whole["jump"] = found.jump
    whole["spike"] = found.spike
    whole["split_like"] = found.split_like if facts.adjusted else np.int8(0)
    whole["since_split"] = np.int8(0) if facts.adjusted else found.since_split
    whole["since_shift"] = found.since_shift
    whole["undecided"] = found.undecided
    whole["disagreement"] = _disagreement(whole, facts, daily)
    whole["sessions_behind"] = _behind(sequence, places, facts)


def _gaps(
    sequence: Sequence, places: _Places, daily: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, by row, the bars or sessions missing before it and the bars since the one before."""
    session, key = places.session[sequence.order], places.key[sequence.order]
    known = sequence.follows.copy()
    known[1:] &= (session[1:] >= 0) & (session[:-1] >= 0)
    ahead = np.diff(session, prepend=session[:1])
    if daily:
        step = np.where(known, ahead, 1)
        return sequence.back(np.clip(step - 1, 0, None)), sequence.back(np.clip(step, 1, None))
    bars = np.diff(key, prepend=key[:1]) // places.length
    within = known & (ahead == 0)
    step = np.where(within, bars, 1)
    elapsed = np.where(known & (ahead > 0), 390 * 60 // places.length, step)
    return sequence.back(np.clip(step - 1, 0, None)), sequence.back(np.clip(elapsed, 1, None))


def _unchanged(sequence: Sequence, values: NDArray[np.float64], daily: bool) -> NDArray[np.int64]:
    """Return how many bars before a row were the same; quiet minutes without trades don't count."""
    runs = sequence.runs_of_equals(values)
    return runs if daily else np.where(values[:, 4] > 0, runs, 0)


def _split_logs(
    whole: pd.DataFrame, sequence: Sequence, places: _Places, facts: BarFacts
) -> NDArray[np.float64]:
    """Return the log of the split ratio that is in force from each row on and wasn't before it."""
    logs = np.zeros(len(whole))
    if facts.splits is None or facts.splits.empty:
        return logs
    number = {session.date: place for place, session in enumerate(facts.sessions)}
    session, symbols = places.session[sequence.order], whole["symbol"].to_numpy()[sequence.order]
    for symbol, day, ratio in facts.splits[["symbol", "session", "ratio"]].itertuples(index=False):
        rows = np.flatnonzero((symbols == symbol) & (session >= number.get(day, len(number))))
        if len(rows):
            logs[sequence.order[rows[0]]] += np.log(float(ratio))
    return logs


def _disagreement(whole: pd.DataFrame, facts: BarFacts, daily: bool) -> NDArray[np.float64]:
    """Return how far closes lie from another source's, in bps; empty where it has none."""
    if facts.other is None or facts.other.empty:
        return np.full(len(whole), np.nan)
    keys = ["symbol", "session" if daily else "ts"]
    theirs = facts.other.drop_duplicates(keys).set_index(keys)["close"].rename("theirs")
    found = whole[[*keys, "close"]].join(theirs, on=keys)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = 1e4 * np.abs(np.log(found["close"].to_numpy() / found["theirs"].to_numpy()))
    return np.where(np.isfinite(gap), gap, np.nan)


def _behind(sequence: Sequence, places: _Places, facts: BarFacts) -> NDArray[np.int64]:
    """Return, at the last row of each symbol, the sessions from it to the last one."""
    behind = np.zeros(len(sequence.order), dtype=np.int64)
    if facts.newest and len(behind):
        last = np.append(~sequence.follows[1:], True)
        session = places.session[sequence.order]
        behind[last] = np.where(session[last] >= 0, len(facts.sessions) - 1 - session[last], 0)
    return sequence.back(behind)


def _unusable(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which rows no reader could use: the hard rules about values."""
    prices = rows[list(PRICE_COLUMNS)].to_numpy(dtype=np.float64)
    volume = rows["volume"].to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        good = (np.isfinite(prices) & (prices > 0) & (prices <= LARGEST_PRICE)).all(1)
        good &= (volume >= 0) & (rows["high_room"].to_numpy() >= 0)
        good &= (rows["low_room"].to_numpy() >= 0) & (rows["outside"].to_numpy() == 0)
    return ~good
