"""Workers forked once everything is imported; each runs universes as they are given to it."""

import gc
import os
import pickle
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import scipy.special  # noqa: F401 - the gateway's, imported before the fork
from ledgers import Server, started
from scenarios import scenario_of
from story import Story
from universe import Universe

from models.domain.sessions import exchange_date, next_session
from tasks.program_version import code_hash
from warehouse.ledger import OrderLedger


class Pool:
    """So many processes; a context, whose end leaves none of them."""

    def __init__(self, workers: int, seed: int) -> None:
        _warm_up()
        self._next = seed
        self.server = Server()
        self._workers: dict[int, tuple[int, int]] = {}  # by result pipe: process id, task pipe
        for _ in range(workers):
            self._fork()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for pid, _task in self._workers.values():
            os.kill(pid, signal.SIGTERM)
        for pid, _task in self._workers.values():
            os.waitpid(pid, 0)
        self.server.stop()

    def stories(self, points: int) -> Iterator[Story]:
        """Give out universes until so many crashes have happened; yield each one's story."""
        done, busy = 0, set(self._workers)
        for results in busy:
            self._give(results)
        while busy:
            ready, _, _ = select.select(list(busy), [], [])
            for results in ready:
                story = self._receive(results)
                done += max(story.points.total(), 1 if points == 1 else 0)
                if done < points:
                    self._give(results)
                else:
                    busy.discard(results)
                yield story

    def _fork(self) -> None:
        take, give = os.pipe()
        results, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            for other, (_, task) in self._workers.items():
                os.close(other)
                os.close(task)
            os.close(give)
            os.close(results)
            _work(take, tell, self.server.postgres)
        os.close(take)
        os.close(tell)
        self._workers[results] = (pid, give)

    def _give(self, results: int) -> None:
        wants_server = self.server.postgres is not None and scenario_of(self._next).postgres
        has_server = wants_server and started(self.server)
        os.write(self._workers[results][1], self._next.to_bytes(8, "big") + bytes([has_server]))
        self._next += 1

    def _receive(self, results: int) -> Story:
        size = int.from_bytes(_exactly(results, 8), "big")
        return pickle.loads(_exactly(results, size))


def _work(take: int, tell: int, server: Any) -> None:
    """Run universes until a signal ends this worker, and what it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while task := os.read(take, 9):
            universe = Universe(int.from_bytes(task[:8], "big"), server if task[8] else None)
            try:
                story = universe.run()
            finally:
                universe.close()
            _send(tell, story)
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _send(tell: int, story: Any) -> None:
    packed = pickle.dumps(story)
    data = len(packed).to_bytes(8, "big") + packed
    while data:
        data = data[os.write(tell, data) :]


def _exactly(pipe: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = os.read(pipe, size - len(found))
        if not part:
            raise RuntimeError("a worker of the soak has died; its words are above")
        found += part
    return found


def _warm_up() -> None:
    """Do once, before any fork, what each process would else do anew."""
    next_session(exchange_date(datetime.now(UTC)))
    code_hash()  # of what is imported now: the files may change while a long soak runs
    with tempfile.TemporaryDirectory(prefix="robo-soak-") as folder:
        OrderLedger(f"sqlite:///{Path(folder) / 'ledger.sqlite'}").close()
    gc.collect()
    gc.freeze()  # or every fork's first collection would copy every page
