"""One universe: a gateway, a ledger, some parents; sessions that die until the parents are done."""

import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import actors
from crashes import HOST, Crash, Wreck, draw
from verdict import Verdict, judge

from models.domain.orders import ParentOrder, Side
from models.domain.sessions import exchange_date, session_on
from tasks.broker.clock import ask_control
from tasks.settings import Settings, load_settings
from tasks.stores import open_ledger

SYMBOLS = ("KO", "PFE", "XOM", "BAC", "WMT")
SESSION_DEADLINE = 60.0
MOST_SESSIONS = 60
QUIET = 0.2
# What the gateway does to all of a universe's orders: (name, parameters, share of universes).
TROUBLES = (
    ("late-orders", {"ms": 60, "count": 0}, 0.25),  # under way when the look-up comes
    ("duplicate-status", {"copies": 3, "count": 0}, 0.15),
    ("early-commission", {"count": 0}, 0.15),
    ("missing-status", {"status": "Filled", "count": 4}, 0.15),
    ("drop-ack", {"count": 3}, 0.15),
    ("partial-fill", {"share": 0.4, "count": 3}, 0.2),
    ("slow-responses", {"ms": 15, "jitter": 10}, 0.1),
)


@dataclass
class Story:
    """What happened in one universe, for the summary and for a replay."""

    seed: int
    points: Counter = field(default_factory=Counter)
    sessions: int = 0
    lines: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0

    def tell(self, line: str) -> None:
        self.lines.append(line)


class Universe:
    """One seed's worth of crashes."""

    def __init__(self, seed: int, keep: Path | None = None) -> None:
        self.rng = random.Random(seed)
        self.story = Story(seed)
        self.folder = keep or Path(tempfile.mkdtemp(prefix="robo-soak-"))
        self._keep = keep is not None
        self.log = self.folder / "log.txt"
        market_seed = 1 + self.rng.randrange(4)
        self.gateway = actors.GatewayActor(self.folder / "gateway", market_seed, self.log)
        self.session_pid = 0

    def run(self) -> Story:
        """Crash until the parents are done, and judge what the broker and the ledger then hold."""
        started = time.monotonic()
        try:
            self.gateway.start()
            settings = self._settings()
            self._plan(settings)
            self._trouble()
            self._sessions(settings)
            self.story.verdict = judge(settings)
        except Exception as error:
            self.story.verdict.broken.append(f"{type(error).__name__}: {error}")
        finally:
            self.close()
        self.story.seconds = time.monotonic() - started
        return self.story

    def close(self) -> None:
        """End what still runs, and forget the folder."""
        actors.end(self.session_pid)
        actors.end(self.gateway.pid)
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _settings(self) -> Settings:
        return load_settings(
            mode="simulated",
            home=self.folder,
            host=HOST,
            port=self.gateway.port,
            control_port=self.gateway.control_port,
            gateway_speed=actors.SPEED,
            account="",
            clock="gateway",
            slices=self.rng.randint(2, 4),
            min_child_usd=0.0,
            quiet_period=QUIET,
            heartbeat=5.0,
            broker_timeout=5.0,
            lock_deadline=5.0,
            ledger_url=f"sqlite:///{self.folder / 'ledger.sqlite'}",
            crash_at="",
        )

    def _plan(self, settings: Settings) -> None:
        clock = ask_control(HOST, self.gateway.control_port, {"op": "time"})
        now = datetime.fromisoformat(clock["now"])
        day = session_on(exchange_date(now))
        assert day is not None
        start = max(day.open, now) + timedelta(minutes=2)
        end = start + timedelta(minutes=settings.slices)
        parents = [
            ParentOrder(
                f"{day.date:%Y%m%d}-soak-{symbol}", day.date, "soak", symbol, Side.BUY,
                self.rng.randint(5, 60), "TWAP", start, end, Decimal(100),
                day.open - timedelta(hours=1), "none",
            )
            for symbol in self.rng.sample(SYMBOLS, self.rng.randint(2, 4))
        ]  # fmt: skip
        self.children = len(parents) * settings.slices
        with open_ledger(settings) as ledger:
            ledger.parents.add(parents)
        listed = ", ".join(f"{p.symbol} {p.quantity}" for p in parents)
        self.story.tell(f"buy {listed} shares in {settings.slices} slices")

    def _trouble(self) -> None:
        for name, params, share in TROUBLES:
            if self.rng.random() < share:
                request = {"op": "fault", "fault": name, "params": params}
                ask_control(HOST, self.gateway.control_port, request)
                self.story.tell(f"the gateway has {name} {params}")

    def _sessions(self, settings: Settings) -> None:
        wanted = self.rng.randint(4, 10)
        while self.story.sessions < MOST_SESSIONS:
            enough = sum(self.story.points.values()) >= wanted
            crashes = [] if enough else draw(self.rng, self._children_left())
            code = self._session(settings, crashes)
            if code in (actors.DONE, actors.SKIPPED):
                return
            if code not in (actors.LATER, -9):
                raise RuntimeError(f"a session ended with {code}: {self._last_words()}")
        raise RuntimeError(f"{MOST_SESSIONS} sessions were not enough: {self._last_words()}")

    def _children_left(self) -> int:
        """Return about how many children are still to come, from the ledger's file as it lies."""
        path = self.folder / "ledger.sqlite"
        with closing(sqlite3.connect(path)) as ledger:
            (ended,) = ledger.execute(
                "SELECT count(DISTINCT parent_id || slice_no) FROM children WHERE state IN "
                "('FILLED', 'CANCELLED', 'REJECTED')"
            ).fetchone()
        return max(1, self.children - ended)

    def _session(self, settings: Settings, crashes: list[Crash]) -> int:
        """Run one session to its end or its death, bringing the gateway back when it dies."""
        wreck = Wreck(crashes, self.gateway, self.folder / "ledger.sqlite")
        self.session_pid = actors.start_session(settings, wreck, self.log)
        self.story.sessions += 1
        deadline = time.monotonic() + SESSION_DEADLINE
        while True:
            pids = {self.session_pid, self.gateway.pid}
            ended, code = actors.wait_for_one(pids, deadline)
            if ended == self.gateway.pid:
                self.gateway.start()
                self._trouble_again()
                continue
            break
        if not ended:
            raise RuntimeError(f"a session hangs: {self._last_words()}")
        self.session_pid = 0
        happened = [crashes[number] for number in wreck.carried_out()]
        self.story.points.update(crash.kind for crash in happened)
        listed = ", ".join(map(str, happened)) or "no crash"
        self.story.tell(f"session {self.story.sessions}: {listed}; ended with {code}")
        return code

    def _trouble_again(self) -> None:
        """Now and then orders are slow to arrive at a gateway that came back, too."""
        if self.rng.random() < 0.3:
            params = {"ms": 60, "count": 2}
            request = {"op": "fault", "fault": "late-orders", "params": params}
            ask_control(HOST, self.gateway.control_port, request)

    def _last_words(self) -> str:
        if not self.log.exists():
            return ""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-6:])
