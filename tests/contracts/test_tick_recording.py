"""The recorder on a real gateway: whole, and killed in the middle without losing what was safe."""

import asyncio
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from models.domain.errors import InvalidInput
from tasks.recording import FLUSH, record_ticks
from tasks.settings import Settings
from warehouse.market.ticks import KINDS, TickFiles


def _recorded(settings: Settings, **options: object):
    quiet = lambda _text: None  # noqa: E731
    return asyncio.run(record_ticks(settings, ["KO", "PEP"], quiet, Event(), **options))


def _sequence(files: TickFiles) -> list[int]:
    return sorted(seq for kind in KINDS for seq in files.read(kind)["seq"].tolist())


def test_a_killed_recorder_loses_nothing_that_was_flushed(gateway, settings: Settings) -> None:
    assert FLUSH < 1.0
    script = Path(__file__).with_name("recording_process.py")
    ports = (str(settings.port), str(settings.control_port), str(settings.home))
    recorder = subprocess.Popen(
        [sys.executable, str(script), *ports], stdout=subprocess.PIPE, text=True
    )
    safe = 0
    for line in recorder.stdout:
        safe = int(line)
        if safe > 500:
            break
    recorder.kill()
    recorder.wait()
    files = TickFiles(settings.ticks_dir)
    assert not list(files.folder.rglob("*.parquet"))  # all of it is in journals still
    report = _recorded(settings, minutes=1)
    assert report.recovered >= safe > 500
    recovered = report.recovered
    rows = _sequence(files)
    assert len(rows) == recovered + sum(report.rows.values())
    assert set(range(1, recovered + 1)) <= set(rows)  # no hole


def test_every_kind_is_recorded_with_market_time(gateway, settings: Settings) -> None:
    begin = gateway.now
    report = _recorded(settings, depth_rows=3, minutes=30)
    files = TickFiles(settings.ticks_dir)
    for kind in KINDS:
        found = files.read(kind)
        assert len(found) == report.rows[kind] > 0
        assert set(found["symbol"]) == {"KO", "PEP"}
        assert found["ts"].min() >= begin.replace(microsecond=0)
    trades, quotes = files.read("trades"), files.read("quotes")
    assert (trades["price"] > 0).all() and (quotes["bid"] < quotes["ask"]).mean() > 0.99
    assert not list((files.folder / "journal").iterdir())
    assert "recorded" in report.summary and report.interruptions == 0


def test_an_unknown_symbol_is_named(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="NOSUCH"):
        asyncio.run(record_ticks(settings, ["NOSUCH"], print, Event()))
