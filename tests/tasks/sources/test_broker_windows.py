"""Windows of the broker's history as they are stored: in shares of then, refused one by one."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput
from models.domain.sessions import session_dates, session_on
from tasks.sources.backfill import BackfillRequest, backfill
from tasks.sources.ibkr_history import IbkrHistorySource
from tasks.sources.protocol import BarBatch
from tasks.sources.windows import bar_size
from warehouse.market import MarketWarehouse
from warehouse.market.as_of import MergeResult
from warehouse.market.history_windows import HistoryWindow

SATURDAY = datetime(2024, 1, 13, 12, 0, tzinfo=UTC)
DAYS = session_dates(date(2024, 1, 2), date(2024, 1, 12))
SPLIT = CorporateAction("KO", DAYS[-2], ActionKind.SPLIT, 4.0)


def minutes(day: date) -> pd.DataFrame:
    """Return the minutes of a day as they were traded."""
    session = session_on(day)
    ts = pd.date_range(session.open, session.close, freq="1min", inclusive="left")
    price = [(100.0 + n % 7 / 10) / (4 if day >= SPLIT.ex_date else 1) for n in range(len(ts))]
    frame = pd.DataFrame({"symbol": "KO", "ts": ts, "volume": 40, "close": price})
    return frame.assign(open=frame["close"], high=frame["close"], low=frame["close"])


class Answers:
    """A connection that answers as a broker does once the split is in all its prices."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    async def intraday_bars(
        self, symbol: str, size: str, end: datetime, duration: str
    ) -> pd.DataFrame:
        last = DAYS.index(end.date())
        frames = []
        for day in DAYS[last + 1 - int(duration.split(maxsplit=1)[0]) : last + 1]:
            frame = minutes(day)
            if day < SPLIT.ex_date:
                for name in ("open", "high", "low", "close"):
                    frame[name] = frame[name] / 4
                frame["volume"] *= 4
            frames.append(frame.assign(low=frame["low"] * self.scale))
        return pd.concat(frames, ignore_index=True)

    async def close(self) -> None:
        """Nothing to close."""


async def fetch(
    store: MarketWarehouse,
    answers: dict[str, Answers] | Answers,
    *symbols: str,
    now: Callable[[], datetime] = lambda: SATURDAY,
):
    class One(Answers):
        async def intraday_bars(self, symbol, size, end, duration):
            own = answers if isinstance(answers, Answers) else answers[symbol]
            return await own.intraday_bars(symbol, size, end, duration)

    async def connect() -> One:
        return One()

    wanted = BackfillRequest(symbols, "1m", DAYS[0])
    return await backfill(connect, store, wanted, now, lambda text: None, run_id="run")


@pytest.fixture
def store(tmp_path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "warehouse.duckdb", deadline=5)


async def test_minutes_from_before_a_recorded_split_are_kept_as_they_were_traded(store) -> None:
    store.actions.set_basis({"KO": DAYS[0]}, "ibkr", SATURDAY)
    store.actions.merge([SPLIT], "file", SATURDAY)
    live = minutes(DAYS[-3]).assign(volume=41)  # landed live, before the split
    store.minutes.merge(live, "ibkr", SATURDAY)
    report = await fetch(store, Answers(), "KO")
    assert (report.landing.changed, report.left_open) == (0, 0)
    kept = store.minutes.bars(["KO"])
    traded = pd.concat([live if day == DAYS[-3] else minutes(day) for day in DAYS])
    assert kept["close"].tolist() == traded["close"].tolist()
    assert kept["volume"].tolist() == traded["volume"].tolist()


async def test_a_window_that_a_rule_stops_keeps_no_other_from_being_fetched(store) -> None:
    with pytest.raises(InvalidInput, match=r"BAD 2024-01-02 to 2024-01-08: .*are no bars"):
        await fetch(store, {"BAD": Answers(scale=-1.0), "KO": Answers()}, "BAD", "KO")
    assert store.history_windows.counts() == {("1 min", "open"): 2, ("1 min", "done"): 2}
    assert len(store.minutes.bars(["KO"])) == 390 * len(DAYS)
    [row] = [
        row for row in store.history_windows.open("1 min", ["BAD"]) if row.window.first == DAYS[0]
    ]
    assert (row.attempts, row.message[:3]) == (1, "BAD")


async def test_bars_are_known_from_when_they_came_not_from_when_the_run_began(store) -> None:
    hours: list[datetime] = []

    class Slow(Answers):
        async def intraday_bars(self, symbol, size, end, duration):
            hours.append(SATURDAY + timedelta(hours=len(hours) + 1))
            return await super().intraday_bars(symbol, size, end, duration)

    def clock() -> datetime:
        return hours[-1] if hours else SATURDAY

    report = await fetch(store, Slow(), "KO", now=clock)
    assert (report.left_open, len(hours)) == (0, 2)
    known = store.minutes.bars
    assert known(as_of=hours[-1] - timedelta(minutes=1)).empty, "both were asked for at once"
    assert len(known(as_of=hours[-1])) == 390 * len(DAYS)


class Source:
    """The source alone: what a window's batch holds, and what its landing notes."""

    def __init__(self, store: MarketWarehouse, answer: pd.DataFrame) -> None:
        self.store, self.answer = store, answer

    async def intraday_bars(self, symbol: str, size: str, end: datetime, duration: str):
        return self.answer

    async def close(self) -> None:
        """Nothing to close."""

    async def batch(self) -> BarBatch:
        async def connect() -> Source:
            return self

        source = IbkrHistorySource(connect, self.store, bar_size("1m"), ["KO"], lambda: SATURDAY)
        return await anext(source.batches())


async def test_a_window_takes_its_own_sessions_of_what_the_broker_gives(store) -> None:
    window = HistoryWindow("KO", "1 min", DAYS[2], DAYS[3])
    store.history_windows.plan([window], SATURDAY)
    batch = await Source(store, pd.concat([minutes(day) for day in DAYS[1:5]])).batch()
    assert set(batch.frame["ts"].dt.date) == {DAYS[2], DAYS[3]}
    assert len(batch.frame) == 780
    batch.landed(MergeResult(780, 0, 0))
    assert store.history_windows.counts() == {("1 min", "done"): 1}
    reopen = store.history_windows.reopen
    assert reopen("1 min", ["KO"], DAYS[4], DAYS[4]) == reopen("1 min", ["PEP"], *DAYS[2:4]) == 0
    assert reopen("1 min", ["KO"], DAYS[3], DAYS[4]) == 1, "its last session is among them"
    batch.landed(MergeResult(0, 0, 780))
    assert reopen("1 min", ["KO"], DAYS[1], DAYS[2]) == 1, "its first session is"


async def test_a_window_without_bars_is_noted_as_empty_and_not_asked_for_again(store) -> None:
    store.history_windows.plan([HistoryWindow("KO", "1 min", DAYS[2], DAYS[3])], SATURDAY)
    batch = await Source(store, minutes(DAYS[0]).head(0)).batch()
    batch.landed(MergeResult(0, 0, 0))
    assert store.history_windows.counts() == {("1 min", "empty"): 1}
    assert store.history_windows.open("1 min", ["KO"]) == ()
