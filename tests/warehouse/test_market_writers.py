"""What two writers know of one instrument is kept, however their transactions fall."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from models.domain.instruments import Instrument, SymbolSpan
from warehouse.market import MarketWarehouse

JAN, FEB = (datetime(2023, month, 1, tzinfo=UTC) for month in (1, 2))
RIVAL = """
import sys
from datetime import UTC, datetime
from models.domain.instruments import Instrument, SymbolSpan
from warehouse.market import MarketWarehouse
at = datetime(2023, 1, 1, tzinfo=UTC)
for line in sys.stdin:
    what, path = line.split()
    instruments = MarketWarehouse(path, deadline=20).instruments
    if what == "merge":
        instruments.merge([Instrument("KO", 8894, primary_exchange="NYSE")], "ibkr", at)
    else:
        instruments.set_spans([SymbolSpan("META", "FB"), SymbolSpan("META", "META")], "file", at)
    print("done", flush=True)
"""


@pytest.fixture(scope="module")
def rival() -> Iterator[Callable[[str, Path], None]]:
    """Another process that writes what it is told to, and has ended when the call returns."""
    with subprocess.Popen(
        [sys.executable, "-c", RIVAL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def act(what: str, path: Path) -> None:
            process.stdin.write(f"{what} {path}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"

        yield act
        process.stdin.close()


@pytest.fixture
def raced(tmp_path: Path, rival: Callable[[str, Path], None]) -> Callable[[str], MarketWarehouse]:
    """Return a warehouse that another process writes to just before its own transaction begins."""

    def make(what: str) -> MarketWarehouse:
        store = MarketWarehouse(tmp_path / "w.duckdb", deadline=20)
        store.instruments.merge([Instrument("PEP")], "file", JAN)
        begin = store.store.write
        acted: list[str] = []

        @contextmanager
        def beaten_to_it() -> Iterator[object]:
            if not acted:
                acted.append(what)
                rival(what, store.path)
            with begin() as connection:
                yield connection

        store.store.write = beaten_to_it  # type: ignore[method-assign]
        return store

    return make


def test_what_another_writer_told_of_an_instrument_is_not_lost(raced) -> None:
    store = raced("merge")
    store.instruments.merge([Instrument("KO", name="Coca-Cola")], "file", FEB)
    assert Instrument("KO", 8894, "Coca-Cola", "NYSE") in store.instruments.all()


def test_a_ticker_that_another_writer_has_just_given_away_is_not_given_twice(raced) -> None:
    store = raced("spans")
    with pytest.raises(InvalidInput, match="FB belongs to"):
        store.instruments.merge([Instrument("FB")], "ibkr", FEB)
    assert [item.symbol for item in store.instruments.all()] == ["PEP"]


def test_intervals_that_another_writer_has_just_set_are_seen(raced) -> None:
    store = raced("spans")
    with pytest.raises(InvalidInput, match="FB belongs to"):
        store.instruments.set_spans([SymbolSpan("FBX", "FB")], "file", FEB)
    assert {span.instrument for span in store.instruments.spans()} == {"PEP", "META"}
