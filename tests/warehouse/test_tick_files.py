"""Ticks on disk: journals outlive a kill, rotations can be repeated, views read what is there."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from models.domain.errors import InvalidInput
from warehouse.market.tick_journal import read_journal
from warehouse.market.ticks import TickFiles, schema_of

MORNING = datetime(2024, 1, 2, 14, 30)
NIGHT = datetime(2024, 1, 3, 1, 0)  # still the 2nd of January in New York


def trades(count: int, symbol: str = "KO", at: datetime = MORNING, start: int = 0) -> dict:
    number = range(start, start + count)
    return {
        "ts": [at + timedelta(seconds=n) for n in number],
        "known_at": [at] * count,
        "seq": list(number),
        "source": ["ibkr"] * count,
        "price": [60.0 + n for n in number],
        "size": [100.0] * count,
        "exchange": ["NYSE"] * count,
        "conditions": [""] * count,
        "symbol": [symbol] * count,
    }


@pytest.fixture
def files(tmp_path: Path) -> TickFiles:
    return TickFiles(tmp_path / "ticks")


def test_rows_are_found_by_symbol_and_new_york_date(files: TickFiles) -> None:
    for symbol, at in (("KO", MORNING), ("BRK/B", NIGHT)):
        files.write("trades", pa.table(trades(3, symbol, at), schema_of("trades")), "a")
    found = files.read("trades", ["BRK/B"], date(2024, 1, 2), date(2024, 1, 2))
    assert found["price"].tolist() == [60.0, 61.0, 62.0]
    assert found["ts"].iloc[0] == NIGHT.replace(tzinfo=UTC)
    assert set(files.read("trades")["symbol"]) == {"KO", "BRK/B"}
    assert files.read("quotes").empty and "bid" in files.read("quotes")
    coverage = files.coverage()
    assert list(zip(coverage["symbol"], coverage["rows"], strict=True)) == [("BRK/B", 3), ("KO", 3)]
    assert len(files.read("trades", as_of=MORNING.replace(tzinfo=UTC))) == 3, (
        "the others came later"
    )
    with files.connect() as views:
        assert views.execute("SELECT COUNT(*) FROM trades").fetchone() == (6,)
    with pytest.raises(InvalidInput, match="give one of trades"):
        files.read("news")


@pytest.mark.parametrize("cut", [1, 300, 600])
def test_a_cut_journal_keeps_every_whole_batch(files: TickFiles, cut: int) -> None:
    journal = files.journal("trades", "1")
    journal.append(trades(5))
    whole = journal.path.stat().st_size
    journal.append(trades(5, start=5))
    journal._file.close()  # the writer is killed: the stream has no end
    with journal.path.open("r+b") as file:
        file.truncate(max(whole, journal.path.stat().st_size - cut))
    assert read_journal(journal.path)["seq"].to_pylist() == [0, 1, 2, 3, 4]
    assert files.recover().rows == 5
    assert files.read("trades")["seq"].tolist() == [0, 1, 2, 3, 4]
    assert files.recover().rows == 0


def test_a_journal_that_is_being_written_is_left_alone(files: TickFiles) -> None:
    journal = files.journal("trades", "1")
    journal.append(trades(2))
    assert files.recover().rows == 0
    journal.close()
    assert files.recover().rows == 2


def test_a_rotation_that_was_interrupted_is_repeated(files: TickFiles) -> None:
    journal = files.journal("trades", "1")
    journal.append(trades(2))
    journal.append(trades(2, "PEP", start=2))
    journal.close()
    kept = journal.path.read_bytes()
    files.rotate(journal.path)
    journal.path.write_bytes(kept)  # killed before the journal was removed
    files.recover()
    assert files.read("trades")["seq"].tolist() == [0, 1, 2, 3]
    assert not list(files.folder.rglob("*.tmp"))


def test_a_journal_without_a_beginning_is_removed(files: TickFiles) -> None:
    journal = files.journal("depth", "1")
    journal._file.close()
    journal.path.write_bytes(b"")
    assert files.recover().rows == 0 and not journal.path.exists()


def test_the_journal_is_removed_after_its_rows_and_their_names_are_on_the_disk(
    files: TickFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[Path, list[str]]] = []  # what was synced, and what it or its folder held
    sync = os.fsync

    def noted(descriptor: int) -> None:
        sync(descriptor)
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        folder = place if place.is_dir() else place.parent
        done.append((place, [name.name for name in folder.iterdir()]))

    monkeypatch.setattr(os, "fsync", noted)
    remove = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path: (done.append((path, [])), remove(path)))
    journal = files.journal("trades", "1")
    journal.append(trades(2))
    journal.close()
    (written,) = files.rotate(journal.path).files
    steps = [place for place, _ in done]
    assert steps[-1] == journal.path, "nothing is synced after the journal has gone"
    assert steps.count(written.with_name(f".{written.name}.tmp")) == 1
    names = [journal.path, written, *written.parents[:3], journal.path.parent, files.folder]
    for name in names:
        assert any(place == name.parent and name.name in held for place, held in done), name
