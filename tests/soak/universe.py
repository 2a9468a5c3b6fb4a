"""One universe: a gateway, a ledger, plans; processes that die until all is done, and a verdict."""

import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import actors
from crashes import HOST, Crash, Wreck, draw
from halt_steps import STEPS
from ledgers import FilePlace, LedgerPlace, ServerPlace
from market import buy_by_hand, note_facts, plan, write_limits
from scenarios import OVERDUE, scenario_of
from story import Story
from verdict import Expected, judge, look_between

from tasks.books.account_snapshot import read_account
from tasks.books.reconciliation import reconcile
from tasks.broker.clock import ask_control
from tasks.broker.protocol import GatewayUnreachable
from tasks.settings import Settings, load_settings
from tasks.stores import open_ledger

DEADLINE = 60.0
MOST_PROCESSES = 90
MOST_TRIES = 12  # of one verb
VERB_BETWEEN = 0.2  # chance of a verb between two sessions
QUIET = 0.2


class Universe:
    """One seed's worth of crashes."""

    def __init__(self, seed: int, server: Any = None, keep: Path | None = None) -> None:
        self.rng = random.Random(seed)
        self.scenario = scenario_of(seed, with_postgres=server is not None)
        self.story = Story(seed, shape=self.scenario.shape, postgres=self.scenario.postgres)
        self.folder = keep or Path(tempfile.mkdtemp(prefix="robo-soak-"))
        self._keep = keep is not None
        self._server = server
        self._place: LedgerPlace | None = None
        self.log = self.folder / "log.txt"
        market_seed = 1 + self.rng.randrange(4)
        self.gateway = actors.GatewayActor(self.folder / "gateway", market_seed, self.log)
        self._pids: set[int] = set()
        self._before = 0  # slices that had ended before the present phase
        self._flattened = False

    def run(self) -> Story:
        """Crash until the plans are done, and judge what the broker and the ledger then hold."""
        started = time.monotonic()
        for line in self.scenario.lines():
            self.story.tell(line)
        try:
            self.gateway.start()
            settings = self._settings()
            write_limits(settings.limits_path, self.scenario.exits)
            buy_by_hand(self.gateway.control_port, self.scenario.held)
            note_facts(settings, self.scenario.ranges)
            for name, params in self.scenario.troubles:
                self._fault(name, params)
            self._phases(settings)
            exits = self.scenario.exits
            was_begun = self.story.verbs["flatten"] > 0
            expected = Expected(self.scenario.held, was_begun, self._flattened, exits)
            found = judge(settings, expected)
            found.broken = self.story.verdict.broken + found.broken
            self.story.verdict = found
        except Exception as error:
            self.story.verdict.broken.append(f"{type(error).__name__}: {error}")
        finally:
            self.close()
        self.story.seconds = time.monotonic() - started
        return self.story

    def close(self) -> None:
        """End what still runs, and forget folder and database."""
        for pid in self._pids:
            actors.end(pid)
        self._pids = set()
        actors.end(self.gateway.pid)
        self.gateway.pid = 0
        if self._place is not None:
            self._place.drop()
            self._place = None
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def place(self) -> LedgerPlace:
        if self._place is None:
            if self.scenario.postgres:
                self._place = ServerPlace(self._server, f"soak{self.story.seed}")
            else:
                self._place = FilePlace(self.folder)
        return self._place

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
            slices=self.scenario.slices,
            min_child_usd=0.0,
            quiet_period=QUIET,
            heartbeat=5.0,
            broker_timeout=5.0,
            lock_deadline=5.0,
            ledger_url=self.place.url,
            limits_file=self.folder / "limits.toml",
            on_stop=self.scenario.on_stop,
            crash_at="",
        )

    def _fault(self, name: str, params: dict) -> None:
        request = {"op": "fault", "fault": name, "params": params}
        ask_control(HOST, self.gateway.control_port, request)

    def _phases(self, settings: Settings) -> None:
        wanted = self.rng.randint(4, 10)
        for number, trades in enumerate(self.scenario.phases):
            plan(settings, number, trades)
            self._before = self.place.ended_slices()
            share = wanted * (number + 1) // len(self.scenario.phases)
            self._sessions(settings, number, share)
            if self.story.verbs["flatten"]:
                self.story.tell("flattened: what else was planned is left out")
                break
        if self.scenario.exits == "resting":  # one may have traded while no session was there
            with open_ledger(settings) as ledger:
                reconcile(ledger, read_account(settings))
            self._sessions(settings, number, 0)

    def _sessions(self, settings: Settings, phase: int, wanted: int) -> None:
        verbs = self.scenario.verbs
        while self.story.sessions < MOST_PROCESSES:
            enough = self.story.points.total() >= wanted
            crashes: list[Crash] = []
            if not enough:
                left = self._children_left(phase)
                crashes = draw(self.rng, left, self.place.torn_at, verbs=verbs)
            acted = self.story.verbs.total()
            code = self._session(settings, crashes)
            if verbs and not enough and self.rng.random() < VERB_BETWEEN:
                self._verb(self.rng.choice(("halt", "halt", "flatten")), settings)
            self._lift_halts(settings)
            if code in (actors.DONE, actors.SKIPPED):
                if self.story.verbs.total() == acted:
                    return
                continue  # a halt has ended the exits: who resumes executes again
            halted = code == actors.HALTED and self.story.verbs.total()
            if code not in (actors.LATER, actors.STOPPED, -9) and not halted:
                raise RuntimeError(f"a session ended with {code}: {self._last_words()}")
        raise RuntimeError(f"{MOST_PROCESSES} sessions were not enough: {self._last_words()}")

    def _children_left(self, phase: int) -> int:
        ended = self.place.ended_slices() - self._before
        return max(1, self.scenario.children(phase) - ended)

    def _session(self, settings: Settings, crashes: list[Crash]) -> int:
        """Run one session to its end or its death, and the verbs that begin in its middle."""
        wreck = Wreck(crashes, self.gateway, self.place)
        pid = actors.start_session(settings, wreck, self.log)
        self.story.sessions += 1
        code, verbs = self._wait(pid, wreck, settings)
        for verb, verb_wreck, verb_pid in verbs:
            ended, _ = self._wait(verb_pid, verb_wreck, settings)
            self._tell_verb(verb, ended, verb_wreck)
        happened = wreck.close()
        self.story.points.update(crash.kind for crash in happened if not crash.is_verb)
        listed = ", ".join(map(str, happened)) or "no crash"
        self.story.tell(f"session {self.story.sessions}: {listed}; ended with {code}")
        self._look()
        return code

    def _wait(
        self, pid: int, wreck: Wreck, settings: Settings
    ) -> tuple[int, list[tuple[str, Wreck, int]]]:
        """Wait for one process, bringing the gateway back when it dies; return its code.

        The verbs that it has asked for are begun, and returned as they are.
        """
        self._pids.add(pid)
        deadline, verbs = time.monotonic() + DEADLINE, []
        while time.monotonic() < deadline:
            for crash in wreck.news():
                if crash.is_verb:
                    verbs.append((crash.kind, *self._start_verb(crash.kind, settings)))
                    wreck.go_on()
            ended, code = actors.wait_for_one({pid, self.gateway.pid}, 0.05)
            if ended == self.gateway.pid and ended:
                self._start_anew()
            elif ended:
                self._pids.discard(pid)
                return code, verbs
        raise RuntimeError(f"a process hangs: {self._last_words()}")

    def _start_anew(self) -> None:
        """Bring a dead gateway back; now and then orders are slow to arrive there, too."""
        self.gateway.start()
        if self.rng.random() < 0.3:
            late = {"ms": 60, "count": 2}
            self._fault("late-orders", OVERDUE if self.rng.random() < 0.3 else late)

    def _revive(self, patience: float) -> None:
        """Bring the gateway back if it died together with the process that ended last."""
        if actors.wait_for_one({self.gateway.pid}, patience)[0]:
            self._start_anew()

    def _start_verb(
        self, verb: str, settings: Settings, *, may_die: bool = True
    ) -> tuple[Wreck, int]:
        """Begin `robo halt`, its flatten or `robo resume`, with a death of its own as often as not.

        A flatten dies in its halt or later.
        """
        crashes: list[Crash] = []
        dies_at = 0
        if may_die and self.rng.random() < 0.5:
            if verb == "halt" or (verb == "flatten" and self.rng.random() < 0.25):
                dies_at = self.rng.randint(1, STEPS)
            else:
                crashes = draw(self.rng, 2 if verb == "resume" else 6, self.place.torn_at)
        wreck = Wreck(crashes, self.gateway, self.place)
        pid = actors.start_verb(verb, settings, wreck, dies_at, self.log)
        self._pids.add(pid)
        self.story.verbs[verb] += 1
        return wreck, pid

    def _verb(self, verb: str, settings: Settings, *, may_die: bool = True) -> int:
        """Run one verb to its end or its death."""
        wreck, pid = self._start_verb(verb, settings, may_die=may_die)
        code, _ = self._wait(pid, wreck, settings)
        self._tell_verb(verb, code, wreck)
        self._look()
        return code

    def _tell_verb(self, verb: str, code: int, wreck: Wreck) -> None:
        happened = wreck.close()
        self.story.points.update(f"{verb} {crash.kind}" for crash in happened)
        if code == -9 and not happened:  # at a step of the halt
            self.story.points[f"{verb} process"] += 1
        self._flattened |= verb == "flatten" and code == actors.DONE
        listed = ", ".join(map(str, happened)) or "no crash of its own"
        self.story.tell(f"    {verb}: {listed}; ended with {code}")

    def _lift_halts(self, settings: Settings) -> None:
        """Do what a person does after a halt: perhaps flatten, and resume in the end."""
        for number in range(MOST_TRIES):
            if not self.story.verbs.total():
                return
            with open_ledger(settings) as ledger:
                if ledger.halts.current() is None:
                    return
            may_die = number < MOST_TRIES // 2
            if may_die and not self._flattened and self.rng.random() < 0.2:
                self._verb("flatten", settings)
            self._verb("resume", settings, may_die=may_die)
        raise RuntimeError(f"{MOST_TRIES} resumes did not lift a halt: {self._last_words()}")

    def _look(self) -> None:
        """Note what must not be at the broker; with nothing at work, time stands still."""
        if self.scenario.shape == "buys":
            return
        self._revive(0.0)
        try:
            found = look_between(self.gateway.port)
        except GatewayUnreachable:  # it was just about to die
            self._revive(5.0)
            found = look_between(self.gateway.port)
        self.story.verdict.broken += [f"after {self.story.lines[-1].strip()}: {f}" for f in found]

    def _last_words(self) -> str:
        if not self.log.exists():
            return ""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-6:])
